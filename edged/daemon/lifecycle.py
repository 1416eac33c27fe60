"""What happens to a bundle after the updater staged it: read back, validated, activated, tried, and kept or turned down.

One bundle at a time goes through these steps; each is one move of ``edged.store.slots`` and durable before the next begins, so a power
cut anywhere leaves a slot table from which ``boot`` goes on:

(1) write began     the candidate's name is in the spare slot
(2) write verified  every file it needs was hashed from disk
(3) validation      a disposable worker loads it and answers the validation kit as the golden outputs say
(4) activated       a fresh worker serves it; the model before it becomes the fallback
(5) health passed   the serving worker answered the kit, too: the slot is good

A candidate that fails (3) or (5) is refused by digest and not tried again by itself. What the device may have caused instead (the disk at
(2), no process, a full queue) is tried again later. Whatever a candidate does, the model that was active answers, or does so again.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final

from edged import journal
from edged.activation.candidate import is_worth_trying
from edged.bundle.read import InstalledBundle, read_bundle, verify_files
from edged.clock import Clock
from edged.codec import decode_json
from edged.config.schema import ServeConfig
from edged.daemon.check import check_model
from edged.daemon.keeper import Loadable, StartWorker
from edged.daemon.rests import RETRY_AFTER_S, Rests
from edged.daemon.served import Served
from edged.daemon.serving import Serving
from edged.daemon.slot_table import SlotTable
from edged.errors import (
    BundleError,
    DeadlineError,
    EdgedError,
    IncompatibleError,
    ModelLoadError,
    StoreError,
    TrustError,
    WorkerLostError,
)
from edged.files import read_limited
from edged.ids import ModelName, SlotName, Version
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.select.machine import Machine
from edged.select.matcher import choose_variant
from edged.store.layout import StoreLayout
from edged.store.slots import Content, SlotEvent, SlotState
from edged.validation.validate import Infers

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
MOST_TRIES: Final = 5
"""Of what may be the device's passing trouble, before it is taken for the model's."""

# What a model does to the worker that loads and runs it; anything else is the device's trouble.
_CANDIDATES_FAULT: Final = (BundleError, TrustError, ModelLoadError, WorkerLostError, DeadlineError)
# Of an active model in its trial less is: it stands in line with the apps' requests, so it can be late through no fault of its own.
_ACTIVE_MODELS_FAULT: Final = (BundleError, TrustError, WorkerLostError)


class Lifecycle:
    """Decides what ``Serving`` serves.

    Args:
        layout: The bundle store; only read.
        table: The slots; only this part moves them.
        serving: Told what to serve.
        machine: What variants are matched against.
        start_worker: Starts the disposable workers.
        clock: Monotonic, for retries.
        limits: Called for the limits in force.
        beat: Called at every sign of progress; feeds the watchdog.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        table: SlotTable,
        serving: Serving,
        machine: Machine,
        start_worker: StartWorker,
        clock: Clock,
        limits: Callable[[], ServeConfig],
        beat: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._table = table
        self._serving = serving
        self._machine = machine
        self._start_worker = start_worker
        self._limits = limits
        self._beat = beat
        self._rests = Rests(clock)
        self._said = ""

    async def boot(self) -> None:
        """Serve again what was active before, without asking anyone."""
        for model in self._table.models:
            self._serving.announce(model)
        for model, slots in list(self._table.models.items()):
            try:
                await self._serve_active(model)
                if slots[slots.spare].state is SlotState.WRITING:
                    await self._table.move(
                        model, slots.spare, SlotEvent.WRITE_FAILED, cause="boot", reason="interrupted"
                    )
            except StoreError as exc:
                # A full disk is no reason to serve nothing; look() tries the move again.
                LOG.error("Slots of %s cannot be moved: %s", model, exc)  # noqa: TRY400 - the sentence is enough

    async def run(self) -> None:
        """Look for work until cancelled."""
        while True:
            wait_s = LOOK_EVERY_S
            try:
                await self.look()
            except StoreError as exc:
                # The slot table cannot be written, say because the disk is full: what is active goes on answering.
                LOG.error("Slots cannot be moved: %s", exc)  # noqa: TRY400 - the operator needs the sentence
                wait_s = RETRY_AFTER_S
            self._beat()
            await asyncio.sleep(wait_s)

    async def look(self) -> None:
        """Go on with what was interrupted, then try what the rollout names and the store holds."""
        for model, slots in list(self._table.models.items()):
            if slots.active is None:
                continue
            if model not in self._serving.served:
                if not self._rests.is_resting("serve", model, slots.active):
                    await self._serve_active(model)
            elif slots[slots.active].state is SlotState.TRIAL and not self._rests.is_resting("trial", model):
                await self._finish_trial(model, slots.active)
        for model, version in self._versions_to_try():
            candidate = self._candidate(model, version)
            if candidate is not None:
                await self._try(candidate)

    def _versions_to_try(self) -> Iterator[tuple[ModelName, Version]]:
        """Give what the rollout names; then, for a model with nothing active, what it had before, newest first.

        What is in a bad slot was good, or would be refused: better served than nothing while the rollout names a refused version.
        """
        yield from self._wanted().items()
        for model in list(self._table.models):
            slots = self._table[model]
            bad = [slot.content.version for slot in (slots.a, slots.b) if slot.state is SlotState.BAD and slot.content]
            for version in sorted(bad, reverse=True):
                if self._table[model].active is None:
                    yield model, version

    def _wanted(self) -> dict[ModelName, Version]:
        try:
            data = read_limited(self._layout.rollout, max_bytes=MAX_ROLLOUT_BYTES)
            rollout = decode_json(Rollout, data, source=str(self._layout.rollout))
        except FileNotFoundError:
            return {}
        except (EdgedError, OSError) as exc:
            if str(exc) != self._said:  # once, not once a second
                self._said = str(exc)
                LOG.warning("Rollout document cannot be read: %s", exc)
            return {}
        return {
            ModelName(name): Version.parse(entry.version) for name, entry in rollout.models.items() if entry.version
        }

    def _candidate(self, model: ModelName, wanted: Version) -> InstalledBundle | None:
        refused = {refused.version for refused in self._table.refused.values() if refused.model == model}
        if not is_worth_trying(wanted, slots=self._table[model], refused=refused):
            return None
        if self._rests.is_resting("try", model, wanted):
            return None
        try:
            return read_bundle(self._layout.bundle(model, wanted))
        except FileNotFoundError:
            return None  # the updater has not finished with it
        except (EdgedError, OSError) as exc:
            self._set_aside(model, wanted, exc)
            return None

    async def _try(self, bundle: InstalledBundle) -> None:
        """Take one candidate through steps (1) to (5)."""
        model, table = bundle.manifest.model, self._table
        try:
            variant = choose_variant(bundle.manifest, self._machine, present=bundle.variants).variant
        except IncompatibleError as exc:
            await table.refuse(bundle.digest, bundle.manifest, reason=exc.message)
            return
        loadable = Loadable(bundle=bundle, variant=variant)
        spare = table[model].spare
        content = Content(version=bundle.manifest.semver, digest=bundle.digest, variant=variant.id)
        try:
            await table.move(model, spare, SlotEvent.WRITE_BEGAN, content=content)  # (1)
            files = bundle.manifest.files_for([variant])
            await asyncio.to_thread(verify_files, bundle, files, progress=self._beat)
            await table.move(model, spare, SlotEvent.WRITE_VERIFIED)  # (2)
            await self._validate(loadable)  # (3)
            served = await self._load(loadable)
        except Exception as exc:  # noqa: BLE001 - whatever a candidate does, the daemon and the other models go on
            await self._give_up(bundle, spare, exc)
            return
        try:
            await table.move(model, spare, SlotEvent.ACTIVATED)  # (4)
        except BaseException:
            await served.close()
            raise
        self._serving.put(served)
        journal.event(
            LOG, journal.MODEL_ACTIVATED, model=model, version=content.version, slot=spare, variant=variant.id
        )
        await self._finish_trial(model, spare)  # (5)

    async def _give_up(self, bundle: InstalledBundle, spare: SlotName, why: Exception) -> None:
        """Turn a candidate down for good if it is to blame, else set it aside for a while."""
        model, table = bundle.manifest.model, self._table
        state = table[model][spare].state
        if state is SlotState.READY and _is_models_fault(why, _CANDIDATES_FAULT):
            refused = (bundle.digest, bundle.manifest)
            await table.move(model, spare, SlotEvent.VALIDATION_FAILED, reason=str(why), refused=refused)
            return
        self._set_aside(model, bundle.manifest.semver, why)
        if state is SlotState.WRITING:  # hashed wrong, or not readable: the disk's fault, not the publisher's
            await table.move(model, spare, SlotEvent.WRITE_FAILED, reason=str(why))

    def _set_aside(self, model: ModelName, version: Version, why: Exception) -> None:
        LOG.warning("Candidate %s %s set aside for %g s: %s", model, version, RETRY_AFTER_S, why)
        self._rests.begin("try", model, version)

    async def _validate(self, loadable: Loadable) -> None:
        self._beat()
        worker = await self._start_worker(loadable, None)
        self._beat()
        try:
            await self._check(loadable, worker)
        finally:
            await worker.close()

    async def _check(self, loadable: Loadable, model: Infers) -> None:
        await check_model(loadable, model, timeout_s=self._limits().request_timeout_s, beat=self._beat)

    async def _finish_trial(self, model: ModelName, name: SlotName) -> None:
        served = self._serving.served[model]
        try:
            await self._check(served.loadable, served)
        except Exception as exc:  # noqa: BLE001 - as in _try
            is_fault = _is_models_fault(exc, _ACTIVE_MODELS_FAULT)
            if not is_fault and self._rests.begin("trial", model) < MOST_TRIES:
                LOG.warning("Trial of %s goes on in %g s: %s", model, RETRY_AFTER_S, exc)
                return
            bundle = served.loadable.bundle
            refused = (bundle.digest, bundle.manifest) if is_fault else None
            await self._table.move(model, name, SlotEvent.HEALTH_FAILED, reason=str(exc), refused=refused)
            journal.event(LOG, journal.MODEL_ROLLED_BACK, model=model, slot=name, reason=str(exc))
            await self._serve_active(model)
        else:
            await self._table.move(model, name, SlotEvent.HEALTH_PASSED)
        self._rests.end("trial", model)

    async def _serve_active(self, model: ModelName) -> None:
        """Serve what the active slot names; if that is damaged, fall back, until nothing is left.

        What may be the device's passing trouble (no memory, no process, a disk that is not there) leaves the slot as it is, to be
        tried again, for ``MOST_TRIES`` times.
        """
        while (name := self._table[model].active) is not None:
            try:
                served = await self._load(self._read_slot(model, name))
            except Exception as exc:  # noqa: BLE001 - as in _try
                LOG.warning("Slot %s of %s cannot be served: %s", name, model, exc)
                is_damaged = isinstance(exc, BundleError | TrustError)
                if not is_damaged and self._rests.begin("serve", model, name) < MOST_TRIES:
                    # What answered until now is not what the slot names: it failed its trial.
                    self._serving.remove(model)
                    self._serving.announce(model)
                    return
                await self._table.move(model, name, SlotEvent.HEALTH_FAILED, cause="load", reason=str(exc))
                continue
            self._rests.end("serve", model, name)
            self._serving.put(served)
            return
        self._serving.remove(model)

    def _read_slot(self, model: ModelName, name: SlotName) -> Loadable:
        """Find what a slot was activated with.

        Raises:
            TrustError: The store does not hold it any more, or not whole.
            OSError: The store cannot be read.
        """
        content = self._table[model][name].content
        try:
            bundle = None if content is None else read_bundle(self._layout.bundle(model, content.version))
        except (StoreError, FileNotFoundError) as exc:
            if not self._layout.bundles.is_dir():
                raise OSError(f"there is no store at {self._layout.root}") from exc
            raise TrustError(f"the bundle in slot {name} of {model} is damaged: {exc}") from exc
        if content is None or bundle is None or bundle.digest != content.digest:
            raise TrustError(f"the store no longer holds what slot {name} of {model} was activated with")
        variant = next((variant for variant in bundle.variants if variant.id == content.variant), None)
        if variant is None:
            raise TrustError(f"the bundle in slot {name} of {model} has lost its variant {content.variant}")
        return Loadable(bundle=bundle, variant=variant)

    async def _load(self, loadable: Loadable) -> Served:
        self._beat()
        return await self._serving.load(loadable)


def _is_models_fault(why: Exception, faults: tuple[type[EdgedError], ...]) -> bool:
    """Tell whether a model is to blame; what nobody foresaw counts, because it came with this model and would come again."""
    if isinstance(why, EdgedError | OSError):
        return isinstance(why, faults)
    LOG.error("Model failed in an unforeseen way", exc_info=why)
    return True
