"""A reload changes everything that may change, or nothing."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from edged.config.load import load_config
from edged.daemon.settings import Settings
from edged.errors import PolicyError, Problem

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
        self.settings = Settings(load_config([path]), [path])
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


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ('[paths]\nstate = "/elsewhere"\n', "[paths]"),
        ('[device]\nid = "other"\n', "[device]"),
        ("[worker]\nparallel = 3\n", "[worker]"),
        ('[offload]\nuser = ""\n', "[offload]"),
    ],
)
async def test_what_needs_a_restart_is_said(device, caplog, text, table):
    await device.reload(text)

    assert f"Changes to {table} take effect after a restart" in caplog.text
