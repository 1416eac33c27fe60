"""Pages that go come back as they are in their file, and what was changed does not go."""

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from edged.footprint import SMAPS, give_back, parse_pages, read_pages

FACTS = """\
Size:                  8 kB
Rss:                   8 kB
Anonymous:             {anonymous} kB
LazyFree:              0 kB
Swap:                  {swap} kB
SwapPss:               0 kB
VmFlags: rd mr mw me
"""
CLEAN = FACTS.format(anonymous=0, swap=0)


def test_pages_are_those_of_files_that_nobody_can_have_changed():
    smaps = (
        f"00001000-00003000 r-xp 00000000 fe:00 260386                     /usr/lib/a library.so\n{CLEAN}"
        f"00004000-00005000 r--p 00002000 fe:00 260386                     /usr/lib/a library.so\n{CLEAN}"
        f"7f0000000000-7f0000001000 ---p 00002000 fe:00 26                 /usr/lib/gap.so (deleted)\n{CLEAN}"
    )

    assert parse_pages(smaps) == [(0x1000, 0x2000), (0x4000, 0x1000)]


@pytest.mark.parametrize(
    ("mapping", "facts"),
    [
        ("r--p 00002000 fe:00 260386                     /usr/lib/relocated.so", FACTS.format(anonymous=4, swap=0)),
        ("r--p 00002000 fe:00 260386                     /usr/lib/swapped.so", FACTS.format(anonymous=0, swap=4)),
        ("rw-p 00002000 fe:00 260386                     /usr/lib/variables.so", CLEAN),
        ("r--s 00000000 00:19 1037                       /run/edged/segment", CLEAN),
        ("r-xp 00000000 00:00 0                          [vdso]", CLEAN),
        ("r--p 00000000 00:00 0 ", CLEAN),
    ],
)
def test_pages_that_would_not_come_back_stay(mapping, facts):
    assert parse_pages(f"00001000-00003000 {mapping}\n{facts}") == []


def resident_kb(path: Path) -> list[int]:
    """Of each of this process's mappings of a file."""
    parts = [part for part in SMAPS.read_text().split("VmFlags") if str(path) in part]
    return [int(line.split()[1]) for part in parts for line in part.splitlines() if line.startswith("Rss:")]


def test_a_page_that_was_given_back_comes_back_as_it_was(tmp_path):
    path = tmp_path / "library"
    path.write_bytes(b"code" * 4096)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    assert mapped[:4] == b"code"
    assert resident_kb(path) != [0]

    give_back(read_pages())

    assert resident_kb(path) == [0]
    assert mapped[:] == b"code" * 4096


def test_a_process_goes_on_after_it_gave_back_all_it_could():
    """With a library whose tables the dynamic linker filled in, and threads that run."""
    script = (
        "import hashlib, json, sqlite3, threading\n"
        "from edged.footprint import give_back, read_pages\n"
        "stop = threading.Event()\n"
        "def work():\n"
        "    while not stop.is_set(): hashlib.sha256(bytes(99999)).hexdigest()\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for _ in range(20): give_back(read_pages())\n"
        "stop.set()\n"
        "for thread in threads: thread.join()\n"
        "print(sqlite3.connect(':memory:').execute('select 1').fetchone(), json.dumps([1.5]))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "(1,) [1.5]\n")


def test_free_memory_between_what_is_in_use_is_given_back():
    """In a process of its own, whose heap has nobody else's holes."""
    script = (
        "import ctypes\n"
        "from edged.footprint import SMAPS, trim\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        "def heap_kb():\n"
        "    part = SMAPS.read_text().partition('[heap]')[2]\n"
        "    return int(part.partition('Rss:')[2].split()[0])\n"
        "pieces = [libc.malloc(ctypes.c_size_t(100_000)) for _ in range(400)]\n"
        "for piece in pieces: ctypes.memset(piece, 1, 100_000)\n"
        "before = heap_kb()\n"
        "for piece in pieces[::2]: libc.free(ctypes.c_void_p(piece))\n"
        "trim()\n"
        "print(before - heap_kb())\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(found.stdout) > 15_000


def test_where_the_system_does_not_tell_nothing_is_given_back(monkeypatch, tmp_path):
    monkeypatch.setattr("edged.footprint.SMAPS", tmp_path / "smaps")

    assert read_pages() == []
