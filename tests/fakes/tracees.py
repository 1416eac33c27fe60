"""What a traced process is about to change, read out of its system call: see ``tests.fakes.syscalls``."""

import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Where a call has its path: the arguments with the directory's descriptor, if it has one, and with the path.
_PATHS = {
    "open": (None, 0), "creat": (None, 0), "truncate": (None, 0), "rename": (None, 0), "mkdir": (None, 0), "rmdir": (None, 0),
    "link": (None, 0), "unlink": (None, 0), "symlink": (None, 1), "chmod": (None, 0), "openat": (0, 1), "mkdirat": (0, 1),
    "unlinkat": (0, 1), "renameat": (0, 1), "renameat2": (0, 1), "linkat": (0, 1), "symlinkat": (1, 2), "fchmodat": (0, 1),
}  # fmt: skip
_SECOND_PATHS = {"rename": (None, 1), "link": (None, 1), "renameat": (2, 3), "renameat2": (2, 3), "linkat": (2, 3)}
# The other calls have the file's descriptor, as their first argument if it is not listed.
_DESCRIPTORS = {"copy_file_range": 2}
_FLAGS = {"open": 1, "openat": 2}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_AT_CURRENT_DIRECTORY, _AT_REMOVE_DIRECTORY = -100, 0x200
_WITHOUT_EFFECT = {"chmod", "fchmod", "fchmodat", "utimensat"}
"""Nothing of what is looked at afterwards depends on modes and times."""


@dataclass(frozen=True, slots=True)
class Change:
    """A system call that changed something, or made it durable, once it had succeeded."""

    what: str
    """create, truncate, write, rename, link, unlink, mkdir, rmdir or sync."""
    path: str
    to: str = ""
    """Of a rename or link."""
    offset: int = 0
    """Of a write; of truncate, the new size."""
    data: bytes = b""


class Tracee:
    """A process that is stopped at a system call."""

    def __init__(self, process: int) -> None:
        self._process = process

    def changed_path(self, name: str, arguments: Sequence[int]) -> str | None:
        """Return the path of what a call changes; None when it changes nothing, or no file."""
        if name in _FLAGS and not arguments[_FLAGS[name]] & _WRITING:
            return None
        if name in _PATHS:
            return self._path(arguments, *_PATHS[name])
        try:
            return os.readlink(f"/proc/{self._process}/fd/{arguments[_DESCRIPTORS.get(name, 0)]}")  # noqa: PTH115
        except OSError:
            return None

    def second_path(self, name: str, arguments: Sequence[int]) -> str:
        """Return where a rename or link puts the name."""
        return self._path(arguments, *_SECOND_PATHS[name])

    def read(self, address: int, size: int) -> bytes:
        """Return some of its memory."""
        with open(f"/proc/{self._process}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - not a file that Path knows
            memory.seek(address)
            return memory.read(size)

    def position(self, descriptor: int) -> int:
        """Return where the next write to a descriptor goes."""
        lines = Path(f"/proc/{self._process}/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
        facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert not int(facts["flags"], 8) & os.O_APPEND, "where it appends is not known"
        return int(facts["pos"])

    def _path(self, arguments: Sequence[int], directory: int | None, place: int) -> str:
        path = self._string(arguments[place])
        if path.startswith("/"):
            return path
        descriptor = _AT_CURRENT_DIRECTORY
        if directory is not None:
            descriptor = ctypes.c_int(arguments[directory] & 0xFFFFFFFF).value
        where = "cwd" if descriptor == _AT_CURRENT_DIRECTORY else f"fd/{descriptor}"
        return f"{Path(f'/proc/{self._process}/{where}').readlink()}/{path}"

    def _string(self, address: int) -> str:
        # To the end of the page at most: the next one may not be there. Paths across it are longer than any of ours is likely to be.
        data = self.read(address, 4096 - address % 4096)
        if b"\0" not in data:
            data += self.read(address + len(data), 4096)
        return os.fsdecode(data.split(b"\0", 1)[0])


def changes_of(tracee: Tracee, name: str, arguments: Sequence[int], path: str) -> Iterator[Change]:
    """Say what a call changes if it succeeds; before it is made."""
    match name:
        case "open" | "openat" | "creat":
            yield from _opening(arguments[_FLAGS[name]] if name in _FLAGS else os.O_CREAT | os.O_TRUNC, path)
        case "write":
            yield Change("write", path, "", tracee.position(arguments[0]), tracee.read(arguments[1], arguments[2]))
        case "pwrite64":
            yield Change("write", path, "", arguments[3], tracee.read(arguments[1], arguments[2]))
        case "truncate" | "ftruncate":
            yield Change("truncate", path, "", arguments[1])
        case "fsync" | "fdatasync":
            yield Change("sync", path)
        case "unlinkat" if arguments[2] & _AT_REMOVE_DIRECTORY:
            yield Change("rmdir", path)
        case "mkdir" | "mkdirat" | "rmdir" | "unlink" | "unlinkat":
            yield Change(name.removesuffix("at"), path)
        case _ if name in _SECOND_PATHS:
            yield Change("link" if name.startswith("link") else "rename", path, tracee.second_path(name, arguments))
        case _:
            assert name in _WITHOUT_EFFECT, f"{name} {path}: its effect is not known here"


def _opening(flags: int, path: str) -> Iterator[Change]:
    is_there = os.path.lexists(path)
    if is_there and flags & os.O_TRUNC:
        yield Change("truncate", path)
    if not is_there and flags & os.O_CREAT:
        yield Change("create", path)
