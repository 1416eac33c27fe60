"""Every attribute that something is judged by is looked for where the kernel's documentation says that it is."""

import pytest

from edged.sense.families import more_live
from edged.sense.sysfs import Sensors

CPU = "devices/system/cpu"


@pytest.fixture
def sensors(tmp_path):
    (tmp_path / "sys/class").mkdir(parents=True)
    sensors = Sensors(tmp_path / "sys", tmp_path / "proc")
    yield sensors
    sensors.close()


@pytest.mark.parametrize(
    ("family", "directory", "attributes"),
    [
        (
            "zones",
            "class/thermal/thermal_zone0",
            "type temp mode trip_point_0_type trip_point_0_temp trip_point_0_hyst",
        ),
        ("coolers", "class/thermal/cooling_device0", "type max_state cur_state"),
        (
            "monitors",
            "class/hwmon/hwmon0",
            (
                "name temp1_label temp1_max temp1_crit temp1_emergency temp1_input temp1_fault in1_label power1_label "
                "power1_input power1_average in0_lcrit_alarm"
            ),
        ),
        ("clocks", f"{CPU}/cpufreq/policy0", "cpuinfo_max_freq scaling_cur_freq scaling_max_freq bios_limit"),
        ("device_clocks", "class/devfreq/17000000.gpu", "name available_frequencies cur_freq max_freq"),
        (
            "processors",
            f"{CPU}/cpu0",
            "topology/physical_package_id thermal_throttle/core_throttle_count thermal_throttle/package_throttle_count",
        ),
        ("firmware", "devices/platform/soc/soc:firmware", "get_throttled"),
        (
            "supplies",
            "class/power_supply/BAT0",
            (
                "type scope energy_full charge_full online status present capacity energy_now charge_now power_now "
                "current_now voltage_now"
            ),
        ),
        ("power_caps", "class/powercap/intel-rapl:0:1", "name max_energy_range_uj energy_uj"),
        ("render_nodes", "class/drm/renderD128", "device/uevent"),
        ("compute_nodes", "class/accel/accel0", "device/uevent"),
        ("edge_processors", "class/apex/apex_0", "device/uevent"),
        ("nvidia", "bus/pci/drivers/nvidia/0000:01:00.0", ""),
    ],
)
def test_what_something_is_judged_by_is_read_and_nothing_else(sensors, tmp_path, family, directory, attributes):
    place = tmp_path / "sys" / directory
    place.mkdir(parents=True)
    for name in (*attributes.split(), "uevent", "power_supply_extra"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(f"text of {name}\n")

    (device,) = sensors.look().of(family)

    assert device.name == place.name
    assert device.texts == {name: f"text of {name}" for name in attributes.split()}


@pytest.mark.parametrize(
    ("family", "place", "most"),
    [
        ("zones", "class/thermal/thermal_zone{}", 128),
        ("coolers", "class/thermal/cooling_device{}", 128),
        ("processors", f"{CPU}/cpu{{}}", 32),
    ],
)
def test_devices_without_number_are_not_all_read(sensors, tmp_path, family, place, most):
    for number in range(most + 1):
        (tmp_path / "sys" / place.format(number)).mkdir(parents=True)

    devices = sensors.look().of(family)

    assert [device.name for device in devices] == [place.format(number).rpartition("/")[2] for number in range(most)]


@pytest.mark.parametrize("attribute", ["in1_input", "in3_input", "curr1_input", "curr3_input"])
def test_of_a_monitor_of_rails_currents_and_voltages_are_read_and_of_others_not(attribute):
    assert more_live({"name": "ina3221"}).fullmatch(attribute)
    assert more_live({"name": "nct6798"}) is None
