"""Pressure, memory and load, as the files of /proc have them."""

import pytest

from edged.sense.pressure import count_processors, load_per_core, memory_available_bytes, pressure
from edged.sense.snapshot import Snapshot

PSI = "some avg10={} avg60=1.00 avg300=0.50 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0"


def files(**texts):
    return Snapshot(files={name.replace("_", "/"): text for name, text in texts.items()})


def test_pressure_is_that_of_the_last_ten_seconds():
    snapshot = files(pressure_cpu=PSI.format("26.47"), pressure_io=PSI.format("0.00"))

    assert pressure(snapshot, "cpu").value == 26.47
    assert pressure(snapshot, "io").value == 0.0
    assert pressure(files(pressure_cpu=PSI.format("100.00")), "cpu").value == 100.0


@pytest.mark.parametrize(
    "text", ["", "full avg10=1.00 ", PSI.format("101.00"), PSI.format("-1.00"), PSI.format("much")]
)
def test_what_is_no_pressure_is_not_known(text):
    reading = pressure(files(pressure_memory=text), "memory")

    assert reading.value is None
    assert reading.reason.startswith("/proc/pressure/memory reads ")


def test_a_kernel_that_does_not_measure_pressure_is_told_how_it_may():
    snapshot = Snapshot(errors={"pressure/cpu": "Operation not supported"})

    assert pressure(snapshot, "cpu").reason == (
        "this kernel does not measure pressure, which psi=1 on its command line may turn on (Operation not supported)"
    )


def test_memory_is_what_can_be_had_not_what_is_free():
    assert memory_available_bytes(files(meminfo="MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:  3 kB\n")).value == 3072


def test_memory_that_is_not_told_is_not_known():
    assert memory_available_bytes(files(meminfo="MemTotal: 9 kB")).reason == (
        "/proc/meminfo cannot be read: it reads otherwise than it should"
    )
    assert memory_available_bytes(Snapshot(errors={"meminfo": "Permission denied"})).reason == (
        "/proc/meminfo cannot be read: Permission denied"
    )


def test_load_is_shared_by_the_processors_that_are_online():
    assert load_per_core(files(loadavg="3.00 2.00 1.00 1/2 3", online="0-2,5")).value == 0.75


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"loadavg": "1.0 1 1"}, "how many processors there are is not known"),
        ({"loadavg": "busy", "online": "0"}, "/proc/loadavg cannot be read: it reads otherwise than it should"),
    ],
)
def test_load_that_is_not_told_is_not_known(texts, reason):
    assert load_per_core(files(**texts)).reason == reason


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 1),
        ("0-3", 4),
        ("0-3,8-11", 8),
        ("0,2,4", 3),
        ("", None),
        ("0-", None),
        ("3-0", None),
        ("1-0", None),
        ("all", None),
    ],
)
def test_processors_are_counted(text, count):
    assert count_processors(text) == count
