"""What a device does about the version that a rollout names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.activation.candidate import Terms, last_resorts, next_step
from edged.files import hash_bytes
from edged.ids import Version
from edged.store.slots import Content, Slot, Slots, SlotState

ONE, TWO, THREE = Version.parse("1.0.0"), Version.parse("2.0.0"), Version.parse("3.0.0")


def slot(version: Version, state: SlotState) -> Slot:
    return Slot(state=state, content=Content(version=version, digest=hash_bytes(str(version).encode()), variant="m"))


def serving(version: Version, state: SlotState = SlotState.GOOD, *, fallback: Version | None = None) -> Slots:
    return Slots(
        a=slot(version, state), b=Slot() if fallback is None else slot(fallback, SlotState.FALLBACK), active="a"
    )


TRIAL = SlotState.TRIAL


@pytest.mark.parametrize(
    ("wanted", "slots", "terms", "expected"),
    [
        pytest.param(ONE, Slots(), Terms(), "try", id="first bundle of a model"),
        pytest.param(TWO, serving(ONE), Terms(), "try", id="newer version"),
        pytest.param(ONE, serving(TWO), Terms(), "try", id="older version, when the rollout says so"),
        pytest.param(None, serving(TWO), Terms(), "stay", id="nothing is meant for this device"),
        pytest.param(TWO, serving(TWO), Terms(), "stay", id="active already"),
        pytest.param(TWO, serving(TWO, TRIAL), Terms(), "stay", id="on trial already"),
        pytest.param(TWO, serving(ONE), Terms(refused={TWO}), "stay", id="refused before"),
        pytest.param(TWO, Slots(), Terms(refused={TWO}), "stay", id="refused before, and nothing else to serve"),
        pytest.param(TWO, serving(ONE), Terms(floor=THREE), "stay", id="below the floor"),
        pytest.param(TWO, serving(ONE), Terms(floor=TWO), "try", id="at the floor"),
        pytest.param(TWO, serving(THREE), Terms(floor=TWO), "try", id="back to the floor itself"),
        pytest.param(TWO, serving(ONE), Terms(stopped={TWO}), "stay", id="stopped"),
        pytest.param(TWO, serving(ONE), Terms(stopped={ONE}), "try", id="what is active is stopped"),
        pytest.param(ONE, serving(TWO, fallback=ONE), Terms(), "switch", id="back to what is proven"),
        pytest.param(ONE, serving(TWO, TRIAL, fallback=ONE), Terms(), "switch", id="back in the middle of a trial"),
        pytest.param(ONE, serving(TWO, fallback=ONE), Terms(floor=TWO), "stay", id="back below the floor"),
        pytest.param(ONE, serving(TWO, fallback=ONE), Terms(refused={ONE}), "stay", id="back to what was turned down"),
        pytest.param(THREE, serving(TWO, fallback=ONE), Terms(), "try", id="on from what is good"),
        pytest.param(THREE, serving(TWO, TRIAL, fallback=ONE), Terms(), "leave", id="nobody wants the trial any more"),
        pytest.param(
            THREE, serving(TWO, TRIAL), Terms(), "try", id="a first version's trial leaves the other slot free"
        ),
        pytest.param(
            THREE,
            serving(TWO, TRIAL, fallback=ONE),
            Terms(floor=TWO),
            "try",
            id="a fallback that may not answer is no use",
        ),
    ],
)
def test_next_step(wanted, slots, terms, expected):
    step = next_step(wanted, slots=slots, terms=terms)

    assert step.action == expected
    assert bool(step.reason) is (expected == "stay")


VERSIONS = st.sampled_from([ONE, TWO, THREE])


@given(
    wanted=st.none() | VERSIONS,
    states=st.tuples(st.sampled_from(list(SlotState)), st.sampled_from(list(SlotState))),
    contents=st.tuples(VERSIONS, VERSIONS),
    active=st.sampled_from(["a", "b", None]),
    refused=st.frozensets(VERSIONS),
    stopped=st.frozensets(VERSIONS),
    floor=st.none() | VERSIONS,
)
def test_nothing_is_activated_that_must_not_be(wanted, states, contents, active, refused, stopped, floor):
    """Whatever the slots are: never below the floor, never what was turned down here or stopped."""
    slots = Slots(a=slot(contents[0], states[0]), b=slot(contents[1], states[1]), active=active)
    terms = Terms(refused=refused, floor=floor, stopped=stopped)

    activated = list(last_resorts(slots, terms))
    if next_step(wanted, slots=slots, terms=terms).action != "stay":
        activated.append(wanted)

    assert not {version for version in activated if version in refused or version in stopped}
    assert all(floor is None or version >= floor for version in activated)


def test_with_nothing_active_what_was_there_before_is_tried_newest_first():
    slots = Slots(a=slot(ONE, SlotState.BAD), b=slot(TWO, SlotState.BAD))

    assert list(last_resorts(slots, Terms())) == [TWO, ONE]
    assert list(last_resorts(slots, Terms(refused={TWO}))) == [ONE]
    assert list(last_resorts(serving(ONE), Terms())) == []
