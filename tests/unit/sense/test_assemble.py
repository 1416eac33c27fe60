"""From looks to contexts: what a device knows of itself, one look after the other."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.assemble import History, assemble
from edged.sense.context import Level, PowerSource
from edged.sense.families import FAMILIES
from edged.sense.snapshot import DeviceText, Snapshot

LOOK_S = 5.0


def zone(celsius, number=0, kind="cpu-thermal", **texts):
    texts = {"type": kind, "temp": str(round(celsius * 1000)), **texts}
    return DeviceText(name=f"thermal_zone{number}", texts=texts)


def supply(name, **texts):
    return DeviceText(name=name, texts=texts)


def watch(snapshots, *, history=None):
    """Return what comes of each look."""
    history, seen = history or History(), []
    for number, snapshot in enumerate(snapshots):
        seen.append(assemble(snapshot, history, now_s=100.0 + number * LOOK_S))
        history = seen[-1].history
    return seen


def contexts(snapshots):
    return [assembled.context for assembled in watch(snapshots)]


def warm(*celsius):
    return [Snapshot(devices={"zones": (zone(value),)}) for value in celsius]


def test_a_trip_point_that_is_crossed_counts_at_the_same_look():
    trip = {"trip_point_0_type": "passive", "trip_point_0_temp": "85000"}
    before, after = (Snapshot(devices={"zones": (zone(value, **trip),)}) for value in (84.9, 85.0))

    assert [context.thermal.value for context in contexts([before, after])] == [Level.FAIR, Level.SERIOUS]


def test_heat_goes_up_at_once_and_down_after_half_a_minute():
    assert [context.thermal.value for context in contexts(warm(60, 82, *[60] * 7, *[60] * 6))] == (
        [Level.NOMINAL] + [Level.SERIOUS] * 7 + [Level.FAIR] * 6 + [Level.NOMINAL]
    )


def test_headroom_and_the_hottest_part_follow_the_sensors_at_once():
    cooled = contexts(warm(82, 50))[-1]

    assert (cooled.headroom.value, cooled.hottest_celsius.value) == (0.0, 50.0)


def test_the_hottest_of_several_sensors_counts():
    (context,) = contexts([Snapshot(devices={"zones": (zone(50.0), zone(70.0, 1), zone(30.0, 2))})])

    assert (context.headroom.value, context.hottest_celsius.value) == (0.667, 70.0)


def test_a_device_without_thermometers_says_so_of_everything_about_heat():
    (context,) = contexts([Snapshot()])

    for reading in (context.thermal, context.headroom, context.hottest_celsius):
        assert reading.reason == "this device has no sensor of temperature"
    assert context.next_level_s.reason == "how warm it is is not known"


def test_a_battery_that_does_not_know_leaves_the_source_of_power_unknown():
    (context,) = contexts([Snapshot(devices={"supplies": (supply("BAT0", type="Battery", status="Unknown"),)})])

    assert context.power.reason == "no adapter is listed, and BAT0 says Unknown"


def test_the_next_level_is_foretold_while_it_warms():
    (*_, last) = contexts(warm(*(50 + 0.1 * number for number in range(30))))

    assert last.next_level_s.value == pytest.approx(855, abs=30)
    assert contexts(warm(95))[-1].next_level_s.reason == "there is no level above this one"


def test_a_liar_is_named_and_does_not_count():
    honest = zone(50.0, 1)
    looks = [Snapshot(devices={"zones": (zone(value, 0, "skin"), honest)}) for value in (40.0, 140.0, 40.0, 140.0)]

    last = watch(looks)[-1]

    assert last.context.complaints == ("thermal_zone0 (skin): it leaps farther and faster than its part can",)
    assert last.context.hottest_celsius.value == 50.0
    assert last.sensors[0].note == "does not count: it leaps farther and faster than its part can"


def test_liars_are_named_in_the_order_of_their_names_whichever_was_found_first():
    looks = [
        Snapshot(devices={"zones": (zone(value, 2, "skin"), *([zone(value, 1, "skin")] if number else []))})
        for number, value in enumerate((40.0, 140.0, 40.0, 140.0))
    ]

    assert [text.partition(" ")[0] for text in contexts(looks)[-1].complaints] == ["thermal_zone1", "thermal_zone2"]


def test_a_device_all_of_whose_sensors_fail_does_not_call_itself_cool():
    hot, failed = warm(95)[0], Snapshot(devices={"zones": (DeviceText(name="thermal_zone0", texts={"type": "cpu"}),)})

    levels = [context.thermal.value for context in contexts([hot, *[failed] * 30])]

    assert levels[:7] == [Level.CRITICAL] * 7
    assert Level.NOMINAL not in levels
    assert levels[-1] is None
    assert contexts([hot, failed])[-1].hottest_celsius.reason == "no usable temperature in thermal_zone0 (cpu)"


def test_unplugging_shows_at_the_next_look():
    battery = supply("BAT0", type="Battery", status="Discharging", capacity="15", power_now="8000000")
    plugged = Snapshot(devices={"supplies": (supply("AC", type="Mains", online="1"), battery)})
    unplugged = Snapshot(devices={"supplies": (supply("AC", type="Mains", online="0"), battery)})

    before, after = contexts([plugged, unplugged])

    assert (before.power.value, after.power.value) == (PowerSource.MAINS, PowerSource.BATTERY)
    assert (after.battery_percent.value, after.power_watts.value) == (15.0, 8.0)


def test_an_adapter_that_cannot_be_read_is_not_called_offline():
    (seen,) = watch([Snapshot(devices={"supplies": (supply("AC", type="Mains"),)})])

    assert [(sensor.name, sensor.value.reason) for sensor in seen.sensors] == [("AC", "it is not said")]


def test_a_device_that_cannot_see_its_supplies_is_not_one_on_mains():
    (context,) = contexts([Snapshot(unlisted={"supplies": "class/power_supply cannot be read: Permission denied"})])

    for reading in (context.power, context.battery_percent):
        assert reading.reason == "class/power_supply cannot be read: Permission denied"


def test_a_battery_that_says_nonsense_is_named():
    nonsense, plausible = (supply(f"BAT{i}", type="Battery", capacity=text) for i, text in enumerate(("255", "80")))
    (context,) = contexts([Snapshot(devices={"supplies": (nonsense, plausible)})])

    assert context.complaints == ("BAT0: a battery cannot be 255 % full",)
    assert context.battery_percent.reason == "a battery cannot be 255 % full"


def test_a_device_without_sysfs_knows_nothing_and_says_why_and_forgets_nothing():
    (hot,) = watch(warm(95))
    blind = assemble(Snapshot(why_unreadable="/sys/class cannot be read"), hot.history, now_s=105)

    for reading in (blind.context.thermal, blind.context.power, blind.context.throttled, blind.context.cpu_pressure):
        assert reading.reason == "/sys/class cannot be read"
    assert blind.history == hot.history


def test_looks_that_show_the_same_give_equal_contexts():
    """Whoever keeps the context tells nobody of a new one then."""
    looks = [Snapshot(devices={"zones": (zone(50.0),), "supplies": (supply("AC", type="Mains", online="1"),)})] * 3

    first, *others = contexts(looks)

    assert all(context == first for context in others)


def test_every_sensor_is_told_one_by_one():
    devices = {
        "zones": (zone(50.0),),
        "supplies": (
            supply("AC", type="Mains", online="1"),
            supply("BAT0", type="Battery", capacity="80", status="Full"),
            supply("BAT1", type="Battery", present="0"),
            supply("mouse", type="Battery", capacity="3", scope="Device"),
        ),
        "clocks": (
            DeviceText(name="policy0", texts={"cpuinfo_max_freq": "2000000", "scaling_max_freq": "1500000"}),
            DeviceText(name="policy4", texts={"cpuinfo_max_freq": "1800000", "scaling_cur_freq": "600000"}),
        ),
        "coolers": (DeviceText(name="cooling_device0", texts={"type": "Processor", "cur_state": "2"}),),
    }
    (assembled,) = watch([Snapshot(devices=devices)])

    assert [(sensor.name, sensor.quantity, sensor.value.value, sensor.note) for sensor in assembled.sensors] == [
        ("thermal_zone0 (cpu-thermal)", "temperature", 50.0, "system on a chip: fair 70, serious 80, critical 90 degC"),
        ("AC", "adapter", True, "Mains"),
        ("BAT0", "battery", 80.0, "Full"),
        ("battery", "power", None, "of the device"),
        ("cpufreq policy0", "clock", None, "of 2000 MHz, capped to 1500"),
        ("cpufreq policy4", "clock", 600_000_000, "of 1800 MHz"),
        ("cooling_device0 (Processor) is at 2 of unknown", "slowed", True, ""),
    ]


texts = st.dictionaries(
    st.sampled_from(["type", "temp", "name", "temp1_input", "capacity", "status", "online", "energy_uj", "cur_state"])
    | st.sampled_from(["energy_now", "energy_full", "power_now", "scaling_max_freq", "cpuinfo_max_freq"])
    | st.sampled_from(["trip_point_0_type", "trip_point_0_temp", "temp1_crit", "mode", "get_throttled", "cur_freq"]),
    st.sampled_from(["", "0", "-1", "critical", "Battery", "Discharging", "disabled", "rpi_volt", "x" * 40, "1e9", "é"])
    | st.integers(-(10**12), 10**12).map(str)
    | st.just("9" * 400),
    max_size=6,
)
snapshots = st.builds(
    lambda devices, files: Snapshot(devices=devices, files=files),
    st.dictionaries(
        st.sampled_from(list(FAMILIES)),
        st.lists(st.builds(DeviceText, name=st.sampled_from(["a", "b"]), texts=texts), max_size=2).map(tuple),
        max_size=5,
    ),
    st.dictionaries(
        st.sampled_from(["loadavg", "meminfo", "online", "pressure/cpu"]), st.text(max_size=20), max_size=4
    ),
)


@given(looks=st.lists(snapshots, max_size=4))
def test_whatever_drivers_say_there_is_a_context_and_each_gap_in_it_has_a_reason(looks):
    for context in contexts(looks):
        for field in fields(context):
            reading = getattr(context, field.name)
            if hasattr(reading, "reason"):
                assert (reading.value is None) == bool(reading.reason), field.name
