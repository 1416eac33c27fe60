"""The life of a model on an installed device: updates good and bad, with the daemon killed in each state; stop, and lift.

The tests of this file stand on each other in the order in which they are written: each version follows the one before.
"""

import json
import os
import time
from pathlib import Path

import pytest

from tests.vm.asking import infer, processes_of, start_host
from tests.vm.publishing import publishing

SETTINGS = "/etc/edged/edged.toml.d/70-life.toml"
POLL_S = 5.0
STOPPED_WITHIN_S = 20.0
"""A poll and a second are usual, and what it took is among the measured figures; the machine may be busy with something else, too."""
BACKGROUND_NICE, MOST_NICE = 10, 19


@pytest.fixture(scope="module")
def publisher(serving):
    serving.write(SETTINGS, "[trial]\nmin_s = 0.0\n")
    serving.run("systemctl restart edged.service")
    return publishing(Path(os.environ["EDGED_DEMO"]))


def look_for_updates(device, *, user="root"):
    """Have the device poll at once; it may have done so by itself just before, and finds nothing new then."""
    assert device.run(f"runuser -u {user} -- edgectl update check", check=False).returncode in {0, 7}


def model(device):
    """Read what the device says about its model."""
    document = json.loads(device.run("edgectl status --json", check=False).stdout)
    return next(item for item in document["models"] if item["name"] == "magika")


def slots(device):
    """Return the active version with its state, and the same of the other slot."""
    found = model(device)
    by_name = {slot["slot"]: (slot.get("version"), slot["state"]) for slot in found["slots"]}
    active = found["active"]
    return by_name[active], by_name["b" if active == "a" else "a"]


def refusals(device):
    """Return the versions that the device has turned down."""
    return [item["version"] for item in model(device)["refused"]]


def wait_until(is_so, *, what):
    deadline_s = time.monotonic() + 90.0
    while not is_so():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.2)


def wait_for_slots(device, is_reached, *, what):
    wait_until(lambda: is_reached(slots(device)), what=what)


def kill(device):
    """Kill the daemon and wait until the next one answers."""
    device.run("systemctl kill --signal=KILL --kill-whom=main edged.service", check=False)
    device.wait_for("edgectl models", timeout_s=60.0)


def status_of_answer(device, path):
    """Ask the model about a file, as an app; returns the HTTP status and the body."""
    text = device.output(f"runuser -u app -- {infer(path)} --silent --write-out '\\n%{{http_code}}'")
    body, _, status = text.rpartition("\n")
    return int(status), json.loads(body)


def niceness(device):
    """Return how nice the processes of the daemon's unit are: the daemon, the template, and a worker for each version that is loaded."""
    stats = device.output("cat " + " ".join(f"/proc/{process}/stat" for process in processes_of(device, "edged")))
    # The 19th field of proc_pid_stat(5); the second may have spaces, and ends with the last parenthesis.
    return [int(line.rpartition(")")[2].split()[16]) for line in stats.splitlines()]


def test_a_candidate_in_the_shadow_gives_way_to_every_other_process(serving, publisher):
    serving.write(SETTINGS, "[trial]\nmin_s = 0.0\n[shadow]\nshare = 1.0\nmin_s = 3600.0\n")
    serving.run("systemctl restart edged.service")
    publisher.good("1.0.1")
    look_for_updates(serving, user="admin")

    serving.wait_for("edgectl status --json | grep -Eq '\"shadow\": ?[{]'", timeout_s=60.0)

    # What validated the candidate may still be about to end.
    wait_until(lambda: len(processes_of(serving, "edged")) == 4, what="there are other processes than the four")
    *others, candidate = sorted(niceness(serving))
    # Whoever starts the device may give way to others, too.
    assert others == [others[0]] * 3
    assert candidate == min(others[0] + BACKGROUND_NICE, MOST_NICE)
    serving.write(SETTINGS, "[trial]\nmin_s = 0.0\n")
    serving.run("systemctl reload edged.service")


def test_a_good_update_is_tried_and_kept(serving):
    wait_for_slots(serving, lambda s: s[0] == ("1.0.1", "good"), what="1.0.1 never became good")
    kill(serving)

    assert slots(serving) == (("1.0.1", "good"), ("1.0.0", "fallback"))


def test_a_version_that_waits_for_the_quiet_window_waits_over_a_crash_and_goes_on_when_told(serving, publisher):
    serving.write(SETTINGS, "[trial]\nmin_s = 0.0\n[window]\ncool_below_c = -40.0\nmax_wait_s = 0.0\n")
    serving.run("systemctl restart edged.service")
    publisher.good("1.0.2")
    look_for_updates(serving)
    serving.wait_for("edgectl status --json | grep -q waiting_for", timeout_s=60.0)

    kill(serving)

    serving.wait_for("edgectl status --json | grep -q waiting_for", timeout_s=60.0)
    assert slots(serving)[0] == ("1.0.1", "good")
    assert "degrees" in serving.output("edgectl update status")
    assert serving.run("runuser -u app -- edgectl update apply magika", check=False).returncode == 4
    serving.output("runuser -u admin -- edgectl update apply magika")
    wait_for_slots(serving, lambda s: s[0] == ("1.0.2", "good"), what="1.0.2 did not go on")
    assert "operator admin" in serving.output("edgectl update history magika --json")


def test_a_trial_goes_on_after_a_crash_and_ends_a_crash_loop(serving, publisher):
    serving.write(SETTINGS, "[trial]\nmin_s = 3600.0\nmax_daemon_starts = 2\n")
    serving.run("systemctl restart edged.service")
    publisher.good("1.0.3")
    look_for_updates(serving)
    wait_for_slots(serving, lambda s: s[0] == ("1.0.3", "trial"), what="1.0.3 is not on trial")

    kill(serving)
    assert slots(serving)[0] == ("1.0.3", "trial")
    kill(serving)
    kill(serving)

    wait_for_slots(serving, lambda s: s[0] == ("1.0.2", "good"), what="the crash loop goes on")
    assert refusals(serving) == ["1.0.3"]
    assert serving.run("edgectl status", check=False).returncode == 6


def test_a_version_that_fails_its_kit_is_refused_once_and_for_all(serving, publisher, samples):
    serving.write(SETTINGS, "[trial]\nmin_s = 0.0\n")
    serving.run("systemctl restart edged.service")
    publisher.wrong("1.0.4")
    look_for_updates(serving)
    wait_until(lambda: "1.0.4" in refusals(serving), what="1.0.4 was not refused")

    kill(serving)

    assert slots(serving)[0] == ("1.0.2", "good")
    assert "1.0.4" in refusals(serving)
    assert status_of_answer(serving, samples[0].path)[0] == 200


def test_a_version_that_fails_its_users_is_rolled_back(serving, publisher, samples):
    publisher.spoiled("1.0.5", "--no-rollout")
    publisher.run("rollout", "start", "magika", "1.0.5", "--percent", "100", "--soak", "1h")
    look_for_updates(serving)
    wait_for_slots(serving, lambda s: s[0] == ("1.0.5", "trial"), what="1.0.5 is not on trial")

    statuses = [status_of_answer(serving, sample.path)[0] for sample in samples]

    assert 500 in statuses
    wait_for_slots(serving, lambda s: s[0] == ("1.0.2", "good"), what="1.0.5 was not rolled back")
    assert model(serving)["needs_review"]
    serving.run("journalctl --sync")
    assert "requests failed" in serving.output("journalctl -u edged -o cat --no-pager -g 'turned down'")


def test_a_stop_comes_with_a_poll(serving, publisher, samples, measured):
    serving.wait_for('grep -q \'"phase":"idle"\' /run/edged-update/status.json', timeout_s=60.0)
    publisher.run("stop", "magika", "--reason", "answers were found to be wrong")
    begun_s = time.monotonic()
    while status_of_answer(serving, samples[0].path)[0] == 200:
        assert time.monotonic() - begun_s < STOPPED_WITHIN_S
    took_s = time.monotonic() - begun_s

    status, body = status_of_answer(serving, samples[0].path)

    measured(f"stop: first refusal {took_s:.1f} s after the publisher's command, poll interval {POLL_S:g} s")
    assert status == 503
    assert "answers were found to be wrong" in body["detail"]


def test_a_stop_holds_offline_and_over_restarts_until_it_is_lifted(serving, publisher, samples):
    serving.run("systemctl stop host edged-update.service edged-egress.service")
    serving.run("systemctl kill --signal=KILL --kill-whom=main edged.service", check=False)
    serving.wait_for("edgectl status --json | grep -q stopped", timeout_s=60.0)
    assert status_of_answer(serving, samples[0].path)[0] == 503

    publisher.run("stop", "magika", "--lift", "--reason", "checked")
    start_host(serving)
    serving.run("systemctl start edged-egress.service edged-update.service")

    serving.wait_for(f"runuser -u app -- {infer(samples[0].path)} --fail --silent --output /dev/null", timeout_s=60.0)


def test_an_operator_goes_back(serving, publisher):
    publisher.run("rollout", "halt", "magika", "--reason", "failed its users", "--back")
    publisher.good("1.0.6")
    look_for_updates(serving)
    wait_for_slots(serving, lambda s: s[0] == ("1.0.6", "good"), what="1.0.6 never became good")

    serving.output("runuser -u admin -- edgectl update rollback magika --reason 'the line stands still'")

    wait_for_slots(serving, lambda s: s[0] == ("1.0.2", "good"), what="1.0.2 does not answer again")
    assert "the line stands still" in serving.output("edgectl update history magika")
    serving.run(f"rm {SETTINGS} && systemctl restart edged.service")


def test_a_bundle_comes_from_a_stick(serving, publisher):
    """Without a network: the same tree in a directory that only its owner may read."""
    publisher.good("1.0.7")
    serving.run("systemctl stop host")
    serving.run(
        "cp -r /srv/demo/repo /home/admin/later-stick && chown -R admin /home/admin/later-stick && chmod -R go= /home/admin/later-stick"
    )

    told = serving.output("runuser -u admin -- edgectl update apply --from /home/admin/later-stick")

    assert "1.0.7" in told
    wait_for_slots(serving, lambda s: s[0][0] == "1.0.7", what="1.0.7 is not active")
    start_host(serving)
