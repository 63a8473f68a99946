"""Files on their way into or out of the blob store.

Their names say which process made them, so that those of dead processes can be told from those in use.
"""

import hashlib
import secrets
from pathlib import Path

from modelyard.store.processes import ProcessIdentity, current_process, is_alive

UNKNOWN_SECONDS = 24 * 3600.0
"""What a process of another host, boot or container left behind counts as abandoned when it is this old."""


def new_path(folder: Path) -> Path:
    """Return a path in ``folder`` that is of this process and not taken."""
    me = current_process()
    return folder / f"{_place(me)}-{me.pid}-{me.start}-{secrets.token_hex(8)}"


def abandoned(folder: Path, now: float) -> list[Path]:
    """Return the files in ``folder`` whose process is dead; ``now`` is in seconds since 1970."""
    return [path for path in folder.iterdir() if _is_abandoned(path, now)]


def _is_abandoned(path: Path, now: float) -> bool:
    try:
        place, pid, start, _ = path.name.split("-")
        age = now - path.stat().st_mtime
    except (ValueError, FileNotFoundError):
        return False  # not one of ours, or its process was faster
    me = current_process()
    if place != _place(me):
        return age > UNKNOWN_SECONDS
    return is_alive(ProcessIdentity(host=me.host, boot_id=me.boot_id, pid=int(pid), start=start)) is False


def _place(process: ProcessIdentity) -> str:
    """Return a short name for where pids mean what they mean for ``process``."""
    return hashlib.sha256(f"{process.host}\0{process.boot_id}".encode()).hexdigest()[:16]
