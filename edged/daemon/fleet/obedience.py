"""Puts together what obeys the fleet's documents, in the order in which they have to hear of news.

(1) fleet       what was in force before, and what the store holds now
(2) switch      models that may not answer are held, before anything of them is loaded
(3) fallbacks   what answers in their place
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import edged
from edged.clock import Clock
from edged.config.schema import DeviceConfig
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fallbacks import Fallbacks
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.fleet.predecessors import Predecessors
from edged.daemon.fleet.stop_switch import StopSwitch
from edged.daemon.lifecycle.rests import Rests
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.serving import Serving
from edged.errors import StoreError
from edged.ops.identity import read_device
from edged.ops.segments import Device
from edged.select.machine import Machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obedience:
    """The parts. ``diary.run`` and ``fallbacks.run`` are the caller's to run."""

    diary: Diary
    fleet: Fleet
    switch: StopSwitch
    fallbacks: Fallbacks


def device_of(config: DeviceConfig, machine: Machine) -> Device:
    """Find out who this device is; without an ID it takes part in no rollout that is not for all."""
    try:
        return read_device(id_=config.id, arch=machine.arch, labels=config.labels)
    except StoreError as exc:
        LOG.error("%s %s", exc, exc.hint)  # noqa: TRY400 - the operator needs the sentence
        return Device(id="", arch=machine.arch, labels=config.labels)


@contextmanager
def obedience(
    *,
    layout: StoreLayout,
    state: StateDb,
    table: SlotTable,
    serving: Serving,
    machine: Machine,
    device: Device,
    clock: Clock,
    poll_interval_s: Callable[[], float],
) -> Iterator[Obedience]:
    """Obey from here on: when this is entered, what is stopped is held.

    Args:
        layout: The bundle store; only read.
        state: Keeps documents and history.
        table: The slots; only read.
        serving: Told what may answer, and what does instead.
        machine: What variants have to fit.
        device: Who this is.
        clock: Both clocks.
        poll_interval_s: Returns how often the updater looks for news, in seconds.
    """
    diary = Diary(state, clock.unix_s)
    built_unix_s = Path(edged.__file__).stat().st_mtime
    fleet = Fleet(layout=layout, state=state, diary=diary, device=device, clock=clock, built_unix_s=built_unix_s)  # (1)
    switch = StopSwitch(fleet=fleet, serving=serving, table=table, diary=diary, poll_interval_s=poll_interval_s)
    fallbacks = Fallbacks(
        switch=switch,
        serving=serving,
        table=table,
        predecessors=Predecessors(layout=layout, table=table, fleet=fleet, machine=machine),
        machine=machine,
        diary=diary,
        rests=Rests(clock),
    )
    serving.supervise(fallbacks.review)  # (2), (3)
    fleet.on_change(fallbacks.review_all)
    fallbacks.review_all()
    with fleet:
        yield Obedience(diary=diary, fleet=fleet, switch=switch, fallbacks=fallbacks)
