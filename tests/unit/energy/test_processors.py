"""How busy processors were is read as the kernel writes it, and unknown where it does not."""

import os
import threading
import time

from edged.energy.processors import read_busy_s, read_processor_s

LINE = "{pid} ({name}) S 1 7 7 0 -1 4194560 100 200 0 0 150 6 9999 9999 20 0 3 0 12345 1000000 500\n"


def write(directory, pid, name):
    (directory / str(pid)).mkdir(exist_ok=True)
    (directory / str(pid) / "stat").write_text(LINE.format(pid=pid, name=name))


def test_busy_time_is_that_of_all_processors_without_idle_and_guests(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9000 500 1 2 3 70 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n")

    assert read_busy_s(tmp_path) == 1.56
    for text in ("", "cpu 1 2\n", "cpu  100 20 30 many 500 1 2 3\n", "cpu0 100 20 30 9000 500 1 2 3\n", "\u0663\n"):
        stat.write_text(text)
        assert read_busy_s(tmp_path) is None
    assert read_busy_s(tmp_path / "missing") is None
    assert read_busy_s() > 0


def test_time_of_a_process_is_its_own_and_not_that_of_its_children(tmp_path):
    write(tmp_path, 7, "edged: gauge")

    assert read_processor_s(7, tmp_path) == 1.56
    assert read_processor_s(8, tmp_path) is None


def test_a_process_may_have_any_name(tmp_path):
    write(tmp_path, 7, "a) R 1 2 (b ")

    assert read_processor_s(7, tmp_path) == 1.56


def test_time_that_is_not_written_as_it_should_be_is_unknown(tmp_path):
    write(tmp_path, 7, "worker")
    for text in ("", "7 (worker) S 1", "7 (worker) " + "x " * 20):
        (tmp_path / "7/stat").write_text(text)
        assert read_processor_s(7, tmp_path) is None


def test_all_threads_count():
    """They are two here, and the one that works is not the first."""
    before = read_processor_s(os.getpid())
    work = threading.Thread(target=use, args=(0.1,))
    work.start()
    work.join()

    assert read_processor_s(os.getpid()) >= before + 0.05


def use(seconds):
    """Keep a processor busy for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
