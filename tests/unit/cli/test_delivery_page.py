"""How a model's delivery stands, as a person reads it."""

from msgspec.structs import replace

from edged.api.documents.status import (
    CandidateStatus,
    ModelStatus,
    Refusal,
    RolloutStatus,
    ShadowStatus,
    SlotStatus,
    StopStatus,
    TrialStatus,
)
from edged.cli.delivery_page import render_delivery

NOW_S = 1_800_000_000.0


def model(**fields):
    slots = (
        SlotStatus(slot="a", state="trial", version="1.1.0", changed_at=NOW_S - 60),
        SlotStatus(slot="b", state="fallback", version="1.0.0", changed_at=NOW_S - 60),
    )
    return ModelStatus(**{"name": "gauge", "state": "serving", "active": "a", "slots": slots} | fields)


def test_a_trial_says_how_long_it_has_run_and_what_it_waits_for():
    trial = TrialStatus(reason="watched for 60 of 300 s", began_at=NOW_S - 60)

    assert render_delivery(model(trial=trial), now_s=NOW_S) == (
        "Model gauge: 1.1.0 active, trial\n  Trial  began 1 min ago: watched for 60 of 300 s\n"
    )


def test_a_device_that_is_not_meant_says_why():
    rollout = RolloutStatus(version="1.0.0", rule="everyone", reason="1.1.0 goes to 10 %, this device comes at 57 %")

    assert "  Rollout  1.0.0 should run here: 1.1.0 goes to 10 %, this device comes at 57 %\n" in render_delivery(
        model(rollout=rollout), now_s=NOW_S
    )
    nothing = RolloutStatus(version=None, rule="nobody", reason="no segment fits")
    assert "Rollout  nothing should run here: no segment fits" in render_delivery(model(rollout=nothing), now_s=NOW_S)


def test_what_a_developer_runs_by_themselves_is_no_rollout():
    own = RolloutStatus(version="0.1.0-local.1", rule="local", reason="unsigned, made of gauge.onnx")

    text = render_delivery(model(rollout=own), now_s=NOW_S)

    assert "  Local  0.1.0-local.1 should run here: unsigned, made of gauge.onnx\n" in text


def test_a_stop_comes_first_with_its_reason():
    stop = StopStatus(reason="leaks\x1b[2J", since="2026-11-23T02:00:00Z", action="fall-back", source="stop")
    page = render_delivery(model(state="fallback", stop=stop, fallback="a constant answer"), now_s=NOW_S)

    assert page.splitlines()[1:3] == [
        "  Stopped   by its publisher since 2026-11-23T02:00:00Z: leaks\\x1b[2J",
        "  Fallback  a constant answer",
    ]


def test_a_lease_that_ran_out_is_no_stop_of_the_publisher():
    stop = StopStatus(reason="48 h", since="2026-11-23T02:00:00Z", action="refuse", source="lease")

    assert "because nothing fresh of its publisher came in time" in render_delivery(model(stop=stop), now_s=NOW_S)


def test_a_candidate_that_waits_for_nothing_is_being_validated():
    candidate = CandidateStatus(version="1.2.0", waiting_for=(), since=NOW_S - 2)

    assert "Candidate  1.2.0, since 2 s ago, is being validated" in render_delivery(
        model(candidate=candidate), now_s=NOW_S
    )


SHADOW = ShadowStatus(
    reason="412 of 500 requests seen",
    began_at=NOW_S - 700,
    share=0.1,
    requests=412,
    failures=1,
    agreed=409,
    agreement=409 / 411,
    shed=3,
    worker_losses=0,
    active_p95_ms=8.25,
    p95_ms=9.0,
    left_s=3600.0,
)


def test_a_shadow_run_says_how_the_candidate_does_and_how_long_it_may_last():
    candidate = CandidateStatus(version="1.2.0", waiting_for=(), since=NOW_S - 700, shadow=SHADOW)
    page = render_delivery(model(candidate=candidate), now_s=NOW_S)

    assert "is in the shadow of the active version" in page
    assert (
        "Shadow     412 requests (0.1 of all), 1 failed, 3 shed, 0 workers lost, 99.5% of its answers agree, 95 % within 9 ms "
        "(active version 8.25 ms); 412 of 500 requests seen; at most 1 h left\n"
    ) in page


def test_a_shadow_run_that_nobody_has_asked_anything_says_only_what_is_known():
    shadow = replace(SHADOW, requests=0, failures=0, agreement=None, active_p95_ms=None, p95_ms=None)
    candidate = CandidateStatus(version="1.2.0", waiting_for=(), since=NOW_S - 700, shadow=shadow)

    assert "3 shed, 0 workers lost; 412" in render_delivery(model(candidate=candidate), now_s=NOW_S)


def test_what_was_refused_needs_review():
    refused = (Refusal(version="1.2.0", digest="0" * 64, reason="crashed", at=NOW_S - 5),)

    assert render_delivery(model(active=None, refused=refused, needs_review=True), now_s=NOW_S) == (
        "Model gauge: nothing active, needs review\n  Refused  1.2.0 5 s ago: crashed\n"
    )
