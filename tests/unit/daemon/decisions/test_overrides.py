"""Overrides begin on the disk, end in time by either clock, and leave a trace of both."""

import pytest

from edged.errors import NothingToDoError, StoreError
from edged.policy.document import Then
from edged.store.history import Happening
from tests.fakes.policies import PolicyWorld

HOUR_S = 3600.0
INT8 = Then(variants=("int8",))


@pytest.fixture
def world(tmp_path):
    return PolicyWorld(tmp_path)


async def begin(overrides, model="echo", then=INT8, *, for_s=HOUR_S):
    return await overrides.begin(model, then, for_s=for_s, reason="a demonstration", by="operator alice")


def happened(world):
    return [(what, model, cause) for what, model, cause, _ in world.diary.notes]


async def test_an_override_is_in_force_until_its_time_is_over(world):
    overrides = world.overrides()
    await begin(overrides)

    world.clock.advance(HOUR_S - 1)
    await overrides.look()
    assert [override.model for override in overrides.current] == ["echo"]

    world.clock.advance(1)
    assert overrides.current == []
    await overrides.look()
    assert happened(world) == [
        (Happening.POLICY_OVERRIDDEN, "echo", "operator alice"),
        (Happening.POLICY_OVERRIDE_ENDED, "echo", "its time is over"),
    ]


async def test_what_was_asked_for_and_why_is_in_the_history(world):
    await begin(world.overrides(), then=Then(deny="under repair"))

    assert world.diary.notes[0][3] == "deny: under repair: a demonstration"


async def test_whoever_listens_is_told_of_begin_and_end(world):
    overrides, told = world.overrides(), []
    overrides.on_change(lambda: told.append([override.model for override in overrides.current]))

    await begin(overrides)
    world.clock.advance(HOUR_S)
    await overrides.look()

    assert told == [["echo"], []]


async def test_an_override_survives_a_restart(world):
    await begin(world.overrides())
    world.clock.advance(HOUR_S / 2)

    assert [override.then for override in world.overrides().current] == [INT8]


async def test_one_that_ended_while_the_daemon_was_down_ends_in_the_history_once(world):
    await begin(world.overrides())
    world.clock.advance(HOUR_S)

    for _ in range(2):
        overrides = world.overrides()
        assert overrides.current == []
        await overrides.look()

    assert [what for what, *_ in happened(world)] == [Happening.POLICY_OVERRIDDEN, Happening.POLICY_OVERRIDE_ENDED]


async def test_a_wall_clock_that_is_set_back_makes_it_no_longer(world):
    overrides = world.overrides()
    await begin(overrides)

    world.clock._unix_offset_s -= 10 * HOUR_S
    world.clock.advance(HOUR_S)

    assert overrides.current == []


async def test_a_wall_clock_that_is_set_forward_ends_it(world):
    overrides = world.overrides()
    await begin(overrides)

    world.clock._unix_offset_s += HOUR_S

    assert overrides.current == []


async def test_after_a_reboot_with_a_wrong_clock_it_lasts_no_longer_than_it_was_meant_to(world):
    await begin(world.overrides())
    world.boot_id = "second"
    world.clock._unix_offset_s -= 1000 * HOUR_S

    overrides = world.overrides()

    assert len(overrides.current) == 1
    world.clock.advance(HOUR_S)
    assert overrides.current == []


async def test_after_a_reboot_what_has_passed_by_the_wall_clock_counts(world):
    await begin(world.overrides())
    world.boot_id = "second"
    world.clock.advance(0.75 * HOUR_S)

    overrides = world.overrides()
    world.clock.advance(0.25 * HOUR_S)

    assert overrides.current == []


async def test_another_override_of_a_model_takes_the_place_of_the_first(world):
    overrides = world.overrides()
    await begin(overrides)
    await begin(overrides, then=Then(defer_s=60))

    assert [override.then for override in overrides.current] == [Then(defer_s=60)]
    assert world.diary.notes[1][3] == "another override took its place"


async def test_one_model_or_all_are_cleared(world):
    overrides = world.overrides()
    for model in ("a", "b", "c"):
        await begin(overrides, model)

    assert [override.model for override in await overrides.clear("b", by="operator bob")] == ["b"]
    assert [override.model for override in await overrides.clear(None, by="operator bob")] == ["a", "c"]
    assert world.overrides().current == []
    assert happened(world)[-1] == (Happening.POLICY_OVERRIDE_ENDED, "c", "operator bob")


@pytest.mark.parametrize("model", ["echo", None])
async def test_nothing_is_cleared_where_there_is_nothing(world, model):
    with pytest.raises(NothingToDoError, match="no override"):
        await world.overrides().clear(model, by="operator bob")


async def test_a_disk_that_refuses_begins_nothing(world):
    overrides = world.overrides()
    world.state.rmdir()

    with pytest.raises(StoreError, match="cannot be written"):
        await begin(overrides)

    assert overrides.current == []
    assert world.diary.notes == []


async def test_a_damaged_file_is_no_override(world, caplog):
    (world.state / "overrides.json").write_text("{")

    assert world.overrides().current == []
    assert "forgotten" in caplog.text
