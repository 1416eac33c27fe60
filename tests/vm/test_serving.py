"""An app's and an administrator's first answers on an installed device."""

import json

import pytest

from tests.vm.asking import infer, processes_of

SCORE_TOLERANCE = 0.001
MEMORY_LIMIT_MB = 102.0
"""Of all processes of the three units together while the model rests: what they need, 94 after a restart and 97 after an activation, and
what that differs by from run to run."""
RESTS = (
    "awk '/ r-xp .*onnxruntime_pybind11/ {{ seen = 1 }} seen && /^Rss:/ {{ rests = $2 == 0; exit }} END {{ exit !rests }}'"
    " /proc/{process}/smaps"
)
"""Succeeds when a worker has given back the pages of its runtime, as it does when nothing was asked for a while."""
REST_PATIENCE_S = 90.0


def answer(device, sample, *, user="app"):
    """Ask for one file and return the tensors of the answer by name."""
    body = json.loads(device.output(f"runuser -u {user} -- {infer(sample.path)} --silent --show-error"))
    assert "outputs" in body, body
    return {output["name"]: output["data"] for output in body["outputs"]}


def test_every_sample_gets_the_answer_of_the_models_own_package(serving, samples):
    """Bytes in, label and score out, through the signed bundle, as an ordinary user in group edged."""
    for sample in samples:
        outputs = answer(serving, sample)
        assert outputs["label"][0] == sample.label, sample
        assert outputs["score"][0] == pytest.approx(sample.score, abs=SCORE_TOLERANCE), sample


def test_user_outside_the_group_is_refused(serving, samples):
    """The socket's group decides: curl's exit code 7 is "could not connect"."""
    refused = serving.run(f"runuser -u outsider -- {infer(samples[0].path)} --silent --show-error", check=False)

    assert refused.returncode == 7
    assert not refused.stdout


def test_app_may_not_administer(serving):
    """Being in group edged opens the apps' socket and no other."""
    refused = serving.run(
        "runuser -u app -- curl --silent --unix-socket /run/edged/admin.sock http://localhost/edged/v1/status",
        check=False,
    )

    assert refused.returncode == 7


@pytest.mark.parametrize("user", ["root", "admin", "app"])
def test_status_names_the_active_model(serving, user):
    """Whoever may open one of the two sockets sees what runs, without naming it."""
    assert "magika" in serving.output(f"runuser -u {user} -- edgectl status")


def test_events_are_in_the_journal_with_their_explanation(serving):
    """The path of a model leaves catalogued events: staged by the updater, activated by the daemon."""
    serving.run("journalctl --sync")
    for message_id in ("6d1f0c9be0f54b0aa2a54a6f0e2f7a01", "6d1f0c9be0f54b0aa2a54a6f0e2f7a03"):
        entry = json.loads(serving.output(f"journalctl MESSAGE_ID={message_id} -o json -n 1 --no-pager"))
        assert entry["EDGED_MODEL"] == "magika"
        explained = serving.output(f"journalctl MESSAGE_ID={message_id} -x -n 1 --no-pager")
        assert "Model magika" in explained
        assert "@EDGED_" not in explained


def test_store_is_not_the_daemons(serving):
    """What the updater staged belongs to it, and nobody else may write it."""
    owners = serving.output("find /var/lib/edged-store ! -user edged-update -o -perm /022 ! -type l")
    assert not owners


def test_idle_memory_is_small(serving, measured):
    """With one small model at rest, all processes of all units together stay small (proportional set size, so shared pages count once)."""
    rows = [
        (unit, process, serving.output(f"cat /proc/{process}/comm"))
        for unit in ("edged", "edged-update", "edged-egress")
        for process in processes_of(serving, unit)
    ]
    for _, process, name in rows:
        if name.startswith("edged-magika"):
            serving.wait_for(RESTS.format(process=process), timeout_s=REST_PATIENCE_S)
    sizes_kb = [
        int(serving.output(f"awk '/^Pss:/ {{ print $2 }}' /proc/{process}/smaps_rollup")) for _, process, _ in rows
    ]
    parts = ", ".join(f"{unit}/{name} {kb / 1024:.0f}" for (unit, _, name), kb in zip(rows, sizes_kb, strict=True))
    total_mb = sum(sizes_kb) / 1024
    measured(f"idle memory with one model, PSS in MB: {total_mb:.0f} ({parts})")
    assert {unit for unit, _, _ in rows} == {"edged", "edged-update", "edged-egress"}
    assert total_mb <= MEMORY_LIMIT_MB, parts
