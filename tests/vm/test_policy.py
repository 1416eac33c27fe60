"""The policy of an installed device: packaged, read from inside the sandbox, overridden by administrators and by nobody else."""

import json


def policy(device, user="admin"):
    return json.loads(device.output(f"runuser -u {user} -- edgectl policy show --json"))


def test_packaged_policies_pass_their_tests_where_they_are_installed(device):
    device.run("edgectl policy test /usr/lib/edged/policies/*.toml")


def test_default_policy_is_in_force_and_an_administrators_own_comes_before_it(serving):
    """The daemon reads both from inside its empty root directory; a file with a mistake changes nothing."""
    assert [(source["origin"], source["name"]) for source in policy(serving)["sources"]] == [("packaged", "default")]

    serving.run("cp /usr/lib/edged/policies/battery.toml /etc/edged/policy.toml && systemctl reload edged")
    assert [source["name"] for source in policy(serving)["sources"]] == ["battery", "default"]

    serving.run("echo 'name = ' > /etc/edged/policy.toml && systemctl reload edged")
    told = policy(serving)
    assert [source["name"] for source in told["sources"]] == ["battery", "default"]
    assert "/etc/edged/policy.toml: file: expected TOML" in told["refused"][0]

    serving.run("rm /etc/edged/policy.toml && systemctl reload edged")
    assert [source["name"] for source in policy(serving)["sources"]] == ["default"]


def test_administrators_override_and_apps_do_not(serving):
    override = "edgectl policy override magika --deny 'under repair' --for 1h --reason 'ticket 7'"
    assert serving.run(f"runuser -u app -- {override}", check=False).returncode == 4

    serving.output(f"runuser -u admin -- {override}")
    serving.run("systemctl restart edged")
    serving.wait_for("edgectl models | grep -q magika", timeout_s=60.0)
    assert policy(serving, user="app")["overrides"][0]["reason"] == "ticket 7"

    serving.output("runuser -u admin -- edgectl policy override --clear")
    assert "operator admin" in serving.output("edgectl update history magika --json")
