"""What the trainer tells its supervisor: JSON lines appended to a file that outlives both."""

import json
import math
import os
from datetime import datetime, timezone
from pathlib import Path


class Reports:
    def __init__(self, path: Path, attempt: int) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.attempt = attempt
        self.phase = "starting"
        self.step = 0

    def enter(self, phase: str) -> None:
        self.phase = phase
        self.send("phase", phase=phase)

    def send(self, kind: str, **fields) -> None:
        """One line in one write. JSON has no NaN: such a number is left out."""
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        kept = {name: value for name, value in fields.items() if value is not None and is_json(value)}
        line = json.dumps({"at": at, "attempt": self.attempt, "kind": kind, **kept})
        try:
            os.write(self.file, f"{line}\n".encode())
        except OSError as error:
            # A full disk must not end a training that goes on fine without being watched.
            print(f"A report could not be written: {error}", flush=True)

    def sync(self) -> None:
        os.fsync(self.file)


def is_json(value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
