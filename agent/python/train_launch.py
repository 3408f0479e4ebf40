"""Starts the ranks of this node by torchrun, in this process, and ties them to the supervisor.

`train_launch.py WORDS OF TORCHRUN`. SIGTERM, or the supervisor's death, asks all ranks to save and end. Exit codes: 0 all ranks
ended well; 1 one failed, and the others were ended; 75 they stopped, this one or another having been asked. A rank that a signal killed ends this process by the same.
"""

import ctypes
import os
import signal
import sys

EXIT_STOPPED = 75
PR_SET_PDEATHSIG = 1


def main() -> None:
    os.umask(0o077)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ.get("TUNEUP_PARENT_PID", os.getppid())):
        sys.exit(EXIT_STOPPED)
    # Not at the top: this takes seconds, and whoever dies meanwhile must be noticed.
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(sys.argv[1:])
    except SignalException:
        sys.exit(EXIT_STOPPED)
    except ChildFailedError as error:
        end_as({rank: failure.exitcode for rank, failure in error.failures.items()})


def end_as(codes: dict[int, int]) -> None:
    """Ends as the ranks did. Those that lost one end as well: where one was killed, that is the cause."""
    if set(codes.values()) <= {EXIT_STOPPED, -signal.SIGTERM}:
        sys.exit(EXIT_STOPPED)
    for rank, code in sorted(codes.items()):
        print(f"Rank {rank} ended with {code}.", file=sys.stderr, flush=True)
    if -signal.SIGKILL in codes.values():
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(1)


if __name__ == "__main__":
    main()
