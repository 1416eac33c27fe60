"""A kit that any model would pass is warned about, and one that is evidence is not."""

import pytest

from edged.bundle.manifest import Tolerance
from edged.validation.quality import weaknesses
from tests.fakes.kits import manifest_of, sample_of
from tests.fakes.workers import spec_of

NUMBERS = spec_of("length", "FP32", (-1,))
TEXTS = spec_of("length", "BYTES", (-1,))


def found(samples, output, **tolerance):
    return list(weaknesses(samples, manifest_of([output], [Tolerance(output="length", **tolerance)])))


def samples(*values, count=12, dtype="FP32"):
    """As many samples as asked for, with these golden values in turn."""
    return [sample_of(f"s{i}", *values[i % len(values)], dtype=dtype) for i in range(count)]


TELLING = samples((1.0, 5.0), (5.0, 1.0), (2.0, 9.0))


@pytest.mark.parametrize("tolerance", [{}, {"absolute": 0.5}, {"relative": 0.1}, {"cosine": 0.99}, {"top_1": 0.9}])
def test_a_kit_that_tells_samples_apart_has_no_weakness(tolerance):
    assert found(TELLING, NUMBERS, **tolerance) == []


@pytest.mark.parametrize(
    "tolerance",
    [{"absolute": 100.0}, {"relative": 50.0}, {"cosine": -1.0}, {"top_1": 0.1}, {"period": 0.5, "absolute": 0.3}],
)
def test_a_tolerance_under_which_all_samples_may_change_places_is_too_wide(tolerance):
    (warning,) = found(TELLING, NUMBERS, **tolerance)

    assert warning.startswith("the tolerance for output length is so wide")


def test_sets_of_labels_may_be_too_wide_as_well():
    kit = samples(("cat", "dog"), ("cat", "cow"), dtype="BYTES")

    assert found(kit, TEXTS, label_set=0.9) == []
    assert len(found(kit, TEXTS, label_set=0.3)) == 1


def test_samples_with_equal_golden_values_among_others_are_no_weakness():
    """A classifier says cat more than once."""
    assert found(samples(("cat",), ("cat",), ("dog",), dtype="BYTES"), TEXTS) == []


def test_few_samples_and_golden_values_that_are_all_the_same_are_warned_about():
    few, same = found(samples((1.0,), count=3), NUMBERS)

    assert few == "the kit has 3 samples; 10 to 50 say much more about a model"
    assert same.startswith("the golden values of output length are the same in all samples")


def test_an_output_without_any_golden_value_is_warned_about():
    manifest = manifest_of([NUMBERS, spec_of("score", "FP32", (1,))], [Tolerance(output="length")])

    assert list(weaknesses(TELLING, manifest)) == [
        "no sample has a golden value for output score, which may be anything then"
    ]
