"""What each of the recorded devices gives: read from a tree on disk, and as if it were this machine's own /sys, under umockdev."""

import os
import pickle
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

from edged.sense.context import Context
from edged.sense.reading import Reading
from tests.fakes.recorded_devices import NAMES, about, look_twice, recording, write_proc, write_tree

needs_umockdev = pytest.mark.skipif(
    shutil.which("umockdev-run") is None, reason="needs umockdev-run (apt install umockdev); the Debian 13 pass has it"
)
# What sensors say nothing of: whoever keeps the context adds it.
OTHERS = {"serial", "at_unix_s", "idle_s", "link", "metered", "round_trip_s", "minute_of_day", "clock_trusted"}


def readings(context: Context) -> dict[str, Reading]:
    values = {name: getattr(context, name) for name in Context.__dataclass_fields__.keys() - OTHERS}
    return {name: value for name, value in values.items() if isinstance(value, Reading)}


def as_written(value: object) -> object:
    return value.name.lower() if isinstance(value, IntEnum) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_device_gives_what_is_written_about_it(name, tmp_path):
    write_tree(name, tmp_path)
    write_proc(name, tmp_path)

    context = look_twice(name, tmp_path / "sys", tmp_path / "proc").context

    said = readings(context)
    known = {name: as_written(reading.value) for name, reading in said.items() if reading.value is not None}
    assert known == pytest.approx(about(name)["known"])
    assert {name: reading.reason for name, reading in said.items() if reading.value is None} == about(name)["unknown"]
    assert sorted(context.accelerators) == about(name)["always"]["accelerators"]
    assert list(context.complaints) == about(name)["always"]["complaints"]


@needs_umockdev
@pytest.mark.parametrize("name", NAMES)
def test_it_gives_the_same_as_if_it_were_this_machine(name, tmp_path):
    """The real paths, read by a program that umockdev shows the recorded device instead of this machine's."""
    write_tree(name, tmp_path)
    write_proc(name, tmp_path)
    command = ["umockdev-run", "--device", recording(name), "--", sys.executable, "-m", "tests.fakes.recorded_devices"]

    shown = subprocess.run(
        [*command, name, tmp_path / "proc"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        timeout=60,
    )

    assert pickle.loads(shown.stdout) == look_twice(name, tmp_path / "sys", tmp_path / "proc")
