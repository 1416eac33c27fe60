"""Overrides begin on the disk, end in time by either clock, and leave a trace of both."""

import asyncio
import json

import pytest

from edged.errors import NothingToDoError, StoreError
from edged.policy.document import Then
from edged.policy.override import AHEAD_S, LOOK_EVERY_S
from edged.store.history import Happening
from tests.fakes.clocks import ManualClock
from tests.fakes.daemons import until
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
        (Happening.POLICY_OVERRIDE_ENDED, "echo", "the clock"),
    ]


async def test_each_ends_by_itself_in_its_time(world, monkeypatch, caplog):
    """The loop's clock is the machine's; what is written is written by a thread."""
    caplog.set_level("INFO")
    monkeypatch.setattr(asyncio.get_running_loop(), "time", world.clock.monotonic_s)
    overrides = world.overrides()
    running = asyncio.create_task(overrides.run())
    await begin(overrides, "later", for_s=50.0)
    await begin(overrides, "early", for_s=30.0)
    assert [override.model for override in overrides.current] == ["early", "later"]

    for passed_s, over in ((30.0, ["early"]), (20.0, ["early", "later"])):
        world.clock.advance(passed_s)
        while ended(world) != over:
            await asyncio.to_thread(int)
    running.cancel()
    events = [record.edged_fields["model"] for record in caplog.records]
    assert events == ["later", "early", "early", "later"]


def ended(world):
    return [model for what, model, _ in happened(world) if what is Happening.POLICY_OVERRIDE_ENDED]


async def test_what_was_asked_for_and_why_is_in_the_history(world):
    await begin(world.overrides(), then=Then(deny="under repair"))

    assert world.diary.notes[0][3] == "deny: under repair: a demonstration"


async def test_what_was_asked_for_by_whom_for_how_long_and_why_is_in_the_journal(world, caplog):
    caplog.set_level("INFO")
    overrides = world.overrides()
    begun = await begin(overrides, then=Then(deny="under repair"), for_s=90.4)
    assert [begun] == overrides.current
    await overrides.clear("echo", by="operator bob")

    assert [record.edged_fields for record in caplog.records] == [
        {
            "model": "echo",
            "cause": "operator alice",
            "asked": "deny: under repair",
            "seconds": 90,
            "reason": "a demonstration",
        },
        {"model": "echo", "cause": "operator bob", "reason": "cleared"},
    ]


async def test_whoever_listens_is_told_of_begin_and_end(world):
    overrides, told = world.overrides(), []
    overrides.on_change(lambda: told.append([override.model for override in overrides.current]))

    await begin(overrides)
    world.clock.advance(HOUR_S)
    await overrides.look()

    assert told == [["echo"], []]


async def test_a_look_at_which_nothing_ends_tells_nobody_and_writes_nothing(world):
    overrides, told = world.overrides(), []
    overrides.on_change(lambda: told.append(overrides.current))

    await overrides.look()

    assert told == []
    assert not (world.state / "overrides.json").exists()


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


async def test_a_device_without_a_clock_that_reboots_again_and_again_comes_to_the_end_of_it(world):
    """Its wall clock says the same at each start, and no start lasts until the next writing."""
    await begin(world.overrides())
    booted_unix_s, in_force_s = world.clock.unix_s(), 0.0

    for start in range(int(HOUR_S / 50)):
        world.boot_id = str(start)
        world.clock = ManualClock(unix_s=booted_unix_s)
        overrides = world.overrides()
        await overrides.look()
        in_force_s += 50.0 if overrides.current else 0.0
        world.clock.advance(50.0)

    assert overrides.current == []
    assert 0.5 * HOUR_S < in_force_s <= HOUR_S


async def test_a_machine_that_does_not_know_its_start_comes_to_the_end_of_it(world):
    world.boot_id = ""
    await begin(world.overrides())
    world.clock = ManualClock(unix_s=world.clock.unix_s())

    await world.overrides().look()
    (override,) = world.overrides().current

    assert override.until_boot_s - world.clock.monotonic_s() <= HOUR_S - 2 * AHEAD_S


async def test_a_restart_of_the_daemon_costs_nothing(world):
    await begin(world.overrides())
    for _ in range(20):
        await world.overrides().look()
    overrides = world.overrides()

    world.clock.advance(HOUR_S - 1)

    assert len(overrides.current) == 1
    assert len(world.overrides().current) == 1


async def test_it_is_written_about_each_minute_while_there_is_one(world):
    overrides, file = world.overrides(), world.state / "overrides.json"
    await begin(overrides)
    written = {file.read_bytes()}

    for _ in range(int(HOUR_S / LOOK_EVERY_S) - 1):
        world.clock.advance(10.0)
        await overrides.look()  # as when others begin or end
        assert file.read_bytes() in written
        world.clock.advance(LOOK_EVERY_S - 10.0)
        await overrides.look()
        written.add(file.read_bytes())

    assert HOUR_S / AHEAD_S <= len(written) <= HOUR_S / LOOK_EVERY_S


async def test_a_disk_that_refuses_to_count_does_not_end_it(world, caplog):
    overrides = world.overrides()
    await begin(overrides)
    world.clock.advance(LOOK_EVERY_S)
    (world.state / "overrides.json").rename(world.directory / "kept.json")
    world.state.rmdir()

    await overrides.look()

    assert len(overrides.current) == 1
    assert "out of date" in caplog.text
    world.state.mkdir()
    await overrides.look()
    assert (world.state / "overrides.json").read_bytes() != (world.directory / "kept.json").read_bytes()


async def test_one_that_ended_while_the_disk_refused_leaves_the_file_when_it_does_not_any_more(world, caplog):
    overrides, file = world.overrides(), world.state / "overrides.json"
    await begin(overrides)
    file.unlink()
    world.state.rmdir()
    world.clock.advance(HOUR_S)
    for _ in range(3):
        await overrides.look()
    assert overrides.current == []
    assert caplog.text.count("out of date") == 1

    world.state.mkdir()
    await overrides.look()
    assert json.loads(file.read_bytes())["overrides"] == []
    file.unlink()
    await overrides.look()
    assert not file.exists()


async def test_a_disk_that_refuses_is_tried_again_though_no_override_is_left(world, monkeypatch, caplog):
    monkeypatch.setattr("edged.daemon.decisions.overrides.LOOK_EVERY_S", 0.001)
    overrides, file = world.overrides(), world.state / "overrides.json"
    await begin(overrides)
    file.unlink()
    world.state.rmdir()
    world.clock.advance(HOUR_S)
    running = asyncio.create_task(overrides.run())
    await until(lambda: "out of date" in caplog.text)

    world.state.mkdir()
    await until(file.exists)
    running.cancel()


async def test_a_disk_that_refuses_once_more_is_told_once_more(world, caplog):
    overrides = world.overrides()
    for expected in (1, 2):
        await begin(overrides)
        (world.state / "overrides.json").unlink()
        world.state.rmdir()
        world.clock.advance(HOUR_S)
        await overrides.look()
        assert caplog.text.count("out of date") == expected
        world.state.mkdir()


async def test_a_file_of_a_version_that_did_not_count_is_read(world):
    await begin(world.overrides())
    file = world.state / "overrides.json"
    document = json.loads(file.read_bytes())
    assert document["overrides"][0].pop("used_s") == AHEAD_S
    file.write_text(json.dumps(document))
    world.boot_id = "second"
    world.clock._unix_offset_s -= HOUR_S

    overrides = world.overrides()

    assert document["schema"] == 1
    (override,) = overrides.current
    assert (override.model, override.until_boot_s - world.clock.monotonic_s()) == ("echo", HOUR_S)
    await overrides.look()
    assert json.loads(file.read_bytes())["overrides"][0]["used_s"] == AHEAD_S


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


@pytest.mark.parametrize(
    ("model", "words"), [("echo", "there is no override of model echo"), (None, "there is no override")]
)
async def test_nothing_is_cleared_where_there_is_nothing(world, model, words):
    with pytest.raises(NothingToDoError, match=f"^{words}$") as caught:
        await world.overrides().clear(model, by="operator bob")

    assert "edgectl policy show" in caught.value.hint


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
