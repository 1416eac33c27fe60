"""A reload changes everything that may change, or nothing."""

import asyncio
import tomllib
from contextlib import asynccontextmanager

import pytest

from edged.config.load import load_config
from edged.config.schema import Config
from edged.daemon.settings import TAKEN_AT_START, Settings
from edged.errors import PolicyError, Problem
from tests.fakes.clocks import ManualClock

MORE = """\
[serve]
request_timeout_s = 7.0
[limits.default]
max_concurrent = 5
[background]
max_kept = 3
[cache]
max_bytes = 6
[window]
idle_s = 9.0
[shadow]
share = 0.5
[trial]
min_s = 11.0
[sense]
cool_s = 12.0
[variants]
max_loaded = 4
"""


class Policies:
    """Takes the settings of a reload, unless one of its files has a mistake."""

    def __init__(self) -> None:
        self.trouble: PolicyError | None = None
        self.applied: list[str] = []
        self.refused: list[PolicyError] = []

    def read(self, policy):
        if self.trouble is not None:
            raise self.trouble
        return policy

    def apply(self, _files, regulatory) -> None:
        self.applied.append(regulatory.mode)

    def refuse(self, error) -> None:
        self.refused.append(error)


class Notifier:
    """Remembers what the service manager is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_ready = asyncio.Event()

    def reloading(self) -> None:
        self.said.append("reloading")

    def ready(self) -> None:
        self.said.append("ready")
        self.is_ready.set()


class Device:
    """A daemon's settings, and the file they are from."""

    def __init__(self, path) -> None:
        self.path = path
        self.path.write_text("")
        self.clock = ManualClock()
        self.settings = Settings(load_config([path]), [path], self.clock)
        self.policies, self.notifier, self.asked = Policies(), Notifier(), asyncio.Event()

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.settings.run(self.asked, self.policies, self.notifier))
        yield
        task.cancel()

    async def reload(self, text: str) -> None:
        self.path.write_text(text)
        self.notifier.is_ready.clear()
        self.asked.set()
        async with asyncio.timeout(30.0):
            await self.notifier.is_ready.wait()

    @property
    def in_force(self) -> tuple[object, ...]:
        limits, rules = self.settings.limits, self.settings.rules
        return (
            limits.current.request_timeout_s,
            limits.callers.default.max_concurrent,
            limits.background.max_kept,
            limits.cache.max_bytes,
            rules.window.idle_s,
            rules.shadow.share,
            rules.trial.min_s,
            rules.sense.cool_s,
            rules.warm.max_loaded,
        )


@pytest.fixture
async def device(tmp_path):
    device = Device(tmp_path / "edged.toml")
    async with device.running():
        yield device


async def test_a_reload_changes_all_that_may_change(device, caplog):
    await device.reload(MORE + '[regulatory]\nmode = "hospital"\n')

    assert device.in_force == (7.0, 5, 3, 6, 9.0, 0.5, 11.0, 12.0, 4)
    assert device.policies.applied == ["hospital"]
    assert device.notifier.said == ["reloading", "ready"]
    assert "after a restart" not in caplog.text


@pytest.mark.parametrize("mistake", ["settings", "policy"])
async def test_a_mistake_changes_nothing_and_the_next_reload_goes_on(device, mistake):
    before = device.in_force
    if mistake == "policy":
        device.policies.trouble = PolicyError("policy.toml", [Problem(pointer="rule[0]", expected="expected a name")])
    await device.reload(MORE + ("[nonsense]\n" if mistake == "settings" else ""))
    assert device.in_force == before
    assert device.policies.applied == []
    assert device.policies.refused == ([device.policies.trouble] if mistake == "policy" else [])

    device.policies.trouble = None
    await device.reload(MORE)
    assert device.in_force != before


async def test_a_reload_that_was_refused_is_told_until_one_succeeds(device):
    assert device.settings.refused is None
    await device.reload("[serve]\nrequest_timeout_s = -1.0\n[nonsense]\n")
    refused = device.settings.refused
    assert refused.at == device.clock.unix_s()
    assert [problem.startswith(f"{device.path}: ") for problem in refused.problems] == [True] * len(refused.problems)
    assert any("serve.request_timeout_s: expected" in problem for problem in refused.problems)

    device.clock.advance(60)
    device.policies.trouble = PolicyError("policy.toml", [Problem(pointer="rule[0]", expected="expected a name")])
    await device.reload("")
    assert device.settings.refused.problems == ("policy.toml: rule[0]: expected a name",)
    assert device.settings.refused.at == device.clock.unix_s()

    device.policies.trouble = None
    await device.reload("")
    assert device.settings.refused is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[paths]\nstate = "/elsewhere"\n',
            "[paths] take effect after a restart of edged, edged-update, edged-egress,",
        ),
        ('[device]\nid = "other"\n', "[device] take effect after a restart of edged, edged-update"),
        ("[repository]\npoll_interval_s = 5.0\n", "[repository] take effect after a restart of edged, edged-update"),
        ("[update]\ntimeout_s = 5.0\n", "[update] take effect after a restart of edged-update"),
        ('[egress]\nmetered = "yes"\n', "[egress] take effect after a restart of edged-egress"),
        ('[offload]\nuser = ""\n', "[offload] take effect after a restart of edged, edged-egress, edged-offload"),
        ("[worker]\nparallel = 3\n", "[worker] take effect after a restart of edged"),
        ('[sense]\nsysfs = "/elsewhere"\n', "[sense] sysfs take effect after a restart of edged"),
        ('[sense]\nprocfs = "/elsewhere"\n', "[sense] procfs take effect after a restart of edged"),
    ],
)
async def test_what_needs_a_restart_is_said_and_of_what(device, caplog, text, said):
    await device.reload(text)

    assert f"Changes to {said}" in caplog.text


async def test_what_the_same_services_take_at_start_is_said_at_once(device, caplog):
    await device.reload('[worker]\nparallel = 3\n[sense]\nsysfs = "/a"\ncool_s = 5.0\n')

    assert "Changes to [worker], [sense] sysfs take effect after a restart of edged\n" in caplog.text
    assert device.settings.rules.sense.cool_s == 5.0


def test_every_setting_is_taken_up_by_a_reload_or_said_to_need_a_restart():
    """A table that is neither here nor there would be changed by a reload in vain, silently."""
    taken_up = set(tomllib.loads(MORE)) | {"policy", "regulatory"}
    at_start = {name for name in TAKEN_AT_START if "." not in name}

    assert taken_up | at_start == set(Config.__struct_fields__)
    assert not taken_up & at_start
