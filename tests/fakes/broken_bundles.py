"""Makes broken and hostile bundles out of a good one: its documents changed in every place, its archive cut and forged."""

import io
import json
import random
import tarfile
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**40, -(2**63)),
    *("", "x", "\x00", "\u202egnp.exe", "../../etc/passwd", "a" * 10_000),
    *([], [None], [[]], {}, {"": None}, {"a": {"b": {"c": []}}}),
)
Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Go through every place in a document."""
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*at, key))


def pointer(at: Path) -> str:
    """Return the JSON pointer of a place."""
    return "".join(f"/{part}" for part in at)


def changed(document: Any, at: Path, value: Any) -> Any:
    """Return a document with another value in one place."""
    if not at:
        return value
    copy = deepcopy(document)
    parent = copy
    for part in at[:-1]:
        parent = parent[part]
    parent[at[-1]] = value
    return copy


def without(document: Any, at: Path) -> Any:
    """Return a document that lacks one key or item."""
    copy = deepcopy(document)
    parent = copy
    for part in at[:-1]:
        parent = parent[part]
    del parent[at[-1]]
    return copy


def look_up(document: Any, at: Path) -> Any:
    """Return the value in a place."""
    for part in at:
        document = document[part]
    return document


def mutations(document: Any, *, seed: int = 1, each: int = 3) -> Iterator[tuple[str, bytes]]:
    """Go through documents that differ from a good one in one place; some of them may still be good.

    Args:
        document: The good one.
        seed: Of the choice of wrong values.
        each: How many wrong values every place gets, out of all.
    """
    source = random.Random(seed)
    for at in places(document):
        value = look_up(document, at)
        for wrong in source.sample(WRONG, each):
            yield f"{pointer(at)} = {wrong!r:.30}", encoded(changed(document, at, wrong))
        if at:
            yield f"{pointer(at)} left out", encoded(without(document, at))
        if isinstance(value, dict):
            yield f"{pointer(at)} with another key", encoded(changed(document, at, {**value, "anothér\u202e": 1}))
        if isinstance(value, list):
            yield f"{pointer(at)} doubled", encoded(changed(document, at, value * 2))
        if isinstance(value, str):
            yield f"{pointer(at)} longer", encoded(changed(document, at, f"{value}\n"))
        if isinstance(value, int) and not isinstance(value, bool):
            yield f"{pointer(at)} one more", encoded(changed(document, at, value + 1))


def encoded(document: Any) -> bytes:
    """Return a document as JSON."""
    return json.dumps(document, ensure_ascii=False).encode()


def bombs(document: Any) -> Iterator[tuple[str, bytes]]:
    """Go through documents that no reader should go through to the end."""
    good = encoded(document)
    yield "nothing", b""
    yield "spaces", b" " * 1000
    yield "text", b"manifest"
    yield "binary", bytes(range(256))
    yield "UTF-16", good.decode().encode("utf-16")
    yield "byte order mark", b"\xef\xbb\xbf" + good
    yield "Latin-1", good.replace(b'"name"', b'"n\xe9me"')
    yield "zeros", bytes(4096)
    yield "comment", good.replace(b"{", b"{ // comment\n", 1)
    yield "comma at the end", good[:-1] + b",}"
    yield "single quotes", good.replace(b'"', b"'")
    yield "two documents", good + good
    yield "cut in the middle", good[: len(good) // 2]
    yield "lists in lists", b"[" * 200_000
    yield "objects in objects", b'{"a":' * 100_000
    yield "closed lists in lists", b"[" * 5000 + b"]" * 5000
    for number in (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 5000,
        "-" + "9" * 5000,
        "1." + "0" * 5000 + "1",
        "0x10",
        "1_0",
        "+1",
        "01",
    ):
        yield f"number {number[:12]}", good.replace(b'"schema": 1', b'"schema": ' + number.encode(), 1)
    yield "key twice", good.replace(b"{", b'{"schema": 1, ', 1)
    yield "key twice, deep", good.replace(b'"path":', b'"path": "x", "path":', 1)
    yield "lone surrogate", good.replace(b'"name": "', b'"name": "\\ud800', 1)
    yield "lone surrogate in UTF-8", good.replace(b'"name": "', b'"name": "\xed\xa0\x80', 1)
    yield "overlong", good.replace(b'"name": "', b'"name": "\xc0\xaf', 1)
    yield "escape at the end", good[:-1] + b'"\\'
    yield "many keys", b"{" + b",".join(b'"k%d":0' % i for i in range(10_000)) + b"}"
    yield "many files", encoded(changed(document, ("files",), look_up(document, ("files",))[:1] * 2000))
    yield "long key", b'{"' + b"k" * 500_000 + b'": 1}'
    yield "larger than allowed", good + b" " * (1 << 20)


def archives(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Go through packed bundles that are not quite the good one."""
    members = _members(good)
    for start, name in ((at, info.name) for at, info in members):
        yield f"cut before {name}", good[:start]
        yield f"cut in the header of {name}", good[: start + 300]
        yield f"cut after the header of {name}", good[: start + 512]
    source = random.Random(1)
    for at in sorted(source.sample(range(len(good)), 60)):
        yield f"cut at {at}", good[:at]
        yield f"bit of {at}", good[:at] + bytes([good[at] ^ 1 << source.randrange(8)]) + good[at + 1 :]
    yield "nothing", b""
    yield "zeros", bytes(10240)
    yield "no end", good[: members[-1][0] + 512]
    yield "more after the end", good + b"x"
    yield "more zeros after the end", good + bytes(10240)
    yield "twice", good + good
    first, info = members[1]
    for size in (0, info.size + 1, 2**32, 2**33 - 1, 2**63, 2**63 - 1, 2**64, -1, 8**11 - 1):
        yield f"size {size}", good[:first] + _header(info, size=size) + good[first + 512 :]
    for size in (0, 1, 2**20 + 1, 2**40, 2**63):
        yield f"size of the manifest {size}", _header(members[0][1], size=size) + good[512:]
    tricks = {
        "symbolic link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        "hard link": {"type": tarfile.LNKTYPE, "linkname": "manifest.json"},
        "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        "block device": {"type": tarfile.BLKTYPE},
        "fifo": {"type": tarfile.FIFOTYPE},
        "directory": {"type": tarfile.DIRTYPE},
        "sparse": {"type": tarfile.GNUTYPE_SPARSE},
        "continued": {"type": tarfile.CONTTYPE},
        "volume": {"type": b"V"},
        "unknown type": {"type": b"Z"},
        "set user ID": {"mode": 0o4755},
        "owner": {"uid": 1000, "uname": "root"},
        "time": {"mtime": 1},
        **{
            f"path {path[:20]!r}": {"name": path}
            for path in ("/tmp/x", "../x", "a/../../x", "manifest.json", "x\x1b[31m", "CON", "x" * 99)
        },
    }
    for name, values in tricks.items():
        forged = _header(info, **values)
        yield f"{name} in place of a file", good[:first] + forged + good[first + 512 :]
        yield f"{name} before a file", good[:first] + _header(info, size=0, **values) + good[first:]
    for name, (kind, body) in {
        "PAX path": (tarfile.XHDTYPE, b"21 path=../../escape\n"),
        "PAX size": (tarfile.XHDTYPE, b"18 size=999999999\n"),
        "PAX sparse": (tarfile.XHDTYPE, b"22 GNU.sparse.major=1\n"),
        "PAX endless": (tarfile.XHDTYPE, b"99999999999999999999 path=x\n"),
        "PAX global": (tarfile.XGLTYPE, b"21 path=../../escape\n"),
        "GNU long name": (tarfile.GNUTYPE_LONGNAME, b"../" * 100 + b"escape\0"),
        "GNU long link": (tarfile.GNUTYPE_LONGLINK, b"/etc/passwd\0"),
    }.items():
        extra = tarfile.TarInfo("././@LongLink")
        extra.type, extra.size = kind, len(body)
        block = extra.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)
        yield f"{name} before a file", good[:first] + block + good[first:]
        yield f"{name} before the manifest", block + good
    yield "million members", good[:first] + _header(info, size=0) * 20_000
    yield "other format", b"PK\x03\x04" + bytes(2000)
    yield "compressed", b"\x1f\x8b\x08" + bytes(2000)


def _members(good: bytes) -> list[tuple[int, tarfile.TarInfo]]:
    with tarfile.open(fileobj=io.BytesIO(good)) as archive:
        return [(info.offset, info) for info in archive.getmembers()]


def _header(info: tarfile.TarInfo, **values: Any) -> bytes:
    forged = tarfile.TarInfo(info.name)
    forged.size, forged.mode = info.size, 0o644
    for name, value in values.items():
        setattr(forged, name, value)
    return forged.tobuf(tarfile.GNU_FORMAT)[-512:]
