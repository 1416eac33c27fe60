import pytest

from edged.quantities import bytes_text, unit_of


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 52, "4096.0 TiB"),
    ],
)
def test_sizes_are_written_in_the_unit_that_reads_best(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("latency_ms", "milliseconds"),
        ("request_timeout_s", "seconds"),
        ("memory_bytes", "bytes"),
        ("power_watts", "watts"),
        ("threads", None),
        ("ms", None),
        ("max_rows", None),
    ],
)
def test_a_key_says_its_unit_at_its_end(key, unit):
    found = unit_of(key)

    assert (found.plural if found else None) == unit


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [
        ("latency_ms", "200", 200),
        ("latency_ms", "200ms", 200),
        ("latency_ms", "0.2 s", 200),
        ("latency_ms", "350us", 0.35),
        ("latency_ms", "350 µs", 0.35),
        ("timeout_s", "1500 ms", 1.5),
        ("timeout_s", "2min", 120),
        ("memory_bytes", "128MB", 128_000_000),
        ("memory_bytes", " 128 MiB ", 134_217_728),
        ("memory_bytes", "2G", 2_147_483_648),
        ("memory_bytes", "0.5KiB", 512),
        ("power_watts", "500mW", 0.5),
        ("power_watts", "500ms", None),
        ("latency_ms", "fast", None),
        ("latency_ms", "", None),
        ("latency_ms", "-5ms", None),
        ("latency_ms", "1e3ms", None),
        ("latency_ms", "9" * 400, None),
        ("memory_bytes", "12Mb", None),
    ],
)
def test_a_number_with_another_unit_is_converted(key, text, number):
    """What is not sure to be meant (megabits or megabytes, minus anything) is left to the writer."""
    assert unit_of(key).number_in(text) == number
