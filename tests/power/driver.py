"""What changes the store and the state of a device, done by the real modules, one stage at a time, in a process that is cut off anywhere.

Usage: ``main([PLACE, STAGE, MISTAKE...])``. PLACE has ``repository`` (what a host would serve), ``device/store``, ``device/state`` and
``run``. Only loading a model is left out: no change of a disk comes from it. What runs in a thread elsewhere runs in this one, because
only this one is traced; each call is awaited before the next, so the order is the same.
"""

import asyncio
import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from edged.bundle.read import keep_bundle, read_bundle, verify_files
from edged.clock import SystemClock
from edged.config.schema import Config, DeviceConfig, PathsConfig, RepositoryConfig, UpdateConfig
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.errors import EdgedError, StoreError
from edged.ids import ModelName, SlotName, Version
from edged.store.layout import StoreLayout
from edged.store.slots import Content, SlotEvent
from edged.store.state import StateDb
from edged.update.protocol.messages import Task
from edged.update.refresh.finding import Setting
from edged.update.refresh.source import Source
from tests.fakes.directory_origins import URL, DirectoryOrigin

for late in ("edged.update.refresh.bundles", "edged.select.machine", "edged.select.matcher"):
    importlib.import_module(late)  # once, and not in each of the runs that are forked from here
MODEL = ModelName("demo")
REFUSED = 3
"""Exit code of a stage that ended with an error that its process would name."""


class Place:
    """Where a device is."""

    def __init__(self, top: Path) -> None:
        self.repository = top / "repository"
        self.device = top / "device"
        self.layout = StoreLayout(self.device / "store")
        self.state = self.device / "state" / "state.db"
        self.in_use = top / "run" / "in-use.json"
        self.config = Config(
            paths=PathsConfig(store=str(self.layout.root), in_use=str(self.in_use)),
            device=DeviceConfig(id="one"),
            repository=RepositoryConfig(url=URL, root=str(self.repository / "metadata" / "1.root.json")),
            # So small a number that a slot's fallback may be the first to go, and a limit so that its ledger is written.
            update=UpdateConfig(disk_reserve_bytes=0, keep_versions=0, max_bytes_per_day=1 << 40),
        )


def main(arguments: Sequence[str]) -> int:
    """Do one stage, with mistakes built in if asked for."""
    top, stage, *mistakes = arguments
    asyncio.to_thread = _at_once
    if mistakes:
        from tests.power.mistakes import MISTAKES

        for mistake in mistakes:
            MISTAKES[mistake][0]()
    try:
        STAGES[stage](Place(Path(top)))
    except (EdgedError, OSError) as exc:  # the daemon and the updater take note of both, and go on
        sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
        return REFUSED
    return 0


def refresh(place: Place) -> None:
    """What the updater does: bring what is new, and remove what nobody needs."""
    setting = Setting(Task(config=place.config, checked_unix_s={}), SystemClock())
    origin = DirectoryOrigin(place.repository, on_bytes=setting.traffic.came)
    finding = setting.run(Source(origin=origin, url=URL), lambda *_: None, tell=lambda _: None)
    if finding.failure is not None:
        unforeseen = finding.failure.code == EdgedError.code
        raise RuntimeError(finding.failure.message) if unforeseen else StoreError(finding.failure.message)


def activate(place: Place) -> None:
    """What the daemon does with the newest version in the store."""
    with closing(StateDb.open(place.state)) as state:
        table = SlotTable(state, SystemClock(), in_use=place.in_use)
        versions = [Version.parse(path.name) for path in (place.layout.bundles / MODEL).iterdir()]
        asyncio.run(_activate(table, place.layout, max(versions)))


def fall_back(place: Place) -> None:
    """What the daemon does when the active version turns out to be bad."""
    with closing(StateDb.open(place.state)) as state:
        table = SlotTable(state, SystemClock(), in_use=place.in_use)
        active = table[MODEL].active
        if active is not None and table[MODEL].fallback is not None:
            asyncio.run(_move(table, active, SlotEvent.HEALTH_FAILED, reason="wrong answers", refuse=True))


def everything(place: Place) -> None:
    """A whole life, in its order; the second refresh removes the version before the last."""
    for stage in (refresh, activate, refresh, fall_back):
        stage(place)


STAGES: dict[str, Callable[[Place], None]] = {
    stage.__name__: stage for stage in (refresh, activate, fall_back, everything)
}


async def _activate(table: SlotTable, layout: StoreLayout, version: Version) -> None:
    active = table[MODEL].active_slot
    if active is not None and active.content is not None and active.content.version == version:
        if active.state == "trial":
            await _move(table, table[MODEL].active, SlotEvent.HEALTH_PASSED)
        return
    spare = table[MODEL].spare
    bundle = read_bundle(layout.bundle(MODEL, version))
    content = Content(version=version, digest=bundle.digest, variant=bundle.variants[0].id)
    await _move(table, spare, SlotEvent.WRITE_BEGAN, content=content)
    keep_bundle(bundle, top=layout.root)
    verify_files(bundle, bundle.manifest.files_for(bundle.variants))
    for event in (SlotEvent.WRITE_VERIFIED, SlotEvent.VALIDATION_BEGAN, SlotEvent.ACTIVATED, SlotEvent.HEALTH_PASSED):
        await _move(table, spare, event)


async def _move(table: SlotTable, slot: SlotName, event: SlotEvent, **more: Any) -> None:
    await table.move(MODEL, Move(slot=slot, what=event, cause="test", **more))


async def _at_once(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)
