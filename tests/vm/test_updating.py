"""The updater in its sandbox: one small process that asks, and another one for each refresh."""

import json

from edged.journal import UPDATE_ASKED
from tests.vm.asking import processes_of

MESSAGE_STAGED = "6d1f0c9be0f54b0aa2a54a6f0e2f7a01"
UNIT = "edged-update.service"


def status(device):
    """Read what the updater says it does."""
    return json.loads(device.output("cat /run/edged-update/status.json"))


def wait_for_idle(device):
    device.wait_for('grep -q \'"phase":"idle"\' /run/edged-update/status.json', timeout_s=60.0)


def test_idle_updater_is_one_process_without_cryptography(serving):
    wait_for_idle(serving)

    processes = processes_of(serving, "edged-update")

    assert processes == [serving.output(f"systemctl show -P MainPID {UNIT}")]
    assert "cryptography" not in serving.output(f"cat /proc/{processes[0]}/maps")


def test_signal_to_all_processes_of_the_unit_runs_a_refresh(serving):
    """As an administrator sends it. The main process stays, and what it starts can do its work in the same sandbox."""
    wait_for_idle(serving)
    main, before = serving.output(f"systemctl show -P MainPID {UNIT}"), status(serving)
    assert before["last_success_at"] > 0

    for _ in range(3):
        serving.run(f"systemctl kill --signal=USR1 {UNIT}")

    changed = f"! grep -q '\"last_success_at\":{before['last_success_at']},' /run/edged-update/status.json"
    serving.wait_for(changed, timeout_s=60.0)
    wait_for_idle(serving)
    assert serving.output(f"systemctl show -P MainPID {UNIT}") == main


def test_refresh_speaks_to_the_journal_as_the_updater(serving):
    """Its entries carry the same identifier and unit, from a process of its own."""
    serving.run("journalctl --sync")

    entry = json.loads(serving.output(f"journalctl MESSAGE_ID={MESSAGE_STAGED} -o json -n 1 --no-pager"))

    assert (entry["SYSLOG_IDENTIFIER"], entry["_SYSTEMD_UNIT"]) == ("edged-update", UNIT)
    assert entry["_PID"] != serving.output(f"systemctl show -P MainPID {UNIT}")
    assert entry["CODE_MODULE"] == "edged.update.refresh.bundles"


def test_administrators_may_ask_the_updater_and_others_may_not(serving):
    """Nothing is new, which is 7; who is in another group, or in none, gets 4."""
    codes = {
        user: serving.run("edgectl update check", user=user, check=False).returncode
        for user in ("admin", "app", "outsider")
    }

    assert codes == {"admin": 7, "app": 4, "outsider": 4}
    assert serving.output("stat -c '%a %U %G' /run/edged-update/control.sock") == "660 root edged-admin"


def test_what_an_administrator_can_read_reaches_the_updater_in_its_sandbox(serving):
    """Which sees neither that directory nor the user's files: only what edgectl opens for it."""
    serving.run("cp -r /srv/demo/repo /home/admin/stick && chown -R admin /home/admin && chmod 0700 /home/admin")

    done = serving.run("edgectl update apply --from /home/admin/stick", user="admin", check=False)

    assert done.returncode in {0, 7}, done.stderr
    serving.run("journalctl --sync")
    entry = json.loads(serving.output(f"journalctl MESSAGE_ID={UPDATE_ASKED.message_id} -o json -n 1 --no-pager"))
    assert (entry["EDGED_VERB"], entry["EDGED_USER"]) == ("apply", "admin")


def test_whoever_asks_an_updater_that_is_switched_off_switches_it_on(serving):
    """The socket is the service manager's, so it is there before and after the process."""
    serving.run(f"systemctl stop {UNIT}")

    serving.run("edgectl update check || [ $? = 7 ]")

    assert serving.output(f"systemctl is-active {UNIT}") == "active"
