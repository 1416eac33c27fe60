"""What a process has open and mapped, for tests that nothing is left behind."""

import gc
from contextlib import suppress
from pathlib import Path


def open_files(pid: int | str = "self", *, among: str = "") -> int:
    """Count the descriptors of a process.

    Args:
        pid: Its number.
        among: Count only those whose link in /proc contains this: a path, or what the kernel calls the kind.
    """
    collect_what_was_left(pid)
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the list itself
            links.append(str(path.readlink()))
    return sum(among in link for link in links)


def shared_memory_of(pid: int | str = "self") -> list[str]:
    """Return the mappings of a process that it shares with others through /dev/shm, a line each, as /proc has them."""
    collect_what_was_left(pid)
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()
    return [line for line in maps if "/dev/shm/" in line]


def collect_what_was_left(pid: int | str) -> None:
    """Have gone what earlier tests left for the collector: else it goes at any moment, and is missing from the next count."""
    if pid == "self":
        gc.collect()
