"""What a person reads: states, slots, refusals with reasons, updates with error and hint."""

from edged.api.documents.status import (
    CandidateStatus,
    DeviceStatus,
    ModelStatus,
    Refusal,
    RolloutStatus,
    SlotStatus,
    Status,
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
  slot a  active  good  1.0.0  magika-1.0.0-fp32-amd64  since 2 h 0 min ago
  slot b          bad   1.1.0  -                        since 1 min 0 s ago (answers\\ndiffer)
  Candidate  1.2.0, since 5 min 0 s ago
  Waits for  mains power (now on battery)
             60 s\\nidle
  Rollout    1.2.0 should run here: this device is in the first 25 %
  Floor      1.0.0; nothing lower is activated
  worker 812: 4000 requests, 2 failed, 1 restarts; now 3 queued, 4 running
  sandbox incomplete: no Landlock: the kernel\\nis too old
  refused 1.1.0 1 min 0 s ago: sample 3: \\x1b[31mdiffers

Updates: waiting
  Repository    https://models.example.org/
  Download      magika 1.2.0: 1.5 MB of 3.2 MB
  Last success  1 h 0 min ago
  Next poll     in 45 s
  Error         No answer. [host-unreachable], 3 in a row
  Hint          Is the network up?
"""


def test_the_page_of_a_degraded_device():
    assert render(DEGRADED, now_s=NOW_S) == PAGE


def test_the_page_of_a_new_device():
    page = render(Status(edged="0.1.0", state="idle", started_at=NOW_S, models=()), now_s=NOW_S)

    assert page == (
        "edged  0.1.0\nState  idle (no model yet)\nUp     0 s\n\nUpdates: edged-update has not reported since boot\n"
    )


def test_a_clock_that_was_set_back_shows_the_moment_itself():
    assert "refused 1.1.0 2027-01-15 07:59 UTC: sample 3" in render(DEGRADED, now_s=NOW_S - 1e6)
