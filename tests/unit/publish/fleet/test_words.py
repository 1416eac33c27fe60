import pytest

from edged.errors import UsageError
from edged.ops.segments import Segment
from edged.publish.fleet.words import duration, parse_duration, parse_segments, part_of_fleet


def test_labels_and_architectures_make_one_segment():
    [segment] = parse_segments(["region=us,eu", "site=lab"], ["arm64"])

    assert segment == Segment(labels={"region": ("eu", "us"), "site": ("lab",)}, arch=("arm64",))
    assert part_of_fleet([segment]) == "region=eu,us site=lab arch=arm64"
    assert parse_segments(["region=us", "region=eu"], []) == parse_segments(["region=eu,us"], [])


def test_nothing_means_everybody():
    assert parse_segments([], []) == ()
    assert part_of_fleet(()) == "everybody"


@pytest.mark.parametrize("label", ["region", "region=", "=eu", "Region=eu", "region=EU", "region=eu,", "region=eu us"])
def test_slips_in_labels_are_found_here_and_not_by_devices(label):
    with pytest.raises(UsageError):
        parse_segments([label], [])


def test_architectures_are_those_that_edged_knows():
    with pytest.raises(UsageError, match="x86"):
        parse_segments([], ["x86"])


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86_400), ("90min", 5400), ("90m", 5400), ("2d", 172_800), ("30", 30), ("30 s", 30)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1h", "1e9h", "inf", "1 year"])
def test_what_is_no_duration(text):
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.4, "5 s"), (65, "1 min"), (3600 * 3 + 720, "3 h 12 min"), (90_000, "1 d 1 h")]
)
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text
