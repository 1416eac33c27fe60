"""Which variants are loaded next to each other, by tables, and by random wishes on devices with random memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.select.warm import Loaded, Room, Step, WarmRules, choose_answering, plan_step, targets_of

PLENTY = 1 << 40
NEEDS = {"a": 100, "b": 60, "c": 30}


def room(available: int = PLENTY, reserve: int = 50) -> Room:
    return Room(available_bytes=available, reserve_bytes=reserve, needs=NEEDS)


def loaded(*ids: str, **unwanted_s: float) -> list[Loaded]:
    return [Loaded(id=id_, unwanted_s=unwanted_s.get(id_, 0.0)) for id_ in ids]


def step(targets: str, have: list[Loaded], memory: Room | None = None, **rules: float) -> Step:
    return plan_step(targets=list(targets), loaded=have, room=memory or room(), rules=WarmRules(**rules))


def test_of_what_is_wanted_only_what_can_run_counts_and_where_nothing_can_the_best_of_the_rest():
    assert targets_of(["b", "a"], ["a", "b", "c"]) == ["b", "a"]
    assert targets_of(["b", "a"], ["a", "c"]) == ["a"]
    assert targets_of(["b"], ["c", "a"]) == ["c"]
    assert targets_of(["b"], []) == []


@pytest.mark.parametrize(
    ("targets", "have", "answers"),
    [
        ("ba", ["a"], "a"),
        ("ba", ["a", "b"], "b"),
        ("c", ["a", "b"], "a"),
        ("", ["a", "b"], "a"),
    ],
)
def test_first_of_the_wanted_that_is_loaded_answers_and_until_then_what_does_now(targets, have, answers):
    assert choose_answering(list(targets), loaded(*have)) == answers


def test_variant_without_a_worker_answers_only_where_there_is_no_other():
    broken = Loaded(id="a", is_working=False)
    assert choose_answering(["b"], [broken, Loaded(id="c")]) == "c"
    assert choose_answering(["b"], [broken]) == "a"


@pytest.mark.parametrize(
    ("what", "targets", "have", "memory", "rules", "expected"),
    [
        ("nothing to do", "a", loaded("a"), room(), {}, Step()),
        ("fits beside", "b", loaded("a"), room(110), {}, Step(load="b")),
        ("would leave no reserve", "b", loaded("a"), room(109), {}, Step(load="b", is_cold=True)),
        ("makes room first", "b", loaded("a", "c"), room(70), {}, Step(unload=("c",), needs_room=True)),
        ("beside the first if it fits", "ac", loaded("a"), room(80), {}, Step(load="c")),
        ("not otherwise", "ac", loaded("a"), room(79), {}, Step()),
        ("nor above the limit", "ac", loaded("a"), room(), {"max_loaded": 1}, Step()),
        ("wanted goes before unwanted", "ac", loaded("a", "b"), room(), {}, Step(load="c")),
        ("which is too many then", "ac", loaded("a", "b", "c"), room(), {}, Step(unload=("b",))),
        ("the longest unwanted first", "a", loaded("a", "b", "c", b=5.0, c=9.0), room(), {}, Step(unload=("c",))),
        ("unwanted for long", "a", loaded("a", "b", b=300.0), room(), {}, Step(unload=("b",))),
        ("not for so long", "a", loaded("a", "b", b=299.0), room(), {}, Step()),
        ("short of memory", "ac", loaded("a", "b", "c"), room(49), {}, Step(unload=("b",), needs_room=True)),
        ("not short yet", "a", loaded("a", "b"), room(50), {}, Step()),
        ("short, and one is missing", "ab", loaded("a", "c"), room(49), {}, Step(unload=("c",), needs_room=True)),
        ("one comes and one goes", "ac", loaded("a", "b", b=300.0), room(), {}, Step(unload=("b",), load="c")),
        ("the least wanted first", "abc", loaded("a", "b", "c"), room(), {}, Step(unload=("c",))),
        ("and one at a time", "abc", loaded("a", "b", "c"), room(49), {}, Step(unload=("c",), needs_room=True)),
        ("still short of it", "ac", loaded("a", "c"), room(49), {}, Step(unload=("c",), needs_room=True)),
        ("the last one stays", "a", loaded("a"), room(0), {}, Step()),
    ],
)
def test_next_step(what, targets, have, memory, rules, expected):
    assert step(targets, have, memory, **rules) == expected, what


VARIANTS = st.lists(st.sampled_from("abc"), unique=True, max_size=3)


@given(
    wishes=st.lists(VARIANTS.filter(bool), min_size=1, max_size=6),
    total=st.integers(0, 400),
    reserve=st.integers(0, 100),
    max_loaded=st.integers(1, 3),
)
def test_every_wish_is_fulfilled_in_a_few_steps_and_then_there_is_rest(wishes, total, reserve, max_loaded):
    """Whatever the memory: the first of the wanted answers in the end, and a cold switch is the last resort."""
    have, rules = ["a"], WarmRules(max_loaded=max_loaded)
    for wanted in wishes:
        targets = targets_of(wanted, "abc")
        for _ in range(12):
            answers = choose_answering(targets, loaded(*have))
            have.sort(key=lambda id_, answers=answers: id_ != answers)
            memory = room(max(0, total - sum(NEEDS[id_] for id_ in have)), reserve)
            next_ = plan_step(targets=targets, loaded=loaded(*have), room=memory, rules=rules)
            if not next_:
                break
            assert answers not in next_.unload
            assert targets[0] not in next_.unload
            have = [id_ for id_ in have if id_ not in next_.unload]
            if next_.is_cold:
                assert have == [answers]
                assert not memory.fits(next_.load)
                have = [next_.load]
            elif next_.load:
                assert memory.fits(next_.load)
                have.append(next_.load)
        else:
            raise AssertionError(f"no rest: {have} for {targets}")
        assert have[0] == targets[0]
        assert len(have) <= max(max_loaded, 1)
