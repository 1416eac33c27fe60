"""What a model needs beyond its template, from texts as the kernel writes them; ``tests/integration`` measures real workers."""

import os

import pytest

from edged.validation.memory import Figures, MemoryMeter

STATUS = """\
Name:\tedged-tiny
PPid:\t10
VmPeak:\t  900000 kB
VmHWM:\t  {highest} kB
VmRSS:\t  50000 kB
RssAnon:\t   {anonymous} kB
RssFile:\t   {files} kB
RssShmem:\t   {shared} kB
VmSwap:\t       {swapped} kB
Threads:\t3
"""


@pytest.fixture
def proc(tmp_path):
    for pid in (10, 20):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "clear_refs").write_text("")
    write(tmp_path, 10, anonymous=30_000)
    return tmp_path


def write(proc, pid, *, anonymous, files=0, shared=0, swapped=0, highest=0):
    text = STATUS.format(anonymous=anonymous, files=files, shared=shared, swapped=swapped, highest=highest)
    (proc / str(pid) / "status").write_text(text)


def test_what_the_worker_has_more_than_its_template_is_needed(proc):
    write(proc, 20, anonymous=31_000)
    meter = MemoryMeter(20, proc=proc)
    write(proc, 20, anonymous=35_000, swapped=500)
    meter.read()
    write(proc, 20, anonymous=32_000)
    meter.read()

    assert meter.needed_bytes == 5_500 << 10


def test_what_a_run_took_and_gave_back_counts(proc):
    """The kernel's own record has it: 90 MB at most, of which no more than 12 MB were pages of files or shared."""
    write(proc, 20, anonymous=31_000, files=5_000, highest=70_000)
    meter = MemoryMeter(20, proc=proc)
    write(proc, 20, anonymous=31_000, files=8_000, shared=4_000, highest=90_000)
    meter.read()

    assert (proc / "20/clear_refs").read_text() == "5"
    assert meter.needed_bytes == (90_000 - 12_000 - 30_000) << 10


def test_a_record_from_before_the_first_request_does_not_count_where_it_cannot_be_set_back(proc):
    """Loading took it, and pages of files are in it that were given back since."""
    (proc / "20/clear_refs").unlink()
    (proc / "20/clear_refs").mkdir()
    write(proc, 20, anonymous=31_000, highest=90_000)
    meter = MemoryMeter(20, proc=proc)
    meter.read()

    assert meter.needed_bytes == 1_000 << 10

    write(proc, 20, anonymous=31_000, highest=95_000)
    meter.read()
    assert meter.needed_bytes == 65_000 << 10


def test_a_worker_with_less_than_its_template_needs_nothing(proc):
    write(proc, 20, anonymous=29_000)

    assert MemoryMeter(20, proc=proc).needed_bytes == 0


@pytest.mark.parametrize("hidden", [10, 20])
def test_where_a_process_is_hidden_nothing_is_known(proc, hidden):
    write(proc, 20, anonymous=31_000)
    (proc / str(hidden) / "status").unlink()

    assert MemoryMeter(20, proc=proc).needed_bytes is None


def test_a_process_without_memory_has_no_figures():
    assert Figures.parse("Name:\tgone\nPPid:\t1\nThreads:\t1\n") is None


def test_this_kernel_writes_what_is_read():
    figures = MemoryMeter(os.getpid())._readings[0]

    assert figures.parent == os.getppid()
    assert 0 < figures.own < figures.highest
