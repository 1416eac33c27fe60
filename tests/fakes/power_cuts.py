"""What a disk may hold after a power cut: a model of a file system that keeps every promise it has to, and no other.

It is told what a program did (``tests.fakes.tracees.Change``), and gives states that the disk may be found in afterwards. The model is
POSIX's with what journalling file systems (ext4 in its ordered mode, f2fs, xfs) promise beyond it, and no more of that than edged needs:

- ``fsync`` or ``fdatasync`` of a file makes its bytes and its size durable, and not its name.
- ``fsync`` of a directory makes durable what happened to the names in it; a rename to another directory, by that of the directory
  which gets the name.
- A change of names is atomic: of a rename, either both ends are on the disk or neither.
- A sector of 512 bytes is written whole or not at all.

Whatever is not durable by that may be on the disk or not, in any order: bytes without the size, the size without the bytes (which are zeros
then), a name without what it names, the second of two changes without the first. Only of changes to the same name, or the same bytes,
does the last that reached the disk count. What is under a directory that has no name is not there.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.tracees import Change

SECTOR_BYTES = 512

Tree = Mapping[str, bytes | None]
"""What a disk holds, by path from its top; None for a directory."""


class _File:
    """A file's content as it is on the disk for certain, and after each change since."""

    def __init__(self, durable: bytes = b"") -> None:
        self.contents = [durable]
        self._sectors: list[bytes] = []
        self._open: list[tuple[int, list[bytes]]] = []

    @property
    def newest(self) -> bytes:
        return self.contents[-1]

    def change(self, content: bytes) -> None:
        self.contents.append(content)
        self._sectors = []

    def sync(self) -> None:
        self.contents = [self.newest]

    def torn(self, randomness: random.Random) -> bytes:
        """Put a content together of sectors from before and after the last changes, with the size that it had at any time since."""
        if not self._sectors:
            self._cut()
        sectors, share = list(self._sectors), randomness.random()
        for place, choices in self._open:
            # Old bytes for most sectors, or new ones for most, or each as often.
            is_new = randomness.random() < share
            sectors[place] = choices[-1 if is_new else int(randomness.random() * len(choices))]
        size = len(self.contents[int(randomness.random() * len(self.contents))])
        return b"".join(sectors)[:size]

    def _cut(self) -> None:
        self._open = []
        for place in range(-(-max(map(len, self.contents)) // SECTOR_BYTES)):
            part = slice(place * SECTOR_BYTES, (place + 1) * SECTOR_BYTES)
            choices = list(dict.fromkeys(content[part].ljust(SECTOR_BYTES, b"\0") for content in self.contents))
            self._sectors.append(choices[0])
            if len(choices) > 1:
                self._open.append((place, choices))


@dataclass
class _NameChange:
    """What happens to names, by directory and name: which file or directory they are of from now on, or none."""

    updates: dict[tuple[int, str], int | None]


class Disk:
    """A disk whose tree below ``top`` is durable when this begins."""

    def __init__(self, top: Path) -> None:
        self._top = str(top)
        self._files: dict[int, _File] = {}
        self._durable: dict[int, dict[str, int]] = {0: {}}
        self._live: dict[int, dict[str, int]] = {0: {}}
        self._pending: list[_NameChange] = []
        self._numbers = iter(range(1, 1 << 30))
        known: dict[int, int] = {}
        for path in sorted(top.rglob("*")):
            if path.is_dir():
                number = self._add_directory()
            else:
                number = known.setdefault(path.stat().st_ino, 0) or next(self._numbers)
                known[path.stat().st_ino] = number
                self._files[number] = _File(path.read_bytes())
            parent, name = self._place(str(path))
            self._live[parent][name] = number
            self._durable[parent][name] = number

    def apply(self, change: Change) -> None:
        """Take note of what was done."""
        match change.what:
            case "create" | "mkdir":
                number = self._add_directory() if change.what == "mkdir" else next(self._numbers)
                if change.what == "create":
                    self._files[number] = _File()
                self._rename({self._place(change.path): number})
            case "link":
                self._rename({self._place(change.to): self._find(change.path)})
            case "rename":
                self._rename({self._place(change.path): None, self._place(change.to): self._find(change.path)})
            case "unlink" | "rmdir":
                self._rename({self._place(change.path): None})
            case "write" | "truncate" if (file := self._file(change.path)) is not None:
                file.change(_changed(file.newest, change))
            case "sync" if (number := self._find(change.path)) is not None:
                self._sync(number)

    def states(self, randomness: random.Random) -> Iterator[Tree]:
        """Give states that the disk may be found in if the power goes now, without end, most of them more than once."""
        yield self._state([True] * len(self._pending), "all")
        yield self._state([False] * len(self._pending), "none")
        while True:
            yield self._state(_choice(randomness, len(self._pending)), randomness)

    def _add_directory(self) -> int:
        number = next(self._numbers)
        self._live[number], self._durable[number] = {}, {}
        return number

    def _find(self, path: str) -> int | None:
        """Return the file or directory of a path; None for one that has lost its last name."""
        number: int | None = 0
        for name in filter(None, path.removeprefix(self._top).split("/")):
            number = None if number is None else self._live.get(number, {}).get(name)
        return number

    def _place(self, path: str) -> tuple[int, str]:
        parent, _, name = path.removeprefix(self._top).strip("/").rpartition("/")
        number = self._find(parent)
        assert number is not None, f"{path} is in no directory"
        return number, name

    def _file(self, path: str) -> _File | None:
        number = self._find(path)
        return None if number is None else self._files[number]

    def _rename(self, updates: dict[tuple[int, str], int | None]) -> None:
        for (directory, name), number in updates.items():
            if number is None:
                del self._live[directory][name]
            else:
                self._live[directory][name] = number
        self._pending.append(_NameChange(updates))

    def _sync(self, number: int) -> None:
        if number in self._files:
            self._files[number].sync()
            return
        for i, change in enumerate(self._pending):
            gets = {directory for (directory, _), target in change.updates.items() if target is not None}
            if number in (gets or {directory for directory, _ in change.updates}):
                _apply(self._durable, change)
                for earlier in self._pending[:i]:  # on a name that this one changed they do not count any more
                    earlier.updates = {k: v for k, v in earlier.updates.items() if k not in change.updates}
                change.updates = {}
        self._pending = [change for change in self._pending if change.updates]

    def _state(self, kept: Sequence[bool], bytes_kept: random.Random | str) -> Tree:
        names = {number: dict(entries) for number, entries in self._durable.items()}
        for change, is_kept in zip(self._pending, kept, strict=True):
            if is_kept:
                _apply(names, change)
        contents: dict[int, bytes] = {}
        tree: dict[str, bytes | None] = {}
        todo = [(0, "")]
        while todo:
            directory, prefix = todo.pop()
            for name, number in names[directory].items():
                path = f"{prefix}{name}"
                if number in self._files:
                    if number not in contents:
                        contents[number] = _content(self._files[number], bytes_kept)
                    tree[path] = contents[number]
                else:
                    tree[path] = None
                    todo.append((number, f"{path}/"))
        return tree


def _apply(names: dict[int, dict[str, int]], change: _NameChange) -> None:
    for (directory, name), number in change.updates.items():
        if number is None:
            names[directory].pop(name, None)
        else:
            names[directory][name] = number


def _changed(content: bytes, change: Change) -> bytes:
    if change.what == "truncate":
        return content[: change.offset].ljust(change.offset, b"\0")
    end = change.offset + len(change.data)
    return content[: change.offset].ljust(change.offset, b"\0") + change.data + content[end:]


def _choice(randomness: random.Random, count: int) -> list[bool]:
    """Choose which of some changes are kept: the first so many, all but one, only one, or each by chance."""
    chosen, share = randomness.randint(0, count), randomness.random()
    match randomness.randrange(4):
        case 0:
            return [i < chosen for i in range(count)]
        case 1:
            return [i != chosen for i in range(count)]
        case 2:
            return [i == chosen for i in range(count)]
        case _:
            return [randomness.random() < share for _ in range(count)]


def _content(file: _File, kept: random.Random | str) -> bytes:
    if kept == "none" or len(file.contents) == 1:
        return file.contents[0]
    if isinstance(kept, str):
        return file.newest
    if kept.randrange(3) == 0:
        return file.contents[kept.randrange(len(file.contents))]
    return file.torn(kept)
