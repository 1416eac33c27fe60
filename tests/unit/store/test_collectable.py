"""What may be removed from the store: never what is used, brought, or the last thing to fall back to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ids import ModelName, Version
from edged.store.collectable import plan_collection

MODEL = ModelName("gauge")
OTHER = ModelName("voice")


def versions(*texts):
    return [Version.parse(text) for text in texts]


def plan(installed, *, in_use=(), brought=(), floor=None, keep_versions=0):
    found = plan_collection(
        {MODEL: versions(*installed)},
        in_use={MODEL: versions(*in_use)},
        brought={MODEL: versions(*brought)},
        floors={} if floor is None else {MODEL: Version.parse(floor)},
        keep_versions=keep_versions,
    )
    return [str(v) for _, v in found.surplus], [str(v) for _, v in found.spared]


@pytest.mark.parametrize(
    ("installed", "facts", "surplus", "spared"),
    [
        # what slots name and what the rollout brings stays, however old it is
        (("1.0.0", "2.0.0", "3.0.0"), {"in_use": ("1.0.0", "3.0.0"), "brought": ("2.0.0",)}, [], []),
        # the newest are spared, and go oldest first
        (
            ("1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0"),
            {"in_use": ("4.0.0", "5.0.0"), "keep_versions": 2},
            ["1.0.0"],
            ["2.0.0", "3.0.0"],
        ),
        # with one slot in use there is nothing else to fall back to than the newest of the rest
        (("1.0.0", "2.0.0", "3.0.0"), {"in_use": ("3.0.0",)}, ["1.0.0"], []),
        (("1.0.0", "2.0.0"), {}, ["1.0.0"], []),
        # below the floor nothing may be activated, so nothing is kept to fall back to
        (("1.0.0", "2.0.0", "3.0.0"), {"in_use": ("3.0.0",), "floor": "2.0.1"}, ["2.0.0", "1.0.0"], []),
        (("1.0.0", "2.0.0", "3.0.0"), {"in_use": ("3.0.0",), "floor": "2.0.0"}, ["1.0.0"], []),
        # a prerelease is older than its release
        (("2.0.0-rc.1", "2.0.0", "3.0.0"), {"in_use": ("3.0.0",)}, ["2.0.0-rc.1"], []),
        ((), {"in_use": ("1.0.0",)}, [], []),
    ],
)
def test_table_of_what_may_go(installed, facts, surplus, spared):
    assert plan(installed, **facts) == (surplus, spared)


def test_the_oldest_of_every_model_goes_before_the_newer_ones_of_any():
    found = plan_collection(
        {MODEL: versions("1.0.0", "2.0.0", "3.0.0", "4.0.0"), OTHER: versions("0.1.0", "0.2.0", "0.3.0", "0.4.0")},
        in_use={MODEL: versions("3.0.0", "4.0.0"), OTHER: versions("0.3.0", "0.4.0")},
        brought={},
        floors={},
        keep_versions=2,
    )

    assert {version for _, version in found.spared[:2]} == {*versions("1.0.0", "0.1.0")}
    assert {version for _, version in found.spared[2:]} == {*versions("2.0.0", "0.2.0")}


SOME = st.sets(st.integers(0, 8), max_size=6).map(lambda numbers: [Version(n, 0, 0) for n in sorted(numbers)])


@given(installed=SOME, in_use=SOME, brought=SOME, floor=st.none() | st.integers(0, 8), keep=st.integers(0, 3))
def test_what_goes_is_never_needed(installed, in_use, brought, floor, keep):
    """Whatever the numbers are: nothing that is used or brought goes, as many as configured are spared, and each goes once."""
    floors = {} if floor is None else {MODEL: Version(floor, 0, 0)}
    found = plan_collection(
        {MODEL: installed}, in_use={MODEL: in_use}, brought={MODEL: brought}, floors=floors, keep_versions=keep
    )

    gone = [version for _, version in (*found.surplus, *found.spared)]
    assert len(gone) == len(set(gone))
    assert set(gone) <= set(installed) - set(in_use) - set(brought)
    assert len(found.spared) <= keep
    assert not found.surplus or len(found.spared) == keep
    assert all(old < new for _, old in found.surplus for _, new in found.spared)
    left = set(installed) - set(gone)
    rest = set(installed) - set(in_use) - set(brought)
    if rest and len(set(in_use)) < 2 and (floor is None or max(rest) >= floors[MODEL]):
        assert max(rest) in left
