"""What is drawn, as counters, rails and batteries say; never guessed, and right when a counter starts anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.energy import Extent, count_energy, device_watts, draws, grown_by
from edged.sense.power import SupplyText
from edged.sense.snapshot import DeviceText, Snapshot

RANGE_UJ = 262_143_328_850


def caps(*counters, name="package-0"):
    """Return snapshots in which one counter stands at each of these, microjoules."""
    texts = {"name": name, "max_energy_range_uj": str(RANGE_UJ)}
    devices = [DeviceText(name="intel-rapl:0", texts={**texts, "energy_uj": str(counter)}) for counter in counters]
    return [Snapshot(devices={"power_caps": (device,)}) for device in devices]


def last_draw(snapshots, *, look_s=5.0):
    counters = {}
    for number, snapshot in enumerate(snapshots):
        counters = count_energy(counters, snapshot, now_s=1000.0 + number * look_s)
    (draw,) = draws(snapshots[-1], counters, ())
    return draw


def monitor(name, errors=None, **texts):
    return Snapshot(
        devices={"monitors": (DeviceText(name="hwmon0", texts={"name": name, **texts}, errors=errors or {}),)}
    )


def test_watts_are_what_a_counter_grew_by_over_the_time():
    draw = last_draw(caps(1_000_000, 76_000_000))

    assert draw.watts.value == pytest.approx(15.0)
    assert draw.extent is Extent.PROCESSOR


def test_a_counter_that_starts_anew_goes_on():
    assert last_draw(caps(RANGE_UJ - 10_000_000, 40_000_000)).watts.value == pytest.approx(10.0)


def test_one_reading_says_nothing():
    assert last_draw(caps(5)).watts.reason == "its counter has not been seen to grow yet"


def test_after_a_long_time_a_counter_says_nothing():
    """It may have started anew more than once."""
    assert last_draw(caps(1, 2), look_s=61).watts.value is None


@pytest.mark.parametrize(("look_s", "is_known"), [(0.4, False), (0.5, True), (60.0, True)])
def test_looks_have_to_be_half_a_second_apart_and_a_minute_at_most(look_s, is_known):
    assert (last_draw(caps(0, 1_000_000), look_s=look_s).watts.value is not None) is is_known


def test_a_counter_that_fell_and_has_no_range_says_nothing_until_the_next_look():
    falling = [
        Snapshot(devices={"power_caps": (DeviceText(name="intel-rapl:0", texts={"name": "core", "energy_uj": count}),)})
        for count in ("9000000", "4000000", "9000000")
    ]

    assert last_draw(falling[:2]).watts.value is None
    assert last_draw(falling).watts.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("domain", "extent"),
    [("psys", Extent.DEVICE), ("package-1", Extent.PROCESSOR), ("core", Extent.PART), ("dram", Extent.PART)],
)
def test_what_a_counter_covers_is_known_by_its_domain(domain, extent):
    assert last_draw(caps(1, 2, name=domain)).extent is extent


def test_a_counter_that_was_reset_says_nothing_until_the_next_look():
    """As by a suspend: to have come around to where it is, it would have had to grow by 52 kW."""
    counters = caps(1_000_000_000, 3_000_000, 78_000_000)

    assert last_draw(counters[:2]).watts.value is None
    assert last_draw(counters).watts.value == pytest.approx(15.0)


@pytest.mark.parametrize(("joules", "watts"), [(20_000, 4000.0), (20_001, None)])
def test_nothing_draws_more_than_a_large_server(joules, watts):
    assert last_draw(caps(0, joules * 1_000_000)).watts.value == watts


def test_looks_in_quick_succession_keep_what_was_computed():
    first, second, third = caps(0, 50_000_000, 50_000_001)
    counters = count_energy(count_energy({}, first, now_s=0), second, now_s=5)

    assert count_energy(counters, third, now_s=5.1) == counters


def test_a_counter_that_was_not_read_anew_draws_neither_nothing_nor_twice_as_much_later():
    """A busy machine may take longer to read it than a look waits; what was read before counts until then."""
    counters = caps(0, 50_000_000, 50_000_000, 150_000_000)

    assert last_draw(counters[:3]).watts.value == pytest.approx(10.0)
    assert last_draw(counters).watts.value == pytest.approx(10.0)


def test_a_counter_that_never_moves_counts_nothing():
    assert last_draw(caps(*[0] * 20)).watts.value is None


def test_a_counter_that_may_not_be_read_says_so():
    device = DeviceText(name="intel-rapl:0", texts={"name": "psys"}, errors={"energy_uj": "Permission denied"})
    snapshot = Snapshot(devices={"power_caps": (device,)})
    (draw,) = draws(snapshot, count_energy({}, snapshot, now_s=0), ())

    assert draw.watts.reason == "its counter cannot be read: Permission denied"
    assert device_watts([draw]).reason == "intel-rapl:0 (psys): its counter cannot be read: Permission denied"


@given(before=st.floats(0, 1000), grown=st.floats(0, 999))
def test_growth_is_never_negative_and_right_once_around(before, grown):
    joules = (before + grown) % 1000 if before + grown >= 1000 else before + grown

    assert grown_by(before, joules, 1000.0) == pytest.approx(grown, abs=1e-6)


def test_growth_of_a_counter_without_a_range_is_not_known_once_it_fell():
    assert grown_by(10.0, 5.0, None) is None
    assert grown_by(10.0, 5.0, 8.0) is None
    assert grown_by(5.0, 10.0, None) == 5.0


def test_rails_of_a_board_are_told_apart_by_their_labels():
    snapshot = monitor(
        "ina3221",
        in1_label="VDD_IN", in1_input="5000", curr1_input="2000",
        in2_label="VDD_SOC", in2_input="5000", curr2_input="500",
    )  # fmt: skip
    whole, part = draws(snapshot, {}, ())

    assert (whole.extent, whole.watts.value) == (Extent.DEVICE, pytest.approx(10.0))
    assert (part.extent, part.watts.value) == (Extent.PART, pytest.approx(2.5))
    assert device_watts([part, whole]).value == pytest.approx(10.0)


@pytest.mark.parametrize("label", ["VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "VDD_SYS_IN"])
def test_the_rail_that_feeds_a_board_is_known_by_its_label(label):
    (draw,) = draws(monitor("ina3221", in1_label=label, in1_input="5000", curr1_input="2000"), {}, ())

    assert draw.extent is Extent.DEVICE


@pytest.mark.parametrize(
    ("texts", "watts"),
    [
        pytest.param({"curr1_input": "2000"}, None, id="no voltage"),
        pytest.param({"curr1_input": "x", "in1_input": "5000"}, None, id="no current"),
        pytest.param({"curr1_input": "-2", "in1_input": "5000"}, None, id="less than nothing"),
        pytest.param({"curr1_input": "0", "in1_input": "5000"}, 0.0, id="nothing"),
    ],
)
def test_a_rail_needs_current_and_voltage_and_never_draws_less_than_nothing(texts, watts):
    (draw,) = draws(monitor("ina3221", **texts), {}, ())

    assert draw.watts.value == watts


def test_an_average_says_more_than_the_moment():
    (draw,) = draws(monitor("amdgpu", power1_input="90000000", power1_average="31000000"), {}, ())

    assert draw.watts.value == pytest.approx(31.0)
    assert device_watts([draw]).reason == "only parts of this device are measured: hwmon0 (amdgpu)"


def test_a_power_meter_of_the_firmware_is_the_whole_device():
    assert device_watts(draws(monitor("power_meter", power1_average="250000000"), {}, ())).value == pytest.approx(250.0)


def test_a_meter_that_cannot_be_read_says_why():
    (draw,) = draws(monitor("power_meter", errors={"power1_average": "No data available"}), {}, ())

    assert draw.watts.reason == "it cannot be read: No data available"


def test_a_battery_that_is_drained_is_the_whole_device_and_comes_first():
    battery = SupplyText(name="BAT0", type="Battery", status="Discharging", power_now="9000000")

    assert device_watts(draws(monitor("power_meter", power1_average="1"), {}, [battery])).value == pytest.approx(9.0)


def test_on_mains_a_device_with_a_battery_only_does_not_know():
    battery = SupplyText(name="BAT0", type="Battery", status="Full", power_now="0")

    assert device_watts(draws(Snapshot(), {}, [battery])).reason == "battery: no battery is being drained"


@pytest.mark.parametrize(
    ("other", "is_whole"),
    [
        pytest.param({"type": "Mains", "online": "1"}, False, id="adapter that is too weak"),
        pytest.param({"type": "USB", "online": "1"}, False, id="USB charger that is too weak"),
        pytest.param({"type": "Battery", "status": "Charging"}, False, id="another battery that is charged"),
        pytest.param({"type": "Mains", "online": "0"}, True, id="adapter without a plug"),
        pytest.param({"type": "Wireless", "online": "1", "scope": "Device"}, True, id="charger of a pen"),
    ],
)
def test_a_battery_that_something_helps_is_not_the_whole_device(other, is_whole):
    battery = SupplyText(name="BAT0", type="Battery", status="Discharging", power_now="5000000")
    supplies = [SupplyText(name="other", **other), battery]
    measured = draws(monitor("power_meter", power1_average="60000000"), {}, supplies)

    assert measured[0].watts.reason == ("" if is_whole else "it is not all that feeds this device")
    assert device_watts(measured).value == pytest.approx(5.0 if is_whole else 60.0)


def test_adapters_and_the_batteries_of_mice_measure_nothing_of_the_device():
    adapter = SupplyText(name="AC", type="Mains", online="1")
    mouse = SupplyText(name="hidpp_0", type="Battery", scope="Device", status="Discharging", power_now="1000")

    assert draws(Snapshot(), {}, [adapter, mouse]) == ()


def test_nothing_that_measures_is_nothing_known():
    assert device_watts(draws(Snapshot(), {}, ())).reason == "nothing on this device measures power"
