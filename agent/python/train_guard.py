"""Keeps a run to one trainer, and a trainer to its supervisor."""

import ctypes
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

EXIT_STOPPED = 75
EXIT_HELD = 76

PR_SET_PDEATHSIG = 1
# The bytes that SQLite locks for an exclusive transaction (its PENDING_BYTE, RESERVED_BYTE and SHARED range): this is
# the lock of agent/lock.ts, so that the agent can see it. Record locks, unlike flock, are not inherited by the workers
# that load data: the lock goes with the trainer itself.
LOCK_START = 0x40000000
LOCK_LENGTH = 512
# Somebody who only looks whether the lock is held may hold it for an instant.
LOCK_PATIENCE = 5.0


class Guard:
    def __init__(self, directory: Path, reports, together: bool = False) -> None:
        self.directory = directory
        self.reports = reports
        # Several have torchrun between them and the supervisor. It passes on what it is asked; killed, it takes them with it.
        self.together = together
        ours = os.environ.get("TUNEUP_PARENT_PID", os.getppid())
        self.parent = os.getppid() if together else int(ours)
        self.end_with_parent = signal.SIGKILL if together else signal.SIGTERM
        self.stopping = False
        self.saving = False
        # Between the first and the last step a stop waits for the checkpoint; before, there is nothing to save.
        self.in_steps = False
        self.lock = None

    def take_lock(self) -> None:
        """Takes the run's lock or ends: two trainers would write into the same folder."""
        self.lock = os.open(self.directory / "trainer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_LENGTH, LOCK_START)
                break
            except OSError:
                if time.monotonic() > deadline:
                    print("Another trainer holds this run.", file=sys.stderr, flush=True)
                    end_now(EXIT_HELD)
                time.sleep(0.1)
        self.require_token()
        (self.directory / "trainer.pid").write_text(identity(), encoding="utf-8")

    def require_token(self) -> None:
        """Ends if another supervisor has taken over from ours, which was stopped just when it started us. By hand there is none."""
        ours = os.environ.get("TUNEUP_SUPERVISOR_TOKEN", "")
        if ours == "":
            return
        token = self.directory / "supervisor.token"
        if not token.exists() or token.read_text(encoding="utf-8").strip() != ours:
            print("Another supervisor has taken this run over.", file=sys.stderr, flush=True)
            end_now(EXIT_HELD)

    def watch(self) -> None:
        """From now on signals and the supervisor's death ask for a stop."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, self.on_save_request)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_stop_request)
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, self.end_with_parent)
        # It may have died before the kernel was told, and there is no such promise elsewhere.
        threading.Thread(target=self.watch_parent, daemon=True).start()

    def watch_parent(self) -> None:
        while os.getppid() == self.parent:
            time.sleep(1)
        os.kill(os.getpid(), self.end_with_parent)

    def on_save_request(self, number, frame) -> None:
        self.saving = True

    def on_stop_request(self, number, frame) -> None:
        if self.in_steps:
            self.stopping = True
        elif self.reports.phase != "saving":
            self.end_stopped()

    def end_stopped(self) -> None:
        self.reports.send("stopped", step=self.reports.step)
        end_now(EXIT_STOPPED)


def identity() -> str:
    """This process as agent/runs/signals.ts reads it: its id, then the boot and when in it it was started, where the kernel tells."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        # Field 22, counted from the state that follows the name in brackets (which may hold blanks).
        started = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(") ")[2].split(" ")[19]
    except OSError:
        return f"{os.getpid()}\n"
    return f"{os.getpid()}\n{boot}\n{started}\n"


def end_now(code: int) -> None:
    """Ends this process and its children. Not sys.exit: inside a library's loop it may be caught."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
    os._exit(code)
