"""What is kept when there is not room for all, and what it counts for."""

import pytest

from edged.daemon.cache.kept import OVERHEAD_BYTES, Bounds, Kept
from edged.runtime.tensors import InferResult
from tests.fakes.requests import rows_of

ONE = OVERHEAD_BYTES + 1
WIDE = Bounds(max_bytes=1 << 20, max_entries=100)


def keep(kept: Kept, *keys: bytes, model: str = "m", bounds: Bounds = WIDE) -> None:
    """Keep a result of one byte by each key."""
    for key in keys:
        kept.keep_result(model, key, InferResult(outputs=(rows_of(key),), run_s=0.0), bounds)


def keep_features(kept: Kept, *keys: bytes, model: str = "m", bounds: Bounds = WIDE) -> None:
    """Keep features of one byte by each key."""
    for key in keys:
        kept.keep_features(model, key, (rows_of(key),), bounds)


def found(shelf, *keys: bytes) -> list[bool]:
    return [shelf.find(key) is not None for key in keys]


without_room = pytest.mark.parametrize(
    "bounds",
    [Bounds(max_bytes=1 << 20, max_entries=2), Bounds(max_bytes=2 * ONE + 1, max_entries=100)],
    ids=["number", "bytes"],
)


@without_room
def test_the_result_that_was_not_used_for_longest_goes_first(bounds):
    kept = Kept()
    keep(kept, b"a", b"b", bounds=bounds)
    kept.results.find(b"a")

    keep(kept, b"c", bounds=bounds)

    assert found(kept.results, b"a", b"b", b"c") == [True, False, True]
    assert (len(kept.results), kept.size_bytes) == (2, 2 * ONE)


@without_room
def test_the_features_that_were_not_used_for_longest_go_first(bounds):
    kept = Kept()
    keep_features(kept, b"a", b"b", bounds=bounds)
    kept.features.find(b"a")

    keep_features(kept, b"c", bounds=bounds)

    assert found(kept.features, b"a", b"b", b"c") == [True, False, True]
    assert (len(kept.features), kept.size_bytes) == (2, 2 * ONE)


@without_room
def test_features_go_before_any_result(bounds):
    kept = Kept()
    keep(kept, b"a", bounds=bounds)
    keep_features(kept, b"x", bounds=bounds)
    kept.features.find(b"x")

    keep(kept, b"b", bounds=bounds)

    assert found(kept.results, b"a", b"b") == [True, True]
    assert found(kept.features, b"x") == [False]


@without_room
def test_features_cost_no_result(bounds):
    kept = Kept()
    keep(kept, b"a", b"b", bounds=bounds)
    assert kept.room_for_features(bounds) < 0

    keep_features(kept, b"x", bounds=bounds)

    assert found(kept.results, b"a", b"b") == [True, True]
    assert len(kept.features) == 0


def test_what_is_larger_than_all_of_the_room_drives_nothing_out():
    kept, bounds = Kept(), Bounds(max_bytes=2 * ONE - 2, max_entries=9)
    keep(kept, b"a", bounds=bounds)
    keep(kept, b"b" * ONE, bounds=bounds)
    keep_features(kept, b"x" * ONE, bounds=bounds)

    assert (len(kept.results), len(kept.features), kept.size_bytes) == (1, 0, ONE)


def test_what_is_newer_takes_the_place_of_what_was_before():
    kept = Kept()
    keep(kept, b"a", b"a")
    keep_features(kept, b"a", b"a")

    assert (len(kept.results), len(kept.features), kept.size_bytes) == (1, 1, 2 * ONE)


def test_a_model_is_forgotten_with_all_that_is_known_of_it_and_no_other():
    kept = Kept()
    keep(kept, b"a", b"b", model="one")
    keep_features(kept, b"a", model="one")
    keep_features(kept, b"c", model="two")

    kept.forget("one")

    assert (kept.has("one"), kept.has("two")) == (False, True)
    assert (len(kept.results), len(kept.features), kept.size_bytes) == (0, 1, ONE)
