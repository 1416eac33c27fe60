"""What happens to the versions of models on this device, from the store to the end of their trial.

Four parts do it, each for one model at a time: ``Answering`` has the active slot's version answer, ``Trials`` watches what is not proven
yet, ``Attempts`` takes what the rollout names to activation, and ``Shadows`` compares it with what answers on the way. Here they are
called: for every model from a task of its own, so that one whose validation takes long holds up no other, and again whenever something
has changed; beside that often while time alone may bring something on (a trial, a wait for the window or for the updater), and seldom
while the model is at rest: each look wakes a processor.

After a start, before anybody is asked (``boot``):

(1) crash loops   a version over which the daemon keeps ending is turned down before it is loaded (``edged.daemon.lifecycle.crash_loop``)
(2) loose ends    a write that was interrupted begins anew, a validation and a shadow run, too
(3) serve         what was active answers again

Whatever a candidate does, the version that was active answers, or does so again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.clock import Clock
from edged.config.schema import ServeConfig
from edged.daemon.lifecycle.advice import Orders, QuietWindow
from edged.daemon.lifecycle.answering import Answering
from edged.daemon.lifecycle.arrivals import Arrivals
from edged.daemon.lifecycle.attempts import Attempts
from edged.daemon.lifecycle.check import check_model
from edged.daemon.lifecycle.crash_loop import CrashLoop
from edged.daemon.lifecycle.handover import Handover
from edged.daemon.lifecycle.rests import RETRY_AFTER_S, Rests
from edged.daemon.lifecycle.shadows import Shadows
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.trials import Trials
from edged.daemon.lifecycle.wishes import Wishes
from edged.daemon.serving.keeper import Loadable, StartWorker
from edged.daemon.serving.serving import Serving
from edged.errors import StoreError
from edged.ids import Digest, ModelName, SlotName
from edged.select.machine import Machine
from edged.store.layout import StoreLayout
from edged.store.slots import SlotEvent, SlotState
from edged.validation.validate import Infers

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""While something is under way with a model."""
REST_EVERY_S: Final = 10.0
"""While nothing is; no longer than the watchdog can wait for a sign of progress."""
_LOOSE_ENDS: Final = {
    SlotState.WRITING: SlotEvent.WRITE_FAILED,
    SlotState.VALIDATION: SlotEvent.VALIDATION_INTERRUPTED,
    SlotState.SHADOW: SlotEvent.SHADOW_INTERRUPTED,
}


class Lifecycle:
    """Decides what ``Serving`` serves.

    Args:
        layout: The bundle store; only read.
        table: The slots; only this part and what it is made of move them.
        serving: Told what to serve.
        orders: What the fleet's documents mean here.
        window: When a candidate may disturb the device.
        machine: What variants are matched against.
        available_bytes: Returns the memory that is available now.
        start_worker: Starts the disposable workers.
        start_in_background: Starts workers for shadow runs.
        clock: Monotonic, for trials and retries.
        limits: Called for the limits in force.
        shadow: Called for the device's rules for shadow runs.
        trial: Called for those for trials.
        has_passed: Tells of a version, by its digest, and a variant whether that passed its validation kit on this device.
        beat: Called at every sign of progress; feeds the watchdog.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        table: SlotTable,
        serving: Serving,
        orders: Orders,
        window: QuietWindow,
        machine: Machine,
        available_bytes: Callable[[], int],
        start_worker: StartWorker,
        start_in_background: StartWorker,
        clock: Clock,
        limits: Callable[[], ServeConfig],
        shadow: Callable[[], ShadowRules],
        trial: Callable[[], TrialRules],
        has_passed: Callable[[Digest, str], bool],
        beat: Callable[[], None],
    ) -> None:
        async def check(loadable: Loadable, model: Infers) -> None:
            await check_model(loadable, model, timeout_s=limits().request_timeout_s, beat=beat)

        self._table = table
        self._serving = serving
        self._orders = orders
        self._beat = beat
        self._changes: defaultdict[ModelName, asyncio.Event] = defaultdict(asyncio.Event)
        self._orders_changed = asyncio.Event()
        self.rests: Final = Rests(clock)
        self.wishes: Final = Wishes(table, orders)
        self.crash_loop: Final = CrashLoop(table, clock)
        self.answering: Final = Answering(
            layout=layout,
            table=table,
            serving=serving,
            orders=orders,
            rests=self.rests,
            has_passed=has_passed,
            beat=beat,
        )
        self.trials: Final = Trials(
            table=table,
            serving=serving,
            answering=self.answering,
            orders=orders,
            check=check,
            rules=trial,
            clock=clock,
            rests=self.rests,
        )
        handover = Handover(
            table=table,
            serving=serving,
            answering=self.answering,
            machine=machine,
            available_bytes=available_bytes,
            rests=self.rests,
        )
        self.shadows: Final = Shadows(
            table=table,
            serving=serving,
            handover=handover,
            orders=orders,
            start_worker=start_in_background,
            rules=shadow,
            limits=lambda: self.trials.rules,
            serve=limits,
            clock=clock,
        )
        arrivals = Arrivals(
            layout=layout, table=table, wishes=self.wishes, machine=machine, rests=self.rests, beat=beat
        )
        self.attempts: Final = Attempts(
            arrivals=arrivals,
            table=table,
            serving=serving,
            answering=self.answering,
            handover=handover,
            shadows=self.shadows,
            trials=self.trials,
            wishes=self.wishes,
            window=window,
            start_worker=start_worker,
            check=check,
            beat=beat,
        )
        serving.on_change(lambda model: self._changes[model].set())

    async def boot(self) -> None:
        """Serve again what was active before, without asking anyone."""
        for model in list(self._table.models):
            self._serving.announce(model)
        for model in list(self._table.models):
            for step in (self._break_loop, self._tie_up, self.answering.serve_active):
                # A full disk is no reason to serve nothing; later looks try the moves again.
                await _is_done(step(model))
            if self._table[model].active is None:
                self._serving.remove(model)

    async def run(self) -> None:
        """Look after every model until cancelled."""
        tended: set[ModelName] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._orders_changed.clear()
                for model in self._models() - tended:
                    group.create_task(self._tend(model), name=f"lifecycle {model}")
                    tended.add(model)
                await _is_done(self.crash_loop.forgive())
                self._beat()
                await _wait(self._orders_changed, timeout_s=REST_EVERY_S)

    async def look(self) -> None:
        """Do for every model what can be done now."""
        await asyncio.gather(*(self._look_after(model) for model in sorted(self._models())))

    def wake(self) -> None:
        """Take note that something has changed which decides what runs: look at every model at once."""
        for change in (*self._changes.values(), self._orders_changed):
            change.set()

    async def end_cleanly(self) -> None:
        """Note that the daemon was told to stop, and how far shadow runs and trials are."""
        await _is_done(self.shadows.end_all())
        await _is_done(self.trials.write_down())
        await _is_done(self.crash_loop.end_cleanly())

    def _models(self) -> set[ModelName]:
        return {*self._table.models, *self._orders.models}

    async def _tend(self, model: ModelName) -> None:
        change = self._changes[model]
        while True:
            change.clear()
            is_done = await _is_done(self._look_after(model))
            self._beat()
            pause_s = REST_EVERY_S if self._is_at_rest(model) else LOOK_EVERY_S
            await _wait(change, timeout_s=pause_s if is_done else RETRY_AFTER_S)

    def _is_at_rest(self, model: ModelName) -> bool:
        """Tell whether nothing happens to a model unless somebody says so: nothing is tried, on trial, or yet to be served."""
        slot = self._table[model].active_slot
        is_served = slot is None or (slot.state is SlotState.GOOD and model in self._serving.served)
        return is_served and self.attempts.has_nothing_to_do(model)

    async def _look_after(self, model: ModelName) -> None:
        """Go on with what was interrupted, then with the trial, then with what the rollout names.

        Raises:
            StoreError: The disk refused a move.
        """
        await self.answering.serve_active(model)
        await self.trials.look(model)
        await self.attempts.look(model)

    async def _break_loop(self, model: ModelName) -> None:  # (1)
        for name in await self.crash_loop.count(model, self.trials.rules):
            await self.crash_loop.turn_down(model, name, may_fall_back=self.answering.may_fall_back(model))

    async def _tie_up(self, model: ModelName) -> None:  # (2)
        slots = self._table[model]
        names: tuple[SlotName, ...] = ("a", "b")
        for name in names:
            what = _LOOSE_ENDS.get(slots[name].state)
            if what is not None:
                await self._table.move(model, Move(slot=name, what=what, cause="boot", reason="interrupted"))


async def _wait(change: asyncio.Event, *, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await change.wait()


async def _is_done(work: Coroutine[Any, Any, None]) -> bool:
    """Do something that moves slots; a disk that refuses is reported, and no reason to end: what is active goes on answering."""
    try:
        await work
    except StoreError as exc:
        LOG.error("Slots cannot be moved: %s", exc)  # noqa: TRY400 - the operator needs the sentence
        return False
    return True
