"""The context as metrics, read with Prometheus' own parser."""

from prometheus_client.parser import text_string_to_metric_families

from edged.api.metrics.context import add_accuracy, add_context
from edged.policy.given import situation_of
from edged.sense.context import Context
from edged.telemetry.exposition import Exposition

HOT = situation_of(
    {
        "thermal": "serious",
        "power": "battery:40",
        "link": "wifi",
        "cpu_pressure": 25,
        "throttled": True,
        "metered": True,
    }
).context


def samples(add):
    """Return the values by name and label."""
    text = Exposition()
    add(text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.encode().decode())
        for sample in family.samples
    }


def test_what_is_known_is_shown_in_base_units():
    found = samples(lambda text: add_context(text, HOT))

    assert found["edged_thermal_level", "serious"] == 1
    assert found["edged_thermal_level", "critical"] == 0
    assert found["edged_power_source", "battery"] == 1
    assert found["edged_power_source", "mains"] == 0
    assert found["edged_power_battery_ratio",] == 0.4
    assert found["edged_pressure_ratio", "cpu"] == 0.25
    assert found["edged_network_link", "wifi"] == 1
    assert (found["edged_thermal_throttled",], found["edged_network_metered",]) == (1, 1)
    assert found["edged_idle_seconds",] == 3600


def test_what_is_not_known_is_left_out():
    assert samples(lambda text: add_context(text, Context())) == {("edged_sensor_complaints",): 0}


def test_sensors_that_lie_are_counted():
    found = samples(lambda text: add_context(text, Context(complaints=("a: x", "b: y"))))

    assert found["edged_sensor_complaints",] == 2


def test_hints_are_counted_by_model():
    found = samples(lambda text: add_accuracy(text, {("gauge", "degraded"): 2}))

    assert found == {("edged_accuracy_hints_total", "gauge", "degraded"): 2}
