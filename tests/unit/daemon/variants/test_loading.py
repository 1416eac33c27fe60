"""How a variant is loaded beside the others or in their place, and what becomes of it when things change meanwhile."""

import logging

import pytest

from edged.daemon.serving.keeper import Loadable
from edged.daemon.variants.variants import LOOK_EVERY_S
from edged.errors import UnavailableError, ValidationFailedError
from edged.select.warm import WarmRules
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import settle
from tests.fakes.variant_devices import ECHO, VARIANTS, bundle_of


async def test_variant_of_a_version_that_was_replaced_meanwhile_is_not_used(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    device.gate.open()
    served = await device.serving.load(Loadable(bundle=bundle_of("2.0.0"), variant=VARIANTS[0]))
    device.serving.put(served)
    await settle()

    assert device.variants.loaded("echo")[0] == "int8", "of the new version, of which it is wanted as well"
    assert [worker.is_closed for worker in device.starter.workers] == [True, False, True, False]
    assert {item.loadable.bundle.manifest.version for item in device.serving.variants(ECHO)} == {"2.0.0"}
    assert {item.loadable.bundle.manifest.version for item in device.serving.loaded(ECHO)} == {"2.0.0"}


async def test_variant_of_a_model_that_is_gone_meanwhile_is_not_used(device):
    await device.activate()
    device.gate.close()
    await device.want("int8")
    device.serving.remove(ECHO)
    device.gate.open()
    await settle()

    assert [worker.is_closed for worker in device.starter.workers] == [True, True]
    device.serving.put(await device.serving.load(Loadable(bundle=bundle_of("1.0.0"), variant=VARIANTS[0])))
    assert device.variants.unusable("echo").keys() == {"npu", "absent"}, "nothing was wrong with it"


async def test_variant_that_was_activated_while_it_was_loaded_is_not_there_twice(device):
    """An older version comes back with the variant that answered last, say."""
    await device.activate()
    device.gate.close()
    await device.want("int8")
    bundle = device.serving.served[ECHO].loadable.bundle
    served = device.serving.employ(Loadable(bundle=bundle, variant=VARIANTS[1]), await device.starter())
    device.serving.put(served)
    device.gate.open()
    await settle()

    assert device.variants.loaded("echo") == ["int8"]
    assert [worker.is_closed for worker in device.starter.workers] == [True, False, True]


async def test_variant_passes_its_kit_once_and_the_one_that_was_activated_has(device):
    await device.activate()
    for wanted in ("int8", "fp32"):
        await device.want(wanted)
        await device.pass_s(WarmRules().unload_after_s + LOOK_EVERY_S)
        await device.pass_s(LOOK_EVERY_S)
    await device.want("int8")

    assert device.checked == ["int8"]


async def test_worker_of_a_variant_that_fails_its_kit_is_ended(device):
    await device.activate()
    device.verdicts.append(ValidationFailedError("wrong by 5"))
    device.gate.close()
    await device.want("int8")
    device.told.clear()
    device.gate.open()
    await settle()

    assert [worker.is_closed for worker in device.starter.workers] == [False, True]
    assert device.variants.unusable("echo")["int8"] == ("wrong by 5",)
    assert device.variants.loaded("echo") == ["fp32"]
    assert device.told == ["echo"]


async def test_what_makes_room_is_gone_before_anything_is_loaded_in_its_place(device):
    bundle = bundle_of("1.0.0")
    device.serving.put(await device.serving.load(Loadable(bundle=bundle, variant=VARIANTS[2])))
    await device.want("fp32")
    npu, fp32 = device.starter.workers
    asked = Asked(request_of(b"7", deadline_s=device.time.now_s + 30.0))
    device.variants.submit("echo", None, "npu", asked.call)
    device.available_bytes = 0
    await device.want("int8")
    assert (device.variants.loaded("echo"), npu.is_closed, fp32.is_closed) == (["fp32"], False, False)
    npu.answer_all()
    await settle()

    assert asked.answer == b"7"
    assert (device.variants.loaded("echo"), npu.is_closed, fp32.is_closed) == (["int8"], True, True)


async def test_where_memory_is_for_one_requests_wait_for_the_other(device, caplog):
    caplog.set_level(logging.INFO)
    before = await device.activate()
    device.available_bytes = 0
    taken = device.ask(b"a")
    device.gate.close()
    await device.want("int8")
    assert (device.gate.waiting, before.is_closed) == ([], False), "what was taken is finished first"
    waiting = device.ask(b"b")
    before.answer_all()
    await settle()
    assert (taken.answer, device.gate.waiting, before.is_closed) == (b"a", ["int8"], True)
    assert (device.variants.line(ECHO).loading, device.variants.line(ECHO).is_cold) == ("int8", True)

    device.gate.open()
    await settle()
    device.starter.last.answer_all()
    assert waiting.answer == b"b"
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["int8"], {"cold": 1})
    assert (device.variants.line(ECHO).loading, device.variants.line(ECHO).is_cold) == ("", False)
    (how,) = [record.edged_fields["how"] for record in caplog.records if "Another variant" in record.message]
    assert how == "cold"


async def test_what_waits_for_one_that_cannot_be_loaded_is_answered_by_the_one_before(device):
    await device.activate()
    device.available_bytes = 0
    device.gate.close()
    await device.want("int8")
    waiting = device.ask(b"b")
    device.starter.troubles.append(UnavailableError("no process"))
    device.gate.open()
    await settle()
    device.starter.last.answer_all()

    assert waiting.answer == b"b"
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["fp32"], {})
    assert device.variants.unusable("echo")["int8"] == ("no process",)


async def test_where_neither_can_be_loaded_whoever_waits_is_told_so(device):
    await device.activate()
    device.available_bytes = 0
    device.gate.close()
    await device.want("int8")
    waiting = device.ask(b"b")
    device.starter.troubles += [UnavailableError("no process"), UnavailableError("none at all")]
    device.gate.open()
    await settle()

    assert (waiting.error.code, waiting.error.message) == (
        "unavailable",
        "model echo cannot be loaded: none at all",
    )
    assert device.variants.models() == []
    with pytest.raises(UnavailableError, match="loaded"):
        device.ask(b"c")


async def test_while_a_version_may_not_be_replaced_requests_do_not_wait_for_a_variant_of_it(device):
    """What holds the turn may be about to have another version answer; then there is nothing to make room for."""
    before = await device.activate()
    device.available_bytes = 0
    async with device.turns[ECHO]:
        await device.want("int8")
        assert device.variants.loaded("echo") == ["fp32"]
        served = await device.serving.load(Loadable(bundle=bundle_of("2.0.0"), variant=VARIANTS[1]))
        device.serving.put(served)
        await settle()
    await settle()

    assert before.is_closed
    assert (device.variants.loaded("echo"), device.variants.switches(ECHO)) == (["int8"], {})
    assert len(device.starter.workers) == 2
