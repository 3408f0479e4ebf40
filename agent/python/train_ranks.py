"""Several processes that train one run together: which one this is, and what all of them have to agree on."""

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

# What has to be done after a step; the highest that any rank asks for is done by all.
NOTHING, SAVE, STOP = 0, 1, 2

# How long a node waits for the first one to say what is trained: an image may have to be pulled there.
LAUNCH_PATIENCE = timedelta(minutes=30)


class Ranks:
    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @property
    def leads(self) -> bool:
        """Rank 0 alone holds the run's lock, reports, and marks and drops checkpoints."""
        return self.rank == 0

    @property
    def together(self) -> bool:
        return self.size > 1

    @property
    def over_nodes(self) -> bool:
        return self.size > self.here

    def agree(self, wish: int, device) -> int:
        """The highest wish of all ranks: each stops and saves after the same step, or none could."""
        if not self.together:
            return wish
        import torch

        shared = torch.tensor([wish], dtype=torch.int32, device=device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
        return int(shared.item())

    def wait_for_all(self) -> None:
        if self.together:
            import torch

            torch.distributed.barrier()

    def share_launch(self, attempt: int, resume: str | None, follow: bool) -> tuple[int, str | None]:
        """Attempt and checkpoint as the first node's supervisor chose them. Through torchrun's store: a file might be seen late."""
        if not self.over_nodes:
            return attempt, resume
        from torch.distributed import TCPStore

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=LAUNCH_PATIENCE)
        if self.leads:
            store.set("tuneup/launch", json.dumps([attempt, resume]))
        if not follow:
            return attempt, resume
        attempt, resume = json.loads(store.get("tuneup/launch"))
        return attempt, resume


def load_on_numbered_cpus() -> None:
    """transformers loads an optimizer to the device of its rank, which accelerate calls `cpu:0`. torch.load knows `cpu` alone."""
    import torch

    def restore(storage, location: str):
        return storage if location.startswith("cpu:") else None

    torch.serialization.register_package(30, lambda storage: None, restore)


class SilentReports:
    """The reports of a rank that does not lead: only an exception is kept, in a file of its own, for the supervisor to find the cause."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.path = folder / f"{rank}.json"
        self.phase = "starting"
        self.step = 0

    def enter(self, phase: str) -> None:
        self.phase = phase

    def send(self, kind: str, **fields) -> None:
        if kind != "fault":
            return
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps({"at": at, "attempt": 0, "kind": kind, **fields}), encoding="utf-8")
        except OSError as error:
            print(f"A fault could not be written: {error}", flush=True)

    def sync(self) -> None:
        pass
