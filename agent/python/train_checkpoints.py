"""Marks a checkpoint as complete: after its files are on the disk, never before."""

import hashlib
import json
import os
from pathlib import Path

MARKER = ".tuneup-complete"
# Hashing reads 1 GB in a second or two; the optimizer of a large model would keep the GPU waiting for minutes.
HASHED_BYTES = 1_000_000_000


def mark_complete(folder: Path, step: int, resumable: bool) -> int:
    """Writes the marker into `folder` and returns the folder's bytes. `resumable`: the optimizer's state is in it."""
    files = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file() and item.name != MARKER):
        sync(path)
        size = path.stat().st_size
        entry = {"path": path.relative_to(folder).as_posix(), "bytes": size}
        if size <= HASHED_BYTES:
            entry["sha256"] = digest(path)
        files.append(entry)
    marker = {"schemaVersion": 1, "step": step, "resumable": resumable, "files": files}
    temporary = folder / f"{MARKER}.tmp"
    temporary.write_text(json.dumps(marker), encoding="utf-8")
    sync(temporary)
    os.replace(temporary, folder / MARKER)
    sync(folder)
    sync(folder.parent)
    return sum(entry["bytes"] for entry in files)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
