"""What is done with requests is what was decided about them."""

from dataclasses import replace

import msgspec
import pytest

from edged.bundle.fallback import Constant
from edged.daemon.decisions.decided_models import CLOUD
from edged.daemon.serving.stand_in import ConstantAnswer, StandIn
from edged.errors import (
    DeferredError,
    HostUnreachableError,
    ModelStoppedError,
    ModelUnknownError,
    PolicyDeniedError,
    PolicyLimitError,
    TensorError,
    UnavailableError,
)
from edged.ids import ModelName
from edged.runtime.calls import RequestClass
from edged.runtime.tensors import InferResult
from edged.select.decision import Action
from edged.sense.context import Level
from edged.telemetry.serving import ServingStats
from tests.fakes.decided_devices import decided_device
from tests.fakes.requests import BACKGROUND, INTERACTIVE, Asked, request_of, rows_of
from tests.fakes.rules import rule
from tests.fakes.served_workers import settle

ECHO = ModelName("echo")


def is_hot(context, _ask):
    return context.thermal.value is Level.SERIOUS


HOT = rule("hot", when=is_hot, variants=("int8",), scale=0.5)
FROM_OUTSIDE = InferResult(outputs=(rows_of(b"c"),), run_s=0.1)


@pytest.fixture
async def device(monkeypatch):
    async with decided_device(monkeypatch) as device:
        yield device


async def test_without_a_policy_the_best_variant_answers_and_the_answer_says_that_the_built_in_rule_decided(device):
    asked, taken = device.submit(b"7")
    device.fp32.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.rule, taken.is_offloaded) == ("echo-fp32", "run-best", False)


async def test_a_rule_brings_another_variant_and_the_answer_says_which_rule(device):
    int8 = await device.models.load("int8")
    device.policies.become(HOT)
    device.contexts.become(thermal=Level.SERIOUS)
    asked, taken = device.submit(b"7")
    int8.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.rule, taken.decision.scale) == ("echo-int8", "hot", 0.5)


async def test_until_a_variant_is_loaded_the_one_that_answers_goes_on(device):
    device.policies.become(HOT)
    device.contexts.become(thermal=Level.SERIOUS)
    asked, taken = device.submit(b"7")
    device.fp32.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.variant) == ("echo-fp32", "echo-int8")


async def test_but_not_one_that_cannot_be_used(device):
    variants = device.models.variants
    variants.become("echo", *variants.known("echo"), unusable={"echo-fp32": ("its kit failed",)})

    with pytest.raises(
        UnavailableError, match="echo-int8 of model echo is being loaded, and echo-fp32 cannot be used"
    ) as caught:
        device.submit()
    assert caught.value.retry_after_s == 2


@pytest.mark.parametrize("unusable", [{}, {"echo-fp32": ("its kit failed",)}], ids=["usable", "unusable"])
async def test_of_the_decided_variants_the_best_that_is_loaded_answers(device, unusable):
    """Rather than the one that answers by itself."""
    int8 = await device.models.load("int8")
    variants = device.models.variants
    fp32, _ = known = variants.known("echo")
    fp16 = msgspec.structs.replace(fp32, id="echo-fp16", precision="fp16")
    variants.become("echo", fp16, *known, unusable=unusable)
    device.policies.become(rule("light", variants=("fp16", "int8", "*")))
    asked, taken = device.submit(b"7")
    int8.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.variant) == ("echo-int8", "echo-fp16")


async def test_without_a_policy_nobody_is_told_of_rules_where_no_worker_can_be_started(device):
    """What an operator has to know is why."""
    variants = device.models.variants
    variants.become(
        "echo", variants.known("echo")[0], unusable={"echo-fp32": ("its worker cannot be started: no memory",)}
    )

    for refused in (device.submit, lambda: device.decided.answering("echo", None, INTERACTIVE)):
        with pytest.raises(
            UnavailableError, match="variant echo-fp32: its worker cannot be started: no memory"
        ) as caught:
            refused()
        assert (caught.value.code, caught.value.retry_after_s) == ("unavailable", 5)
    assert device.serving.stats("echo").rejections == {"no-worker": 2}


async def test_whoever_waits_is_told_when_to_come_again(device):
    device.policies.become(rule("hot", defer_s=12.3))

    with pytest.raises(DeferredError, match="rule hot") as caught:
        device.submit()
    assert (caught.value.code, caught.value.retry_after_s, caught.value.facts) == ("deferred", 13, {"rule": "hot"})
    assert device.serving.stats("echo").rejections == {"deferred": 1}


async def test_background_work_is_kept_and_goes_on_when_it_may(device):
    device.policies.become(rule("busy", defer_s=5))
    asked, taken = device.submit(b"7", request_class=BACKGROUND)
    (ask, call, go_on) = device.holds.kept[0]
    assert (ask.request_class, call, taken.decision.rule) == (BACKGROUND, asked.call, "busy")
    with pytest.raises(DeferredError):
        go_on(call)
    assert device.serving.stats("echo").rejections == {}, "what is kept is not refused"

    int8 = await device.models.load("int8")
    device.policies.become(rule("night", variants=("int8",)))
    go_on(call)
    int8.answer_all()
    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.rule) == ("echo-int8", "night")


async def test_background_work_that_is_kept_ends_with_a_stop(device):
    device.policies.become(rule("busy", defer_s=5))
    asked, _ = device.submit(request_class=BACKGROUND)
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))

    with pytest.raises(ModelStoppedError):
        device.holds.kept[0][2](asked.call)


async def test_background_work_waits_behind_what_is_kept_already(device):
    device.policies.become(rule("busy", defer_s=5))
    device.submit(b"1", request_class=BACKGROUND)
    device.policies.become()
    device.submit(b"2", request_class=BACKGROUND)
    device.submit(b"3")

    assert len(device.holds.kept) == 2
    assert device.fp32.asked == [b"3"], "whoever waits does not wait for background work"


async def test_background_work_with_much_time_is_kept_for_as_long_as_there_is_no_room(device):
    device.submit(b"1", request_class=BACKGROUND)
    assert device.fp32.asked == [b"1"]

    asked = Asked(request_of(b"2", deadline_s=device.time.now_s + 31.0, request_class=BACKGROUND))
    device.decided.submit("echo", None, asked.call)
    assert [call for _, call, _ in device.holds.kept] == [asked.call]


async def test_more_than_a_rule_lets_run_at_a_time_is_refused_until_one_has_ended(device):
    device.policies.become(rule("warm", max_concurrent=1))
    device.submit(b"1")
    with pytest.raises(PolicyLimitError, match="rule warm lets no more than 1 requests at a time") as caught:
        device.submit(b"2")
    assert (caught.value.code, caught.value.facts, caught.value.retry_after_s) == (
        "policy-limited",
        {"rule": "warm"},
        1,
    )
    assert device.serving.stats("echo").rejections == {"limited": 1}

    device.fp32.answer_all()
    device.submit(b"3")
    assert device.fp32.asked == [b"1", b"3"]


async def test_a_request_that_is_not_taken_gives_its_place_back(device):
    variants = device.models.variants
    device.policies.become(rule("warm", max_concurrent=1))
    variants.become("echo", *variants.known("echo"), unusable={"echo-fp32": ("its kit failed",)})
    with pytest.raises(UnavailableError, match="is being loaded"):
        device.submit()
    variants.become("echo", *variants.known("echo"))
    asked, _ = device.submit(b"7")
    device.fp32.answer_all()

    assert asked.answer == b"7"


async def test_background_work_above_a_limit_is_kept(device):
    device.policies.become(rule("warm", max_concurrent=1))
    asked, _ = device.submit(request_class=BACKGROUND)
    other, _ = device.submit(request_class=BACKGROUND)
    (_, _, go_on), (_, _, go_on_with_other) = device.holds.kept
    go_on(asked.call)
    with pytest.raises(PolicyLimitError):
        go_on_with_other(other.call)

    assert device.serving.stats("echo").rejections == {}


async def test_what_a_rule_denies_is_denied_in_its_words(device):
    device.policies.become(rule("closed", deny="the gauge is being calibrated"))

    with pytest.raises(PolicyDeniedError, match="the gauge is being calibrated") as caught:
        device.submit()
    assert (caught.value.code, caught.value.facts) == ("policy-denied", {"rule": "closed"})
    assert device.serving.stats("echo").rejections == {"denied": 1}


async def test_background_work_that_is_denied_is_not_kept(device):
    device.policies.become(rule("closed", deny="no"))
    asked = Asked(request_of(deadline_s=device.time.now_s + 3600.0, request_class=BACKGROUND))

    with pytest.raises(PolicyDeniedError):
        device.decided.submit("echo", None, asked.call)
    assert device.holds.kept == []


@pytest.mark.parametrize(
    ("origin", "whose"), [("local", "Rule closed of the device's policy"), ("override", "An operator's override")]
)
async def test_whose_word_it_was_is_said(device, origin, whose):
    """Who overrides a policy gives no rule a name that a caller would know."""
    device.policies.become(rule("closed", origin=origin, deny="no"))
    with pytest.raises(PolicyDeniedError) as denied:
        device.submit()
    device.policies.become(rule("closed", origin=origin, defer_s=5))
    with pytest.raises(DeferredError) as deferred:
        device.submit()

    assert denied.value.hint.startswith(whose)
    assert ("an operator's override" in deferred.value.message) is (origin == "override")


async def test_a_stop_a_stand_in_and_an_unknown_model_go_before_policy(device):
    device.policies.become(rule("closed", deny="no"))
    with pytest.raises(ModelUnknownError):
        device.decided.submit("other", None, Asked(request_of()).call)
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))
    with pytest.raises(ModelStoppedError):
        device.submit()


async def offloading(device, **then):
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", **then))
    return device.submit(b"7", has_consent=True)


async def test_the_cloud_answers_where_the_rule_prefers_it(device):
    asked, taken = await offloading(device, offload="prefer")
    device.endpoint.calls[0].finish(FROM_OUTSIDE)

    assert asked.answer == b"c"
    assert (taken.model.variant, taken.is_offloaded) == (CLOUD, True)
    assert device.fp32.asked == []


async def test_when_the_cloud_fails_the_device_answers(device):
    asked, taken = await offloading(device, offload="prefer")
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))
    device.fp32.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.is_offloaded) == ("echo-fp32", False)
    assert len(device.endpoint.calls) == 1


async def test_a_stop_ends_what_is_out_as_it_ends_what_is_here(device):
    asked, _ = await offloading(device, offload="prefer")
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))

    assert asked.error.code == ModelStoppedError.code
    assert device.endpoint.abandoned == device.endpoint.calls


async def test_what_is_back_is_ended_by_a_stop_only_once(device):
    asked, _ = await offloading(device, offload="prefer")
    device.endpoint.calls[0].finish(FROM_OUTSIDE)
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))

    assert asked.answer == b"c"
    assert device.endpoint.abandoned == []


async def test_a_cloud_that_takes_nothing_is_no_obstacle_either(device):
    device.endpoint.trouble = UnavailableError("its circuit is open")
    asked, taken = await offloading(device, offload="prefer")
    device.fp32.answer_all()

    assert asked.answer == b"7"
    assert not taken.is_offloaded


async def test_what_comes_back_from_the_cloud_is_decided_about_by_the_rules_of_that_moment(device):
    """It may have been out for long; a rule that lets nothing run here any more is no less for that."""
    denied, _ = await offloading(device, offload="prefer")
    device.policies.become(rule("closed", deny="too hot"))
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))
    deferred, _ = await offloading(device, offload="prefer")
    device.endpoint.models.clear()
    device.policies.become(rule("later", defer_s=60.0))
    device.endpoint.calls[1].finish(HostUnreachableError("nobody there"))

    assert (denied.error.code, deferred.error.code) == ("policy-denied", "deferred")
    assert device.fp32.asked == []


async def test_what_comes_back_from_the_cloud_is_answered_by_the_variant_of_that_moment(device):
    asked, taken = await offloading(device, offload="prefer")
    int8 = await device.models.load("int8")
    device.policies.become(rule("light", variants=("int8",)))
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))
    int8.answer_all()

    assert asked.answer == b"7"
    assert (taken.model.variant, taken.decision.rule) == ("echo-int8", "light")


async def test_what_was_wrong_with_a_request_out_there_is_not_tried_here(device):
    asked, _ = await offloading(device, offload="prefer")
    device.endpoint.calls[0].finish(TensorError("wrong shape"))

    assert asked.error.code == "tensor-invalid"
    assert device.fp32.asked == []


async def test_the_cloud_helps_out_when_the_queue_here_is_full(device):
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", offload="fall-back"))
    here = [device.submit(has_consent=True) for _ in range(4)]
    asked, taken = device.submit(has_consent=True)
    device.endpoint.calls[0].finish(FROM_OUTSIDE)

    assert (asked.answer, taken.is_offloaded) == (b"c", True)
    assert not any(taken.is_offloaded for _, taken in here)
    with pytest.raises(UnavailableError):
        device.submit(has_consent=False)


async def test_what_went_to_the_cloud_for_want_of_room_is_not_tried_here_again(device):
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", offload="fall-back"))
    for _ in range(4):
        device.submit(has_consent=True)
    asked, _ = device.submit(has_consent=True)
    device.fp32.answer_all()
    await settle()
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))

    assert isinstance(asked.error, HostUnreachableError)


async def test_a_model_that_is_stopped_is_not_asked_in_the_cloud_either(device):
    device.endpoint.models.add("echo")
    device.policies.become(rule("out", offload="fall-back"))
    device.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))
    with pytest.raises(ModelStoppedError):
        device.submit(has_consent=True)
    device.policies.become(rule("out", offload="prefer"))
    with pytest.raises(ModelStoppedError):
        device.submit(has_consent=True)

    assert device.endpoint.calls == []


async def test_what_comes_back_where_nothing_here_may_answer_any_more_is_told_to_come_again(device):
    asked, _ = await offloading(device, offload="prefer")
    device.policies.become(rule("out", offload="fall-back", variants=("int4",)))
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))

    assert (asked.error.code, asked.error.retry_after_s) == ("deferred", 1)


async def test_what_came_back_from_the_cloud_does_not_go_out_a_second_time(device):
    asked, _ = await offloading(device, offload="prefer")
    device.policies.become(rule("out", offload="fall-back"))
    for _ in range(4):
        device.submit()
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))

    assert asked.error.code == "unavailable"
    assert len(device.endpoint.calls) == 1


async def test_of_what_a_stand_in_answers_no_rule_is_said_to_have_decided(device):
    view = replace(device.serving.view("echo", None), fallback="constant")
    answers = ConstantAnswer(Constant(outputs=()), ServingStats())
    device.serving.stand_in(ECHO, StandIn(use="constant", words="a constant", answers=answers, view=lambda: view))
    for each in (rule("any"), rule("cold", deny="no"), rule("later", defer_s=5)):
        device.policies.become(each)
        _, taken = device.submit()

        assert (taken.model, taken.decision) == (view, None)
    device.policies.become(rule("any"))
    asked, _ = device.submit(request_class=BACKGROUND)
    await settle()

    assert isinstance(asked.outcomes[0], InferResult)


async def test_what_a_stand_in_answers_no_rule_limits(device):
    view = replace(device.serving.view("echo", None), fallback="constant")
    answers = ConstantAnswer(Constant(outputs=()), ServingStats())
    device.serving.stand_in(ECHO, StandIn(use="constant", words="a constant", answers=answers, view=lambda: view))
    device.policies.become(rule("slow", max_rate_per_s=1.0))
    asked = [device.submit()[0] for _ in range(3)]
    await settle()

    assert all(one.is_finished for one in asked)
    assert device.decided.limiting("echo", INTERACTIVE) is None


async def test_what_comes_back_from_the_cloud_is_answered_by_a_stand_in_whatever_the_rules_say(device):
    asked, taken = await offloading(device, offload="prefer")
    view = replace(device.serving.view("echo", None), fallback="constant")
    answers = ConstantAnswer(Constant(outputs=()), ServingStats())
    device.serving.stand_in(ECHO, StandIn(use="constant", words="a constant", answers=answers, view=lambda: view))
    device.policies.become(rule("closed", deny="no"))
    device.endpoint.calls[0].finish(HostUnreachableError("nobody there"))
    await settle()

    assert isinstance(asked.outcomes[0], InferResult)
    assert (taken.model, taken.decision, taken.is_offloaded) == (view, None, False)


async def test_a_caller_that_leaves_is_not_answered_here_in_place_of_the_cloud(device):
    asked, _ = await offloading(device, offload="prefer")
    asked.call.abandon()
    await settle()

    assert device.endpoint.abandoned == device.endpoint.calls
    assert asked.is_finished
    assert device.fp32.asked == []


async def test_what_is_known_already_does_not_run(device):
    device.submit(b"7", request_class=BACKGROUND)
    device.fp32.answer_all()
    asked, taken = device.submit(b"7")
    await settle()

    assert (asked.answer, taken.is_cached) == (b"7", True)
    assert device.fp32.asked == [b"7"]


async def test_requests_are_counted_by_what_was_decided(device):
    device.submit()
    device.policies.become(rule("closed", deny="no"))
    with pytest.raises(PolicyDeniedError):
        device.submit()

    assert device.decided.counts == {
        ("echo", RequestClass.INTERACTIVE, Action.RUN): 1,
        ("echo", RequestClass.INTERACTIVE, Action.DENY): 1,
    }


async def test_connections_of_the_tensor_socket_are_answered_by_the_decided_variant_or_by_nobody(device):
    await device.models.load("int8")
    device.policies.become(HOT)
    device.contexts.become(thermal=Level.SERIOUS)
    view, served = device.decided.answering("echo", None, INTERACTIVE)
    assert (view.variant, served.loadable.variant.id) == ("echo-int8", "echo-int8")

    device.policies.become(rule("closed", defer_s=9))
    with pytest.raises(DeferredError):
        device.decided.answering("echo", None, INTERACTIVE)
    with pytest.raises(ModelUnknownError):
        device.decided.answering("other", None, INTERACTIVE)


async def test_limits_for_connections_are_those_of_the_rule_that_decides_about_them(device):
    assert device.decided.limiting("echo", INTERACTIVE) is None

    device.policies.become(rule("warm", max_rate_per_s=5.0))
    assert device.decided.limiting("echo", INTERACTIVE).max_rate_per_s == 5.0
    assert device.decided.limiting("other", INTERACTIVE) is None
