"""What processes use: this one for real, and what /proc may not say."""

import os

import pytest

from edged.telemetry.processes import ProcessMemory, read_memory, read_own_use
from tests.fakes.open_files import collect_what_was_left

ROLLUP = """\
5643e2c9c000-7ffc16151000 ---p 00000000 00:00 0                          [rollup]
Rss:              423148 kB
Pss:              421690 kB
Pss_Dirty:        416484 kB
SwapPss:               7 kB
"""


def proc_with(tmp_path, pid, text):
    (tmp_path / str(pid)).mkdir()
    (tmp_path / str(pid) / "smaps_rollup").write_text(text)
    return tmp_path


def test_memory_of_a_process_is_its_resident_and_its_proportional_set(tmp_path):
    assert read_memory([7], proc=proc_with(tmp_path, 7, ROLLUP)) == {
        7: ProcessMemory(resident_bytes=423148 << 10, proportional_bytes=421690 << 10)
    }


@pytest.mark.parametrize("text", ["", "5643e2c9c000-7ffc16151000 ---p 00000000 00:00 0 [rollup]\n", "Rss: 1 kB\n"])
def test_process_that_has_no_memory_any_more_is_left_out(tmp_path, text):
    assert read_memory([7], proc=proc_with(tmp_path, 7, text)) == {}


def test_process_that_is_gone_or_hidden_is_left_out(tmp_path):
    assert read_memory([8, 7], proc=proc_with(tmp_path, 7, ROLLUP)).keys() == {7}


def test_real_process_has_memory_and_shares_some():
    memory = read_memory([os.getpid()])[os.getpid()]

    assert 0 < memory.proportional_bytes <= memory.resident_bytes


def test_own_use_is_this_process():
    collect_what_was_left("self")
    before = read_own_use()
    descriptors = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
    try:
        after = read_own_use()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)

    assert after.open_descriptors == before.open_descriptors + 3
    assert after.cpu_s >= before.cpu_s > 0
    assert 0 < after.resident_bytes < after.virtual_bytes
    assert after.max_descriptors >= after.open_descriptors
