"""What a person reads: states, slots, refusals with reasons, updates with error and hint."""

from edged.api.documents.status import (
    CandidateStatus,
    DeviceStatus,
    ModelStatus,
    Refusal,
    RefusedReload,
    RolloutStatus,
    SlotStatus,
    Status,
    VariantStatus,
    WorkerStatus,
)
from edged.cli.status_page import render
from edged.update.protocol.phases import Phase, Progress, UpdateError, UpdateStatus

NOW_S = 1_800_000_000.0

DEGRADED = Status(
    edged="0.1.0",
    state="degraded",
    started_at=NOW_S - 93_784,
    models=(
        ModelStatus(
            name="magika",
            state="serving",
            active="a",
            needs_review=True,
            slots=(
                SlotStatus(
                    slot="a", state="good", version="1.0.0", variant="magika-1.0.0-fp32-amd64", changed_at=NOW_S - 7200
                ),
                SlotStatus(slot="b", state="bad", version="1.1.0", reason="answers\ndiffer", changed_at=NOW_S - 60),
            ),
            refused=(Refusal(version="1.1.0", digest="0" * 64, reason="sample 3: \x1b[31mdiffers", at=NOW_S - 60),),
            worker=WorkerStatus(
                pid=812,
                restarts=1,
                requests=4000,
                failures=2,
                queued=3,
                running=4,
                unconfined=("no Landlock: the kernel\nis too old",),
            ),
            rollout=RolloutStatus(
                version="1.2.0", rule="next", reason="this device is in the first 25 %", floor="1.0.0"
            ),
            candidate=CandidateStatus(
                version="1.2.0", waiting_for=("mains power (now on battery)", "60 s\nidle"), since=NOW_S - 300
            ),
        ),
    ),
    device=DeviceStatus(id="kiosk-7", arch="amd64", labels={"ring": "canary", "region": "eu"}),
    update=UpdateStatus(
        phase=Phase.WAITING,
        repository="https://models.example.org/",
        changed_at=NOW_S - 10,
        last_success_at=NOW_S - 3600,
        next_poll_at=NOW_S + 45,
        error=UpdateError(code="host-unreachable", message="No answer.", hint="Is the network up?", failures=3),
        progress=Progress(model="magika", version="1.2.0", received_bytes=1_500_000, total_bytes=3_200_000),
    ),
)

PAGE = """\
edged   0.1.0
State   degraded (a model is refused, failed, stopped or rolled back)
Up      1 d 2 h
Device  kiosk-7 (amd64, region=eu, ring=canary)

Model magika: serving, needs review
  slot a  active  good  1.0.0  magika-1.0.0-fp32-amd64  since 2 h ago
  slot b          bad   1.1.0  -                        since 1 min ago (answers\\ndiffer)
  Candidate  1.2.0, since 5 min ago
  Waits for  mains power (now on battery)
             60 s\\nidle
  Rollout    1.2.0 should run here: this device is in the first 25 %
  Floor      1.0.0; nothing lower is activated
  worker 812: 4000 requests, 2 failed, 1 restarts; now 3 queued, 4 running
  sandbox incomplete: no Landlock: the kernel\\nis too old
  refused 1.1.0 1 min ago: sample 3: \\x1b[31mdiffers

Updates: waiting
  Repository    https://models.example.org/
  Download      magika 1.2.0: 1.5 MB of 3.2 MB
  Last success  1 h ago
  Next poll     in 45 s
  Error         No answer. [host-unreachable], 3 in a row
  Hint          Is the network up?
"""


def variant(name, state):
    return VariantStatus(id=name, tier="quality", precision="fp32", state=state)


def test_the_page_of_a_degraded_device():
    assert render(DEGRADED, now_s=NOW_S) == PAGE


def test_the_page_of_a_new_device():
    page = render(Status(edged="0.1.0", state="idle", started_at=NOW_S, models=()), now_s=NOW_S)

    assert page == (
        "edged  0.1.0\nState  idle (no model yet)\nUp     0 s\n\nUpdates: edged-update has not reported since boot\n"
    )


def test_a_clock_that_was_set_back_shows_the_moment_itself():
    assert "refused 1.1.0 2027-01-15 07:59 UTC: sample 3" in render(DEGRADED, now_s=NOW_S - 1e6)


def test_a_policy_that_was_refused_is_named_line_by_line():
    status = Status(
        edged="0.1.0", state="idle", started_at=NOW_S, models=(), refused_policies=("a.toml: x\ny", "a.toml: rule z")
    )

    page = render(status, now_s=NOW_S)

    assert "Policies refused, so that the last good ones are in force:\n  a.toml: x\\ny\n  a.toml: rule z\n" in page
    assert "State  idle (no model yet), with settings or policies that are refused\n" in page


def test_the_active_slot_has_the_variant_that_answers():
    """A policy may have another one answer than that which was activated."""
    model = ModelStatus(
        name="reader",
        state="serving",
        active="a",
        slots=tuple(
            SlotStatus(slot=slot, state="good", version=version, variant="reader-fp32", changed_at=NOW_S)
            for slot, version in (("a", "1.1.0"), ("b", "1.0.0"))
        ),
        variants=(variant("reader-fp32", "loaded"), variant("reader-int8", "answers")),
    )

    page = render(Status(edged="0.1.0", state="serving", started_at=NOW_S, models=(model,)), now_s=NOW_S)

    assert "  slot a  active  good  1.1.0  reader-int8  since 0 s ago\n" in page
    assert "  slot b          good  1.0.0  reader-fp32  since 0 s ago\n" in page


def test_a_reload_that_was_refused_is_named_with_when_and_what_for():
    """Once: what a policy of the same reload has wrong is not said again."""
    status = Status(
        edged="0.1.0",
        state="idle",
        started_at=NOW_S,
        models=(),
        refused_policies=("a.toml: rule z", "ops/policy.json: rules"),
        refused_reload=RefusedReload(at=NOW_S - 90, problems=("edged.toml: serve.x\n: expected y", "a.toml: rule z")),
    )

    page = render(status, now_s=NOW_S)

    assert (
        "Reload refused 1 min 30 s ago, so that settings are as before:\n  edged.toml: serve.x\\n: expected y\n  a.toml: rule z\n"
        "\nPolicies refused, so that the last good ones are in force:\n  ops/policy.json: rules\n"
    ) in page
