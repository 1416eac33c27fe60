"""What is read from a tree like the kernel's: units, what is missing, and what cannot be read."""

import pytest

from edged.sense.sysfs import read_hottest_celsius, read_plugged_in
from tests.fakes.sysfs import Sysfs


@pytest.fixture
def sysfs(tmp_path):
    return Sysfs(tmp_path / "sys")


def test_a_laptop_on_its_battery(sysfs):
    sysfs.supply("AC", type="Mains", online="0")
    sysfs.supply("BAT0", type="Battery", status="Discharging", present="1", capacity="80")

    assert read_plugged_in(sysfs.root).value is False

    sysfs.supply("AC", online="1")

    assert read_plugged_in(sysfs.root).value is True


def test_a_board_without_sensors_is_plugged_in_and_of_unknown_temperature(sysfs):
    assert read_plugged_in(sysfs.root).value is True
    assert read_hottest_celsius(sysfs.root).reason == "this device has no thermal zone"


def test_scope_and_presence_are_read(sysfs):
    sysfs.supply("mouse", type="Battery", status="Discharging", scope="Device")
    sysfs.supply("BAT1", type="Battery", status="Discharging", present="0")

    assert read_plugged_in(sysfs.root).value is True


def test_the_hottest_zone_counts_and_one_that_cannot_be_read_does_not(sysfs):
    sysfs.zone(0, "41500")
    sysfs.zone(1, "62000")
    sysfs.zone(2, "-274000")
    # A read of a directory fails, as that of a zone that is switched off does.
    (sysfs.root / "class/thermal/thermal_zone9/temp").mkdir(parents=True)
    (sysfs.root / "class/thermal/cooling_device0").mkdir()

    assert read_hottest_celsius(sysfs.root).value == 62.0


def test_a_supply_that_vanished_meanwhile_is_as_if_it_never_was(sysfs):
    sysfs.supply("AC", type="Mains", online="0")
    (sysfs.root / "class/power_supply/BAT0").symlink_to(sysfs.root / "gone")

    assert read_plugged_in(sysfs.root).value is True


def test_a_device_that_cannot_look_knows_nothing(tmp_path):
    """Not a device without batteries: in a sandbox without /sys every condition has to fail, and say why."""
    for reading in (read_plugged_in(tmp_path / "none"), read_hottest_celsius(tmp_path / "none")):
        assert reading.value is None
        assert reading.reason == f"{tmp_path / 'none/class'} cannot be read: No such file or directory"
