"""What is read from a tree like the kernel's: devices that come and go, that sleep, and that cannot be read."""

import errno
import os

import pytest

from edged.sense import sysfs as module
from edged.sense.snapshot import SLEEPS
from edged.sense.sysfs import Sensors
from tests.fakes.open_files import open_files
from tests.fakes.sysfs import Sysfs


@pytest.fixture
def sysfs(tmp_path):
    return Sysfs(tmp_path / "sys")


@pytest.fixture
def sensors(sysfs, tmp_path):
    sensors = Sensors(sysfs.root, tmp_path / "proc")
    yield sensors
    sensors.close()


def texts(sensors, family):
    return {device.name: dict(device.texts) for device in sensors.look().of(family)}


def remove(directory):
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def test_every_look_reads_anew(sysfs, sensors):
    sysfs.zone(0, "41000")
    assert texts(sensors, "zones") == {"thermal_zone0": {"type": "cpu-thermal", "temp": "41000"}}

    sysfs.zone(0, "42000")
    assert texts(sensors, "zones")["thermal_zone0"]["temp"] == "42000"


def test_devices_come_and_go(sysfs, sensors):
    sysfs.supply("AC", type="Mains", online="1")
    assert texts(sensors, "supplies").keys() == {"AC"}

    sysfs.supply("BAT0", type="Battery", capacity="80")
    assert texts(sensors, "supplies").keys() == {"AC", "BAT0"}

    remove(sysfs.root / "class/power_supply/BAT0")
    assert texts(sensors, "supplies").keys() == {"AC"}


def test_another_device_under_the_same_name_is_read_as_itself(sysfs, sensors):
    sysfs.supply("BAT0", type="Battery", capacity="80", energy_full="10")
    texts(sensors, "supplies")
    remove(sysfs.root / "class/power_supply/BAT0")
    texts(sensors, "supplies")

    sysfs.supply("BAT0", type="Battery", capacity="15", energy_full="20")

    assert texts(sensors, "supplies") == {"BAT0": {"type": "Battery", "capacity": "15", "energy_full": "20"}}


def test_a_battery_that_was_taken_off_and_came_back_between_two_looks_is_there_at_once(sysfs, sensors, monkeypatch):
    """Or the device would take itself for one without a battery for as long, which is one on mains."""
    pread = os.pread

    def read(descriptor, size, offset):
        if os.fstat(descriptor).st_nlink == 0:  # of sysfs, what is kept open of it can be read no more
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read)
    sysfs.supply("BAT0", type="Battery", capacity="80", energy_full="10")
    texts(sensors, "supplies")
    remove(sysfs.root / "class/power_supply/BAT0")
    sysfs.supply("BAT0", type="Battery", capacity="15", energy_full="20")

    assert texts(sensors, "supplies") == {"BAT0": {"type": "Battery", "capacity": "15", "energy_full": "20"}}


def test_what_does_not_change_is_read_again_after_minutes(sysfs, sensors):
    sysfs.zone(0, "41000")
    sysfs.write("class/thermal/thermal_zone0", trip_point_0_type="passive", trip_point_0_temp="85000")
    texts(sensors, "zones")
    sysfs.write("class/thermal/thermal_zone0", trip_point_0_temp="75000")

    seen = [texts(sensors, "zones")["thermal_zone0"]["trip_point_0_temp"] for _ in range(module.REFRESH_LOOKS)]

    assert seen == ["85000"] * (module.REFRESH_LOOKS - 2) + ["75000"] * 2


def test_an_attribute_that_cannot_be_read_says_why_and_keeps_no_other_from_it(sysfs, sensors):
    sysfs.supply("BAT0", type="Battery", capacity="80")
    # A read of a directory fails, as that of a register that does not answer does.
    (sysfs.root / "class/power_supply/BAT0/status").mkdir()

    (battery,) = sensors.look().of("supplies")

    assert battery.texts == {"type": "Battery", "capacity": "80"}
    assert battery.errors == {"status": "Is a directory"}


def test_a_supply_that_vanished_meanwhile_is_as_if_it_never_was(sysfs, sensors):
    sysfs.supply("AC", type="Mains", online="0")
    (sysfs.root / "class/power_supply/BAT0").symlink_to(sysfs.root / "gone")

    assert texts(sensors, "supplies").keys() == {"AC"}


def test_a_device_that_sleeps_is_not_woken(sysfs, sensors):
    sysfs.write("class/hwmon/hwmon0", name="amdgpu", temp1_input="50000")
    sysfs.write("class/hwmon/hwmon0/device/power", runtime_status="suspended")
    (asleep,) = sensors.look().of("monitors")

    sysfs.write("class/hwmon/hwmon0/device/power", runtime_status="active")
    (awake,) = sensors.look().of("monitors")

    assert (asleep.texts, asleep.errors) == ({"name": "amdgpu"}, {"temp1_input": SLEEPS})
    assert awake.texts["temp1_input"] == "50000"


def test_a_monitor_that_repeats_a_zone_is_left_out(sysfs, sensors):
    sysfs.write("devices/virtual/thermal/thermal_zone0/hwmon0", name="cpu_thermal", temp1_input="50000")
    sysfs.write("class/hwmon/hwmon1", name="nvme", temp1_input="40000")
    (sysfs.root / "class/hwmon/hwmon0").symlink_to(sysfs.root / "devices/virtual/thermal/thermal_zone0/hwmon0")

    assert [texts(sensors, "monitors").keys() for _ in range(2)] == [{"hwmon1"}] * 2


def test_a_monitor_that_takes_the_name_of_one_that_repeated_a_zone_is_read(sysfs, sensors):
    sysfs.write("devices/virtual/thermal/thermal_zone0/hwmon0", name="cpu_thermal", temp1_input="50000")
    place = sysfs.root / "class/hwmon/hwmon0"
    place.parent.mkdir()
    place.symlink_to(sysfs.root / "devices/virtual/thermal/thermal_zone0/hwmon0")
    assert texts(sensors, "monitors") == {}
    place.unlink()
    assert texts(sensors, "monitors") == {}

    sysfs.write("class/hwmon/hwmon0", name="nvme", temp1_input="40000")

    assert texts(sensors, "monitors") == {"hwmon0": {"name": "nvme", "temp1_input": "40000"}}


def test_what_is_below_a_device_is_read_too(sysfs, sensors):
    sysfs.write("devices/system/cpu/cpu0/thermal_throttle", core_throttle_count="5", core_throttle_max_time_ms="9")
    sysfs.write("devices/system/cpu/cpu1")

    assert texts(sensors, "processors") == {"cpu0": {"thermal_throttle/core_throttle_count": "5"}, "cpu1": {}}


def test_rails_are_read_of_the_monitor_that_has_them_and_of_no_other(sysfs, sensors):
    rails = {"in1_input": "5000", "curr1_input": "100", "in1_label": "VDD_IN"}
    sysfs.write("class/hwmon/hwmon0", name="ina3221", curr1_crit="1000", shunt1_resistor="5", **rails)
    sysfs.write("class/hwmon/hwmon1", name="nct6798", **rails)

    assert texts(sensors, "monitors") == {
        "hwmon0": {"name": "ina3221", **rails},
        "hwmon1": {"name": "nct6798", "in1_label": "VDD_IN"},
    }


def test_devices_are_in_the_order_of_their_numbers(sysfs, sensors):
    for number in (10, 2, 1):
        sysfs.zone(number, "40000")

    assert list(texts(sensors, "zones")) == ["thermal_zone1", "thermal_zone2", "thermal_zone10"]


def test_the_hottest_of_a_hundred_zones_is_read_whichever_it_is(sysfs, sensors):
    for number in range(100):
        sysfs.zone(number, "95000" if number == 99 else "40000")

    assert max(int(zone.texts["temp"]) for zone in sensors.look().of("zones")) == 95000


def test_of_very_many_devices_the_first_are_read(sysfs, sensors):
    for number in range(200):
        sysfs.zone(number, "40000")

    assert [zone.name for zone in sensors.look().of("zones")] == [f"thermal_zone{number}" for number in range(128)]


def test_files_of_proc_are_read_as_far_as_they_are_there(sysfs, sensors, tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.10 0.20 0.30 1/2 3\n")
    sysfs.write("devices/system/cpu", online="0-3")

    snapshot = sensors.look()

    assert snapshot.files == {"loadavg": "0.10 0.20 0.30 1/2 3", "online": "0-3"}
    assert snapshot.errors["meminfo"] == "No such file or directory"


def test_nothing_of_what_was_opened_stays_open(sysfs, tmp_path):
    sysfs.zone(0, "40000")
    sysfs.supply("BAT0", type="Battery", capacity="80")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.10 0.20 0.30 1/2 3\n")
    before = open_files()

    sensors = Sensors(sysfs.root, tmp_path / "proc")
    sensors.look()
    opened = open_files() - before
    sensors.close()

    assert opened >= 4
    assert open_files() == before


def test_a_device_that_cannot_look_knows_nothing(tmp_path):
    """Not a device without batteries: in a sandbox without /sys every condition has to fail, and say why."""
    reason = Sensors(tmp_path / "none", tmp_path / "proc").look().why_unreadable

    assert reason == f"{tmp_path / 'none/class'} cannot be read: No such file or directory"


def test_devices_that_cannot_be_listed_are_not_devices_that_are_not_there(sysfs, sensors):
    sysfs.zone(0, "41000")
    # Reading it fails, as it does where a sandbox forbids it.
    (sysfs.root / "class/power_supply").symlink_to("power_supply")

    seen = sensors.look()

    assert seen.unlisted == {"supplies": "class/power_supply cannot be read: Too many levels of symbolic links"}
    assert [zone.name for zone in seen.of("zones")] == ["thermal_zone0"]
