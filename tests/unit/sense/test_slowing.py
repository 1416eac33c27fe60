"""What says that heat or voltage slows something down, and what does not."""

import pytest

from edged.sense.slowing import clocks, count, is_throttled, slowed_by
from edged.sense.snapshot import DeviceText, Snapshot

COUNT = "thermal_throttle/core_throttle_count"


def snapshot(**families):
    return Snapshot(
        devices={
            family: tuple(DeviceText(name=f"{family}{i}", texts=texts) for i, texts in enumerate(devices))
            for family, devices in families.items()
        }
    )


def counters(*values):
    return snapshot(processors=[{COUNT: str(value)} for value in values])


@pytest.mark.parametrize(
    ("cooler", "is_slowing"),
    [
        ({"type": "Processor", "cur_state": "0", "max_state": "10"}, False),
        ({"type": "Processor", "cur_state": "3", "max_state": "10"}, True),
        ({"type": "cpufreq-cpu0", "cur_state": "1", "max_state": "5"}, True),
        ({"type": "thermal-devfreq-0", "cur_state": "1"}, True),
        ({"type": "cpuidle-cpu0", "cur_state": "1"}, True),
        ({"type": "idle-4", "cur_state": "1"}, True),
        ({"type": "devfreq-5000000.gpu", "cur_state": "1"}, True),
        ({"type": "Processor"}, None),
        ({"type": "Processor", "cur_state": "much"}, None),
        ({"type": "intel_powerclamp", "cur_state": "-1", "max_state": "100"}, False),
        ({"type": "intel_powerclamp", "cur_state": "25", "max_state": "100"}, True),
    ],
)
def test_a_cooler_that_slows_something_down_counts_while_it_acts(cooler, is_slowing):
    assert is_throttled(snapshot(coolers=[cooler]), None, now_s=0).value is is_slowing


@pytest.mark.parametrize("kind", ["pwm-fan", "Fan", "TCC Offset", "LCD", "Charger"])
def test_other_coolers_say_nothing(kind):
    assert is_throttled(snapshot(coolers=[{"type": kind, "cur_state": "3"}]), None, now_s=0).value is None


def test_counters_count_while_they_rise_and_shortly_after():
    counts = count(None, counters(5, 7), now_s=0)
    assert is_throttled(counters(5, 7), counts, now_s=0).value is False

    counts = count(counts, counters(5, 8), now_s=5)
    assert slowed_by(counters(5, 8), counts, now_s=5) == ("the processor's throttle counters rise",)

    assert is_throttled(counters(5, 8), counts, now_s=14.9).value is True

    counts = count(counts, counters(5, 8), now_s=15)
    assert is_throttled(counters(5, 8), counts, now_s=15).value is False


def test_a_device_without_counters_does_not_know():
    assert count(None, snapshot(processors=[{}]), now_s=0) is None
    throttled = is_throttled(snapshot(processors=[{}]), None, now_s=0)
    assert throttled.value is None
    assert throttled.reason == "this device shows neither throttle counters nor cooling devices that slow it down"


def test_a_processor_that_goes_and_comes_back_is_no_heat():
    counts = None
    for now_s, shown in enumerate((counters(5, 7), counters(5), counters(5, 7))):
        counts = count(counts, shown, now_s=now_s)

        assert is_throttled(shown, counts, now_s=now_s).value is False


def test_heat_is_noticed_while_another_processor_goes():
    counts = count(count(None, counters(5, 7), now_s=0), counters(6), now_s=5)

    assert is_throttled(counters(6), counts, now_s=5).value is True


def test_a_device_whose_coolers_do_not_say_what_they_do_does_not_know():
    silent = Snapshot(
        devices={
            "coolers": (DeviceText(name="cooling_device0", texts={"type": "Processor"}, errors={"cur_state": "x"}),)
        }
    )

    assert is_throttled(silent, None, now_s=0).reason == "cooling_device0: whether it slows something down is not said"
    assert is_throttled(silent, count(None, counters(5), now_s=0), now_s=0).value is False


def test_firmware_that_shows_nothing_says_nothing():
    """Kernels other than the Raspberry Pi's own have its device, and no such attribute."""
    assert is_throttled(snapshot(firmware=[{}]), None, now_s=0).value is None


@pytest.mark.parametrize(
    ("bits", "what", "is_slowed"),
    [
        ("0", (), False),
        ("50000", (), False),
        ("50005", ("firmware: voltage is too low", "firmware: throttled"), True),
        ("0x8", ("firmware: soft limit of heat",), True),
        ("0x2", ("firmware: the processor's clock is capped",), True),
        ("nonsense", (), None),
    ],
)
def test_firmware_of_a_raspberry_pi_is_believed_about_now_but_not_about_before(bits, what, is_slowed):
    """Bits 16 and above say what happened since it started."""
    shown = snapshot(firmware=[{"get_throttled": bits}])

    assert slowed_by(shown, None, now_s=0) == what
    assert is_throttled(shown, None, now_s=0).value is is_slowed


def test_too_little_voltage_is_told():
    weak = snapshot(monitors=[{"name": "rpi_volt", "in0_lcrit_alarm": "1"}])
    fine = snapshot(monitors=[{"name": "rpi_volt", "in0_lcrit_alarm": "0"}])

    assert slowed_by(weak, None, now_s=0) == ("monitors0 (rpi_volt) had too little voltage",)
    assert is_throttled(fine, None, now_s=0).value is False


def test_an_alarm_of_another_monitor_is_not_about_the_voltage_of_the_device():
    other = snapshot(monitors=[{"name": "ltc2978", "in0_lcrit_alarm": "1"}])

    assert slowed_by(other, None, now_s=0) == ()
    assert is_throttled(other, None, now_s=0).value is None


@pytest.mark.parametrize(
    ("texts", "limit_hertz"),
    [
        pytest.param({"available_frequencies": "100 200 300", "max_freq": "200"}, 200, id="capped"),
        pytest.param({"available_frequencies": "300 200 100", "max_freq": "999"}, 300, id="allowed more than it can"),
        pytest.param({"available_frequencies": "100 300"}, 300, id="says no limit"),
        pytest.param({"available_frequencies": "100 what 300", "max_freq": "0"}, 300, id="nonsense"),
    ],
)
def test_the_clock_of_a_device_is_limited_to_what_it_is_allowed_and_can(texts, limit_hertz):
    (clock,) = clocks(snapshot(device_clocks=[texts]))

    assert (clock.limit_hertz, clock.highest_hertz) == (limit_hertz, 300)


def test_a_capped_clock_is_told_but_is_no_heat():
    shown = snapshot(
        clocks=[{"cpuinfo_max_freq": "1800000", "scaling_max_freq": "1200000", "scaling_cur_freq": "600000"}],
        device_clocks=[{"available_frequencies": "100 200 300", "cur_freq": "100", "max_freq": "300"}],
    )
    processor, graphics = clocks(shown)

    assert (processor.hertz, processor.limit_hertz, processor.is_capped) == (600_000_000, 1_200_000_000, True)
    assert (graphics.hertz, graphics.highest_hertz, graphics.is_capped) == (100, 300, False)
    assert is_throttled(shown, None, now_s=0).value is None


def test_a_limit_of_the_firmware_caps_a_clock():
    (clock,) = clocks(snapshot(clocks=[{"cpuinfo_max_freq": "3000", "scaling_max_freq": "3000", "bios_limit": "2000"}]))

    assert clock.limit_hertz == 2_000_000
    assert clock.hertz is None


def test_clocks_that_do_not_say_what_they_could_do_are_left_out():
    assert clocks(snapshot(clocks=[{"scaling_cur_freq": "5"}], device_clocks=[{"cur_freq": "5"}])) == ()
