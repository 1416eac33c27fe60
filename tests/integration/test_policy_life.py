"""The real daemon and its policy over a life: overrides, a fleet's rules, mistakes, reloads and restarts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edged.cli import edgectl
from edged.client import Client
from edged.errors import PolicyDeniedError
from edged.ops.policy import Policy
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import live_daemon
from tests.fakes.policies import SITE, policy_of

POLICIES = Path(__file__).resolve().parents[2] / "policies"
FAILING = SITE.replace('variant = "int8" }\n', 'variant = "fp32" }\n')


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def device(bundle):
    """A device with a model, the packaged policies and one of its administrator's."""
    with live_daemon() as device:
        device.install(bundle)
        configure(device)
        (device.directory / "site.toml").write_text(SITE)
        device.start()
        device.roll_out("adder", "1.0.0")
        device.wait_for_model("adder")
        yield device


def configure(device, **regulatory):
    policy = {"file": device.directory / "site.toml", "directory": POLICIES}
    device.configure({"policy": policy, "regulatory": regulatory})


def edge(device, *args):
    return edgectl.main(["--socket", str(device.admin_socket), *args])


def in_force(device, capsys):
    """Return which policies are asked, and where they are from."""
    capsys.readouterr()
    assert edge(device, "policy", "show", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    return [(source["origin"], source["name"]) for source in told["sources"]], told


def history_of(device, capsys):
    capsys.readouterr()
    assert edge(device, "update", "history", "adder") == 0
    return capsys.readouterr().out


def sign(device, rules):
    """Have the fleet's rules arrive in the store as the updater would bring them."""
    issued = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    new = device.layout.policy.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(Policy(schema=1, issued=issued, rules=rules)))
    new.replace(device.layout.policy)


def test_an_override_is_obeyed_at_once_and_after_a_restart(device, capsys):
    args = ("policy", "override", "adder", "--deny", "under repair", "--for", "1h", "--reason", "ticket 7")
    assert edge(device, *args) == 0

    for _ in range(2):
        with Client(str(device.app_socket), tensor_path=None) as client, pytest.raises(PolicyDeniedError) as caught:
            client.infer("adder", {"file": b"\0" * 16})
        assert "under repair" in str(caught.value)
        assert device.stop() == 0
        device.start()
        device.wait_for_model("adder")

    assert edge(device, "policy", "override", "--clear", "adder") == 0
    # It is written down within milliseconds of having been done.
    device.wait_until(
        lambda: "policy override ended" in history_of(device, capsys), "end of the override in the history"
    )
    history = history_of(device, capsys)
    assert "policy overridden" in history
    assert "deny: under repair: ticket 7" in history


def test_a_fleets_rules_take_their_place_and_those_with_a_mistake_change_nothing(device, capsys):
    sign(device, policy_of(name="fleet"))
    device.wait_until(lambda: ("remote", "fleet") in in_force(device, capsys)[0], "rules of the fleet")
    sign(device, policy_of(FAILING, name="broken"))
    device.wait_until(lambda: "expected fp32, got int8" in device.log, "refusal of the fleet's rules")

    assert in_force(device, capsys)[0] == [("local", "site"), ("remote", "fleet"), ("packaged", "default")]
    assert edge(device, "status") == 6
    assert "expected fp32, got int8" in capsys.readouterr().out

    sign(device, policy_of(name="mended"))
    device.wait_until(lambda: ("remote", "mended") in in_force(device, capsys)[0], "rules of the fleet")
    assert edge(device, "status") == 0


def test_a_reload_takes_a_good_policy_and_leaves_a_bad_one(device, capsys):
    (device.directory / "site.toml").write_text(SITE.replace('"site"', '"better"'))
    configure(device, mode="hospital", forbid_offload=True)
    device.reload()
    sources, told = in_force(device, capsys)
    assert sources[0] == ("local", "better")
    assert told["regulatory"] == {"mode": "hospital", "forbid_offload": True, "log_decisions": False}
    assert edge(device, "status") == 0

    (device.directory / "site.toml").write_text(FAILING)
    configure(device)
    device.reload()
    sources, told = in_force(device, capsys)
    assert sources[0] == ("local", "better")
    assert told["regulatory"]["mode"] == "hospital", "the settings of a reload with a mistake are not taken either"

    assert edge(device, "status") == 6
    assert "Reload refused" in capsys.readouterr().out

    device.stop()
    device.start()
    assert in_force(device, capsys)[0][0] == ("local", "better")
    assert edge(device, "status") == 6
