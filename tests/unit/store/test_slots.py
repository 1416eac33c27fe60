"""The slot table: every listed move works, every other is refused, and no walk ever leaves two slots active."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.files import hash_bytes
from edged.ids import Version
from edged.store.slots import ACTIVE_STATES, MOVES, Content, MoveRefusedError, Slot, SlotEvent, Slots, SlotState


def content(text: str) -> Content:
    return Content(version=Version.parse(text), digest=hash_bytes(text.encode()), variant=f"m-{text}-fp32-any")


def content_for(event: SlotEvent) -> Content | None:
    return content("1.0.0") if event is SlotEvent.WRITE_BEGAN else None


@pytest.mark.parametrize(("state", "event"), list(itertools.product(SlotState, SlotEvent)))
def test_table_decides_every_pair_of_state_and_event(state, event):
    slots = Slots(a=Slot(state=state, content=content("1.0.0")))

    if event in MOVES[state]:
        assert slots.advance("a", event, now_unix_s=1.0, content=content_for(event)).a.state is MOVES[state][event]
    else:
        with pytest.raises(MoveRefusedError, match=f"slot a is {state}"):
            slots.advance("a", event, now_unix_s=1.0, content=content_for(event))


def walk(slots: Slots, name, *events: SlotEvent, version: str = "1.0.0") -> Slots:
    for event in events:
        given = content(version) if event is SlotEvent.WRITE_BEGAN else None
        slots = slots.advance(name, event, now_unix_s=1.0, content=given, reason="test")
    return slots


TO_VALIDATION = (SlotEvent.WRITE_BEGAN, SlotEvent.WRITE_VERIFIED, SlotEvent.VALIDATION_BEGAN)
TO_TRIAL = (*TO_VALIDATION, SlotEvent.ACTIVATED)


def test_second_version_makes_the_first_its_fallback():
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    slots = walk(slots, slots.spare, *TO_TRIAL, version="2.0.0")

    assert slots.active == "b"
    assert slots.a.state is SlotState.FALLBACK


def test_bad_trial_flips_back_to_the_fallback_without_a_second_trial():
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    slots = walk(slots, "b", *TO_TRIAL, SlotEvent.HEALTH_FAILED, version="2.0.0")

    assert slots.active == "a"
    assert slots.a.state is SlotState.GOOD
    assert slots.b.state is SlotState.BAD
    assert slots.b.reason == "test"


def test_bad_trial_without_a_fallback_leaves_nothing_active():
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_FAILED)

    assert slots.active is None
    assert slots.active_slot is None


def test_fallback_that_must_not_be_activated_stays_where_it_is():
    """Below the floor of its publisher, a version is not activated in anybody's place either."""
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    slots = walk(slots, "b", *TO_TRIAL, version="2.0.0")
    slots = slots.advance("b", SlotEvent.HEALTH_FAILED, now_unix_s=1.0, may_fall_back=False)

    assert slots.active is None
    assert slots.a.state is SlotState.FALLBACK


def test_fallback_takes_over_as_good_in_the_middle_of_a_trial():
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    slots = walk(slots, "b", *TO_TRIAL, version="2.0.0")
    assert slots.fallback == "a"
    slots = walk(slots, "a", SlotEvent.ACTIVATED)

    assert (slots.active, slots.a.state, slots.b.state) == ("a", SlotState.GOOD, SlotState.BAD)
    assert slots.fallback is None


def test_candidate_keeps_its_slot_when_the_active_one_turns_bad():
    """Else a validation that is under way would go on in one slot, and its end be written to the other."""
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    slots = walk(slots, "b", *TO_VALIDATION, version="2.0.0")
    slots = walk(slots, "a", SlotEvent.HEALTH_FAILED)

    assert slots.active is None
    assert slots.spare == "b"


def test_trial_that_is_replaced_never_becomes_a_fallback():
    """What never proved itself is not something to fall back to."""
    slots = walk(Slots(), "a", *TO_TRIAL)
    slots = walk(slots, "b", *TO_TRIAL, version="2.0.0")

    assert slots.a.state is SlotState.BAD


def test_refused_candidate_leaves_the_active_slot_alone():
    before = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)
    after = walk(before, "b", *TO_VALIDATION, SlotEvent.VALIDATION_FAILED)

    assert after.a == before.a
    assert after.active == "a"


def test_active_slot_is_superseded_by_the_other_one_and_never_by_itself():
    slots = walk(Slots(), "a", *TO_TRIAL, SlotEvent.HEALTH_PASSED)

    with pytest.raises(MoveRefusedError, match="slot a is active"):
        slots.advance("a", SlotEvent.SUPERSEDED, now_unix_s=1.0)


def test_content_comes_with_the_beginning_of_a_write_and_only_then():
    with pytest.raises(MoveRefusedError, match="content comes with"):
        Slots().advance("a", SlotEvent.WRITE_BEGAN, now_unix_s=1.0)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(list(SlotEvent))), max_size=60))
def test_no_walk_leaves_two_slots_active(steps):
    """Exactly the active slot is in trial or good; the spare slot never is; an empty slot has no content."""
    slots = Slots()
    for name, event in steps:
        try:
            slots = slots.advance(name, event, now_unix_s=1.0, content=content_for(event))
        except MoveRefusedError:
            continue
        active = [name for name in ("a", "b") if slots[name].state in ACTIVE_STATES]
        assert active == ([] if slots.active is None else [slots.active])
        assert slots.spare != slots.active
        for slot in (slots.a, slots.b):
            assert (slot.content is None) == (slot.state is SlotState.EMPTY)
