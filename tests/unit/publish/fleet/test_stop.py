import pytest

from edged.errors import NothingToDoError, UsageError
from edged.ids import Version
from edged.ops.stop import Stop, Stops
from edged.publish.fleet.stop import lift_stop, set_lease, stop_model

FIRST, SECOND = "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z"
NOTHING = Stops(schema=1, issued=FIRST, serial=1, models={})


def stopped(stops, *versions, reason="wrong", action="refuse", since=FIRST):
    return stop_model(stops, "adder", reason=reason, versions=versions, action=action, since=since)


def test_a_model_is_stopped_with_all_its_versions_or_some():
    assert stopped(NOTHING).models == {"adder": Stop(reason="wrong", since=FIRST)}
    some = stopped(NOTHING, "1.10.0", "1.9.0", "1.9.0").models["adder"]

    assert some.versions == ("1.9.0", "1.10.0")
    assert not some.covers(Version.parse("1.0.0"))


@pytest.mark.parametrize(
    ("before", "more", "versions"),
    [
        ((), ("1.0.0",), ()),
        (("1.0.0",), (), ()),
        (("1.0.0",), ("1.1.0",), ("1.0.0", "1.1.0")),
        (("1.0.0",), ("1.0.0",), ("1.0.0",)),
    ],
)
def test_stopping_again_only_widens_and_keeps_since_when(before, more, versions):
    """A slip in an emergency must not let anything answer again."""
    again = stopped(stopped(NOTHING, *before), *more, since=SECOND).models["adder"]

    assert (again.versions, again.since) == (versions, FIRST)


@pytest.mark.parametrize(
    ("before", "more", "action"),
    [
        ("refuse", "fall-back", "refuse"),
        ("fall-back", "refuse", "refuse"),
        ("fall-back", "fall-back", "fall-back"),
    ],
)
def test_what_is_refused_is_not_answered_for_by_stopping_it_again(before, more, action):
    again = stopped(stopped(NOTHING, action=before), "1.0.0", action=more).models["adder"]

    assert (again.versions, again.action) == ((), action)


def test_stopping_with_the_same_words_changes_nothing():
    assert stopped(stopped(NOTHING), since=SECOND) == stopped(NOTHING)


def test_lifting_leaves_other_models_stopped():
    both = stop_model(stopped(NOTHING), "gauge", reason="x", versions=(), action="fall-back", since=SECOND)

    assert list(lift_stop(both, "adder").models) == ["gauge"]
    with pytest.raises(NothingToDoError, match="adder is not stopped"):
        lift_stop(NOTHING, "adder")


def test_leases_come_and_go_beside_stops():
    leased = set_lease(stopped(NOTHING), "adder", 48.0)

    assert leased.leases["adder"].hours == 48.0
    assert leased.models == stopped(NOTHING).models
    assert set_lease(leased, "adder", None) == stopped(NOTHING)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), float("inf")])
def test_times_that_are_no_lease(hours):
    with pytest.raises(UsageError):
        set_lease(NOTHING, "adder", hours)
