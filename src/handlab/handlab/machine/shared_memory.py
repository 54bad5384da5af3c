"""Shared memory that Fast DDS leaves behind when a process dies without a clean end.

Fast DDS keeps one group of files per participant and per port in `/dev/shm`: the segment, its locks
(`_el`, `_sl`) and a semaphore (`sem.<name>_mutex`). A killed process leaves its groups. Fast DDS
reuses those of ports; segments stay until the machine restarts.

A group is left over if all of this holds: its files belong to this user, no process of this machine
has one of them open or mapped, no lock is held (a process in another container is seen by its lock
alone), and no file is younger than a process needs to take its lock.
"""

import fcntl
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
PROCESSES = Path("/proc")

NAME = re.compile(r"(?:sem\.)?((?:fastrtps|fastdds)_(?:port\d+|[0-9a-f]+))(?:_el|_sl|_mutex)?")
"""Files of Fast DDS 2 (`fastrtps_`) and 3 (`fastdds_`); SharedMemSegment.hpp, RobustLock.hpp."""

YOUNG = 60.0
"""s; age below which a group counts as in use; chosen."""


@dataclass(frozen=True)
class Leftover:
    """One group of files that no living process uses."""

    name: str
    files: tuple[Path, ...]
    size: int
    """Bytes."""


def leftovers(folder: Path = SHARED_MEMORY, processes: Path = PROCESSES) -> list[Leftover]:
    """List the groups of files of this user that no living process uses."""
    groups: dict[str, list[Path]] = defaultdict(list)
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if match := NAME.fullmatch(path.name):
                groups[match[1]].append(path)
    used = set(_used(folder, processes)) if groups else set()
    found = []
    for name, files in groups.items():
        with ExitStack() as locks:
            if _is_left(files, used, locks):
                size = sum(path.stat().st_size for path in files)
                found.append(Leftover(name, tuple(files), size))
    return found


def remove_leftovers(folder: Path = SHARED_MEMORY, processes: Path = PROCESSES) -> list[Leftover]:
    """Remove the groups of files that no living process uses; return those that are gone.

    Each group is examined again while its locks are held: a process that begins meanwhile keeps
    its files.
    """
    gone = []
    for group in leftovers(folder, processes):
        with ExitStack() as locks, suppress(OSError):
            before = _is_left(group.files, set(), locks)
            if before and not set(group.files) & set(_used(folder, processes, os.getpid())):
                for path in group.files:
                    path.unlink()
                gone.append(group)
    return gone


def _is_left(files: list[Path] | tuple[Path, ...], used: set[Path], locks: ExitStack) -> bool:
    """Return whether a group is left over; `locks` then holds the locks of its files."""
    try:
        for path in files:
            status = path.lstat()
            young = time.time() - status.st_mtime < YOUNG
            if path in used or young or status.st_uid != os.getuid() or path.is_symlink():
                return False
            if not path.name.startswith("sem."):
                held = locks.enter_context(path.open("rb"))
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # the lock is held, or the file is gone or not ours to open
        return False
    return True


def _used(folder: Path, processes: Path, but: int = 0) -> Iterator[Path]:
    """Yield the files of a folder that processes have open or mapped, `but` one process.

    Processes of other users cannot be read; they cannot use files of this user's either.
    """
    within = f"{folder}{os.sep}"
    for process in processes.glob("[0-9]*"):
        if process.name == str(but):
            continue
        with suppress(OSError):
            for line in (process / "maps").read_text(errors="replace").splitlines():
                if (start := line.find(within)) >= 0:
                    yield Path(line[start:].removesuffix(" (deleted)"))
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    target = os.readlink(descriptor)
                    if target.startswith(within):
                        yield Path(target)
