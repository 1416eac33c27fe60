"""Temperatures and their limits, as zones and monitors report them."""

import pytest

from edged.sense.parts import Part
from edged.sense.snapshot import SLEEPS, DeviceText
from edged.sense.temperatures import Limits, parse_celsius, temperatures_of, why_none


def zone(number=0, **texts):
    return DeviceText(name=f"thermal_zone{number}", texts={"type": "cpu-thermal", **texts})


def monitor(errors=None, **texts):
    return DeviceText(name="hwmon0", texts=texts, errors=errors or {})


def trips(*points):
    return {
        f"trip_point_{number}_{key}": value
        for number, point in enumerate(points)
        for key, value in zip(("type", "temp", "hyst"), point, strict=True)
    }


def only(*devices):
    zones = [device for device in devices if device.name.startswith("thermal_zone")]
    (sensor,) = temperatures_of(zones, [device for device in devices if device not in zones])
    return sensor


@pytest.mark.parametrize(
    ("text", "celsius"),
    [
        ("45000", 45.0),
        ("-3500", -3.5),
        ("0", 0.0),
        ("150000", 150.0),
        ("-40000", -40.0),
        ("150001", None),
        ("-40001", None),
        ("-273000", None),
        ("2147483647", None),
        ("9" * 200, None),
        ("", None),
        ("hot", None),
        ("45.0", None),
        (None, None),
    ],
)
def test_millidegrees_are_read_and_nonsense_is_not(text, celsius):
    assert parse_celsius(text) == celsius


def test_why_there_is_none_is_said():
    assert why_none(()) == "this device has no sensor of temperature"
    assert why_none(temperatures_of([zone(3)], ())) == "no usable temperature in thermal_zone3 (cpu-thermal)"


def test_trip_points_are_read_by_their_type_and_fans_do_not_count():
    points = trips(
        ("critical", "105000", "0"),
        ("active", "50000", "9000"),
        ("passive", "85000", "2000"),
        ("passive", "70000", "1000"),
        ("hot", "100000", "0"),
    )

    assert only(zone(temp="40000", **points)).limits == Limits(
        passive=(70.0, 85.0), hot=100.0, critical=105.0, hysteresis=2.0
    )


def test_of_several_points_at_which_somebody_acts_the_lowest_counts():
    points = trips(
        ("hot", "95000", "0"), ("hot", "90000", "0"), ("critical", "100000", "0"), ("critical", "105000", "0")
    )

    assert only(zone(temp="40000", **points)).limits == Limits(hot=90.0, critical=100.0)


def test_a_limit_may_be_as_low_as_thirty_degrees():
    assert only(zone(temp="20000", **trips(("passive", "30000", "0")))).limits == Limits(passive=(30.0,))


def test_a_zone_that_does_not_say_what_it_is_is_called_by_its_number():
    assert only(DeviceText(name="thermal_zone4", texts={"temp": "40000"})).name == "thermal_zone4"


@pytest.mark.parametrize(
    ("texts", "is_absurd"),
    [
        pytest.param({"temp1_input": "255000"}, True, id="register of ones"),
        pytest.param({"temp1_input": "45000"}, False, id="plausible"),
        pytest.param({"temp1_input": "255000", "temp1_fault": "1"}, False, id="said to be at fault"),
    ],
)
def test_what_no_temperature_can_be_is_absurd_unless_something_explains_it(texts, is_absurd):
    assert only(monitor(name="tmp401", **texts)).is_absurd is is_absurd
    assert not only(monitor(name="nct6798", temp1_label="AUXTIN3", **texts)).is_absurd


def test_what_cannot_be_read_is_not_absurd():
    assert not only(monitor(name="tmp401", errors={"temp1_input": "Input/output error"})).is_absurd


@pytest.mark.parametrize("nonsense", ["0", "-274000", "65261850", "", "off"])
def test_a_trip_point_that_no_part_can_have_is_none(nonsense):
    assert only(zone(temp="40000", **trips(("passive", nonsense, "0")))).limits == Limits()


def test_a_zone_that_is_switched_off_says_nothing_and_is_not_missed():
    sensor = only(zone(temp="-274000", mode="disabled"))

    assert sensor.celsius.reason == "the zone is switched off"
    assert sensor.rests
    assert not sensor.is_absurd


def test_a_regulator_that_only_knows_normal_gives_no_temperature():
    normal = only(zone(temp="100000", type="PMIC-Die"))

    assert normal.celsius.reason == "it says 100 degC in place of a temperature"
    assert normal.rests  # after it was hot, nobody misses it
    assert only(zone(temp="120000", type="PMIC-Die")).celsius.value == 120.0


def test_a_zone_that_has_no_sensor_is_not_a_cool_one():
    (zone_of_policies,) = temperatures_of([zone(temp="20000", type="INT3400 Thermal", mode="enabled")], [])

    assert zone_of_policies.celsius.reason == "it says 20 degC in place of a temperature"
    assert not zone_of_policies.is_absurd


@pytest.mark.parametrize(
    ("texts", "limits"),
    [
        pytest.param({}, Limits(), id="none"),
        pytest.param({"temp1_max": "80000"}, Limits(passive=(80.0,)), id="lm75"),
        pytest.param({"temp1_max": "100000", "temp1_crit": "100000"}, Limits(critical=100.0), id="coretemp"),
        pytest.param(
            {"temp1_max": "81850", "temp1_crit": "84850"}, Limits(passive=(81.85,), critical=84.85), id="nvme"
        ),
        pytest.param({"temp1_max": "65261850"}, Limits(), id="limit that was never set"),
        pytest.param({"temp1_max": "127000"}, Limits(), id="chip of a board that sets no limits"),
        pytest.param({"temp1_max": "127875", "temp1_crit": "105000"}, Limits(critical=105.0), id="nct6775"),
        pytest.param({"temp1_max": "128000"}, Limits(), id="end of eight bits"),
        pytest.param({"temp1_max": "126875"}, Limits(passive=(126.875,)), id="high, and set"),
        pytest.param({"temp1_max": "129000"}, Limits(passive=(129.0,)), id="higher than eight bits can be"),
        pytest.param({"temp1_emergency": "115000"}, Limits(critical=115.0), id="graphics"),
    ],
)
def test_limits_of_a_monitor(texts, limits):
    assert only(monitor(name="some", temp1_input="40000", **texts)).limits == limits


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        pytest.param({"temp1_input": "40000", "temp1_fault": "1"}, "its driver reports a fault", id="open diode"),
        pytest.param({"temp1_input": "255000"}, "it reads '255000', which is no temperature", id="register of ones"),
    ],
)
def test_a_monitor_says_why_it_has_no_temperature(texts, reason):
    assert only(monitor(name="tmp401", **texts)).celsius.reason == reason


def test_a_monitor_whose_device_sleeps_is_not_missed():
    sensor = only(monitor(name="amdgpu", errors={"temp1_input": SLEEPS}))

    assert sensor.celsius.reason == "it cannot be read: the device sleeps"
    assert sensor.rests


@pytest.mark.parametrize(
    ("driver", "label", "part"),
    [
        ("coretemp", "Core 0", Part.PROCESSOR),
        ("thinkpad", "CPU", Part.PROCESSOR),
        ("thinkpad", "GPU", Part.GRAPHICS),
        ("nvme", "Composite", Part.STORAGE),
        ("lm75", "", Part.BOARD),
        ("BAT0", "", Part.BATTERY),
    ],
)
def test_what_a_monitor_measures_is_known_by_its_driver_or_by_its_label(driver, label, part):
    assert only(monitor(name=driver, temp1_input="40000", temp1_label=label)).part is part


def test_a_channel_that_may_be_connected_to_nothing_does_not_count():
    """Boards leave inputs of such chips open, and those read 100 degrees and more."""
    loose = only(monitor(name="nct6798", temp1_input="107000", temp1_label="AUXTIN3"))
    wired = only(monitor(name="nct6798", temp1_input="47000", temp1_label="CPUTIN"))

    assert loose.celsius.reason == "nothing says what it is connected to, if anything"
    assert wired.celsius.value == 47.0
