"""What is kept when there is not room for all, and what it counts for."""

import pytest

from edged.daemon.cache.results import OVERHEAD_BYTES, Results
from edged.runtime.tensors import InferResult
from tests.fakes.requests import rows_of

ONE = OVERHEAD_BYTES + 1


def result(data: bytes = b"a") -> InferResult:
    return InferResult(outputs=(rows_of(data),), run_s=0.0)


def keep(results: Results, *keys: bytes, model: str = "m", max_bytes: int = 1 << 20, max_entries: int = 100) -> None:
    for key in keys:
        results.keep(model, key, result(key), max_bytes=max_bytes, max_entries=max_entries)


@pytest.mark.parametrize("limits", [{"max_entries": 2}, {"max_bytes": 2 * ONE + 1}], ids=["number", "bytes"])
def test_what_was_not_used_for_longest_goes_first(limits):
    results = Results()
    keep(results, b"a", b"b", **limits)
    results.find(b"a")

    keep(results, b"c", **limits)

    assert [results.find(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    assert (len(results), results.size_bytes) == (2, 2 * ONE)


def test_a_result_that_is_larger_than_all_of_the_room_drives_nothing_out():
    results = Results()
    keep(results, b"a")

    results.keep("m", b"b", result(b"b" * ONE), max_bytes=2 * ONE - 2, max_entries=9)

    assert results.find(b"a") is not None
    assert results.find(b"b") is None


def test_a_newer_result_takes_the_place_of_the_one_before():
    results = Results()
    keep(results, b"a", b"a")

    assert (len(results), results.size_bytes) == (1, ONE)


def test_a_model_is_forgotten_with_all_of_its_results_and_no_other():
    results = Results()
    keep(results, b"a", b"b", model="one")
    keep(results, b"c", model="two")

    results.forget("one")

    assert (results.has("one"), results.has("two")) == (False, True)
    assert (len(results), results.size_bytes) == (1, ONE)
