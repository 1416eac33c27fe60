"""What becomes of wishes for variants while other things happen, with fake workers and a time that a test moves."""

import logging

import pytest

from edged.daemon.serving.keeper import Loadable
from edged.daemon.variants.variants import LOOK_EVERY_S, NOTED_AFTER_S
from edged.errors import ModelStoppedError, ModelUnknownError, StoreError, UnavailableError, ValidationFailedError
from edged.ids import ModelName
from edged.select.observed import FEWEST_RUNS
from edged.select.warm import WarmRules
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import settle
from tests.fakes.variant_devices import ECHO, MACHINE, VARIANTS, bundle_of


async def test_what_cannot_run_here_says_why(device):
    await device.activate()

    assert [item.id for item in device.variants.known("echo")] == ["fp32", "absent", "int8", "npu"]
    assert device.variants.unusable("echo") == {
        "npu": ("needs npu, this machine has cpu",),
        "absent": ("its files are not on this device",),
    }


async def test_what_answers_is_usable_although_it_would_not_be_chosen_here_any_more(device):
    """A machine has a little less memory after an upgrade, say: what ran before runs on."""
    served = await device.serving.load(Loadable(bundle=bundle_of("1.0.0"), variant=VARIANTS[2]))
    device.serving.put(served)

    assert device.variants.loaded("echo") == ["npu"]
    assert device.variants.unusable("echo").keys() == {"absent"}


async def test_nothing_is_known_of_a_model_that_does_not_answer(device):
    assert (device.variants.known("echo"), device.variants.unusable("echo"), device.variants.loaded("echo")) == (
        (),
        {},
        [],
    )
    await device.activate()
    assert device.variants.models() == ["echo"]
    device.serving.remove(ECHO)

    assert (device.variants.known("echo"), device.variants.models(), device.told[-1]) == ((), [], "echo")


async def test_wish_that_is_said_before_the_model_answers_is_not_forgotten(device):
    await device.want("int8")
    await device.activate()

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_wish_that_has_changed_while_a_variant_is_loaded_counts(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    assert device.gate.waiting == ["int8"]
    await device.want("fp32")
    device.gate.open()
    await settle()

    assert device.variants.loaded("echo") == ["fp32", "int8"]
    assert device.variants.switches(ECHO) == {}


async def test_of_all_models_one_at_a_time_is_loaded(device):
    await device.activate()
    await device.activate(name="other")
    device.gate.close()
    await device.want("int8")
    await device.want("int8", name="other")
    assert len(device.gate.waiting) == 1
    device.gate.open()
    await settle()

    assert (device.variants.loaded("echo"), device.variants.loaded("other")) == (["int8", "fp32"], ["int8", "fp32"])


async def test_what_fails_without_a_word_is_said_to_have_failed_all_the_same(device):
    await device.activate()
    device.verdicts.append(TimeoutError())
    await device.want("int8")

    assert device.variants.unusable("echo")["int8"] == ("TimeoutError",)


async def test_rests_of_what_fails_again_and_again_become_longer(device):
    await device.activate()
    device.verdicts += [ValidationFailedError("wrong")] * 3
    await device.want("int8")
    tries = []
    for _ in range(43):
        await device.pass_s(LOOK_EVERY_S)
        tries.append(len(device.checked))

    assert [tries.index(count) for count in (2, 3, 4)] == [5, 17, 41], "after one, two and four minutes"
    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_rests_are_short_again_after_one_that_could_be_loaded(device):
    await device.activate()
    device.verdicts.append(ValidationFailedError("wrong"))
    await device.want("int8")
    await device.pass_s(60.0)
    assert device.variants.loaded("echo") == ["int8", "fp32"]
    await device.want("fp32")
    await device.pass_s(WarmRules().unload_after_s)
    assert device.variants.loaded("echo") == ["fp32"]

    device.starter.troubles.append(UnavailableError("no process"))
    await device.want("int8")
    assert device.variants.unusable("echo")["int8"] == ("no process",)
    await device.pass_s(60.0)
    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_whoever_wants_to_know_is_told_when_something_is_usable_again_measured_or_unloaded_and_else_not(
    device, caplog
):
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    device.verdicts.append(ValidationFailedError("wrong"))
    await device.want("int8")
    await device.want("fp32")

    async def told(after_s: float) -> list[str]:
        device.told.clear()
        await device.pass_s(after_s)
        return device.told[:]

    assert await told(LOOK_EVERY_S) == []
    for _ in range(FEWEST_RUNS):
        device.serving.served[ECHO].run_times.observe(0.01)
    assert await told(LOOK_EVERY_S) == ["echo"]
    assert await told(LOOK_EVERY_S) == []
    assert await told(60.0) == ["echo"]
    await device.want("int8")
    await device.want("fp32")
    await device.pass_s(LOOK_EVERY_S)
    assert await told(WarmRules().unload_after_s) == ["echo"]
    assert device.variants.loaded("echo") == ["fp32"]
    assert "ERROR" not in {record.levelname for record in caplog.records}


@pytest.mark.parametrize(("missing_bytes", "how"), [(0, "warm"), (1, "cold")])
async def test_a_variant_is_loaded_beside_the_other_where_its_memory_and_the_reserve_are_there(
    device, missing_bytes, how
):
    await device.activate()
    reserve_bytes = int(MACHINE.memory_bytes * WarmRules().reserve_percent / 100)
    device.available_bytes = reserve_bytes + VARIANTS[1].budget.memory_bytes - missing_bytes
    await device.want("int8")

    assert device.variants.switches(ECHO) == {how: 1}


async def test_what_was_taken_before_a_switch_is_answered_where_it_is(device):
    worker = await device.activate()
    await device.want("fp32", "int8")
    asked = [device.ask(data) for data in (b"a", b"b")]
    await device.want("int8")
    worker.answer_all()

    assert [one.answer for one in asked] == [b"a", b"b"]
    assert [one.call.instead for one in asked] == ["", ""]


async def test_a_model_that_is_gone_is_no_trouble_to_the_others(device):
    await device.activate(name="other")
    await device.activate()
    device.serving.remove(ModelName("other"))
    await device.pass_s(NOTED_AFTER_S)
    await device.want("int8")

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_a_disk_that_refuses_is_no_trouble_to_what_answers(device, monkeypatch, caplog):
    def refuse(_items):
        raise StoreError("no space left")

    monkeypatch.setattr(device.state, "write_variants", refuse)
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    await device.want("int8")

    assert device.variants.loaded("echo") == ["int8", "fp32"]
    assert "What is known about variants cannot be kept: no space left" in caplog.messages


async def test_at_the_end_nothing_is_loaded_any_more(device):
    await device.activate()
    await device.end()
    await device.want("int8")
    device.serving.remove(ECHO)

    assert len(device.starter.workers) == 1


async def test_loaded_variant_takes_what_waits_for_one_whose_worker_cannot_be_started_again(device):
    worker = await device.activate()
    await device.want("fp32", "int8")
    device.ask(b"a")
    waiting = device.ask(b"b")
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()
    device.starter.last.answer_all()

    assert waiting.answer == b"b"
    assert waiting.call.instead == "int8"
    assert device.variants.unusable("echo")["fp32"] == ("its worker cannot be started: no process",)


async def test_while_another_variant_is_loaded_in_its_place_nothing_else_has_to_answer(device):
    worker = await device.activate()
    device.starter.troubles.append(UnavailableError("no process"))
    device.gate.close()
    worker.die()
    await settle()
    device.gate.open()
    await settle()
    assert device.variants.loaded("echo") == ["int8"]
    assert not device.serving.is_mending(ECHO)
    device.starter.troubles += [UnavailableError("no process")] * 2
    device.starter.last.die()
    await settle()

    assert device.variants.loaded("echo") == []
    assert not device.serving.is_mending(ECHO), "there is nothing left to try"


@pytest.mark.parametrize("is_removed", [False, True])
async def test_a_variant_is_on_its_way_until_it_is_there_or_the_model_is_gone(device, is_removed):
    worker = await device.activate()
    device.may_judge.clear()
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()
    assert device.checked == ["int8"]
    assert device.serving.is_mending(ECHO)
    if is_removed:
        device.serving.remove(ECHO)
    else:
        device.may_judge.set()
        await settle()

    assert not device.serving.is_mending(ECHO)
    device.may_judge.set()


async def test_nothing_is_loaded_for_a_model_that_may_not_answer(device):
    await device.activate()
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped", since="now"))
    await device.want("int8")
    assert device.variants.loaded("echo") == ["fp32"]
    device.serving.release(ECHO)
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.loaded("echo") == ["int8", "fp32"]


async def test_restart_begins_with_what_has_answered_for_a_while(device):
    """A switch writes nothing; flash memory is spared."""
    worker = await device.activate()
    await device.pass_s(NOTED_AFTER_S)
    await device.want("int8")
    await device.pass_s(LOOK_EVERY_S)
    assert device.table[ECHO].a.content.variant == "fp32"
    for _ in range(int(NOTED_AFTER_S / LOOK_EVERY_S)):
        await device.pass_s(LOOK_EVERY_S)

    assert not worker.is_closed
    assert device.table[ECHO].a.content.variant == "int8"
    assert device.state.read_slots()[ECHO].a.content.variant == "int8"


async def test_what_has_answered_for_a_moment_only_is_noted_at_the_end(device):
    await device.activate()
    await device.want("int8")
    await device.variants.write_down()

    assert device.state.read_slots()[ECHO].a.content.variant == "int8"
    assert [(item.id, item.has_passed) for item in device.state.read_variants()] == [("fp32", True), ("int8", True)]


async def test_what_answered_before_anybody_looked_after_variants_is_known(device):
    await device.activate()
    again = device.make_variants()

    assert [item.id for item in again.known("echo")] == ["fp32", "absent", "int8", "npu"]


async def test_what_runs_need_is_told_by_variant(device):
    assert device.variants.measured("echo") == {}
    await device.activate()
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.measured("echo").keys() == {"fp32"}


async def test_request_is_answered_by_the_variant_that_was_chosen_for_it(device):
    await device.activate()
    await device.want("fp32", "int8")
    asked = Asked(request_of(b"7", deadline_s=device.time.now_s + 30.0))
    view = device.variants.submit("echo", "1.0.0", "int8", asked.call)
    device.starter.last.answer_all()

    assert (asked.answer, view.variant) == (b"7", "int8")
    with pytest.raises(ModelUnknownError):
        device.variants.submit("echo", "2.0.0", "int8", asked.call)


async def test_a_model_that_cannot_be_looked_after_is_looked_after_again(device, monkeypatch, caplog):
    def fail(_served):
        raise RuntimeError("no")

    await device.activate()
    await device.want("int8")
    monkeypatch.setattr(device.serving, "end", fail)
    await device.pass_s(WarmRules().unload_after_s)
    assert "Variants of echo cannot be looked after" in caplog.messages
    assert device.variants.loaded("echo") == ["int8", "fp32"]
    monkeypatch.undo()
    await device.pass_s(LOOK_EVERY_S)

    assert device.variants.loaded("echo") == ["int8"]


async def test_journal_tells_from_what_to_what_by_which_rule_and_how(device, caplog):
    caplog.set_level(logging.INFO)
    await device.activate()
    device.gate.close()
    device.variants.want("echo", ("int8",), rule="warm")
    await settle()
    device.time.now_s += 1.5
    device.variants.want("echo", ("int8", "fp32"), rule="warm")
    await device.want("int8", "fp32")
    device.gate.open()
    await settle()

    (fields,) = [record.edged_fields for record in caplog.records if "Another variant" in record.message]
    assert fields == {
        "model": "echo", "version": "1.0.0", "before": "fp32", "variant": "int8", "rule": "hot", "how": "warm", "took_ms": 1500.0,
    }  # fmt: skip


async def test_journal_says_so_where_no_rule_wanted_another_variant(device, caplog):
    caplog.set_level(logging.INFO)
    worker = await device.activate()
    await device.pass_s(LOOK_EVERY_S)
    device.starter.troubles.append(UnavailableError("no process"))
    worker.die()
    await settle()

    (fields,) = [record.edged_fields for record in caplog.records if "Another variant" in record.message]
    assert (fields["before"], fields["variant"], fields["rule"], fields["took_ms"]) == ("fp32", "int8", "none", 0.0)
    assert device.variants.switches(ECHO) == {"warm": 1}
