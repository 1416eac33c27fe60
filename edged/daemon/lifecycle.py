"""What happens to a bundle after the updater staged it: read back, validated, activated, tried, and kept or turned down.

One bundle at a time goes through these steps; each is one move of ``edged.store.slots`` and durable before the next begins, so a power
cut anywhere leaves a slot table from which ``boot`` goes on:

(1) write began     the candidate's name is in the spare slot
(2) write verified  every file it needs was hashed from disk
(3) validation      a disposable worker loads it and answers the validation kit as the golden outputs say
(4) activated       a fresh worker serves it; the model before it becomes the fallback
(5) health passed   the serving worker answered the kit, too: the slot is good

A candidate that fails (3) or (5) is refused by digest and not tried again by itself. One that fails (2) is the disk's fault, not the
publisher's: it is tried again later. Whatever fails, the active model goes on answering.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from edged import journal
from edged.bundle.read import InstalledBundle, read_bundle, verify_files
from edged.clock import Clock
from edged.codec import decode_json
from edged.config.schema import ServeConfig
from edged.daemon.served import Loadable, Served, StartWorker
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
    ValidationFailedError,
    WorkerLostError,
)
from edged.files import read_limited
from edged.ids import ModelName, SlotName, Version
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.validate import Infers, validate
from edged.select.machine import Machine
from edged.select.matcher import choose_variant
from edged.store.candidate import is_worth_trying
from edged.store.layout import StoreLayout
from edged.store.slots import Content, SlotEvent, SlotState
from edged.update.rollout import MAX_ROLLOUT_BYTES, Rollout

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
REASONS_KEPT: Final = 3
"""Of a failed validation, in the slot table and the status."""
RETRY_AFTER_S: Final = 60.0
"""How long a candidate rests when the device, not the candidate, stood in its way."""

# What a model does to the worker that loads and runs it; anything else is the device's trouble.
_CANDIDATES_FAULT: Final = (BundleError, TrustError, ModelLoadError, WorkerLostError, DeadlineError)


class Lifecycle:
    """Decides what ``Serving`` serves.

    Args:
        layout: The bundle store; only read.
        table: The slots; only this part moves them.
        serving: Told what to serve.
        machine: What variants are matched against.
        start_worker: Starts a worker; used for disposable and for serving ones.
        clock: Monotonic, for retries.
        limits: For what is served from now on.
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
        self._clock = clock
        self._limits = limits
        self._beat = beat
        self._resting_until_s: dict[tuple[ModelName, Version], float] = {}
        self._said = ""

    async def boot(self) -> None:
        """Serve again what was active before, without asking anyone.

        A slot that cannot be loaded any more turns bad and its fallback takes over.
        """
        for model in self._table.models:
            self._serving.announce(model)
        for model, slots in list(self._table.models.items()):
            self._beat()
            if slots[slots.spare].state is SlotState.WRITING:
                await self._table.move(model, slots.spare, SlotEvent.WRITE_FAILED, cause="boot", reason="interrupted")
            await self._serve_active(model)

    async def run(self) -> None:
        """Look for work until cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as exc:
                # The slot table cannot be written, say because the disk is full: what is active goes on answering.
                LOG.error("Slots cannot be moved: %s", exc)  # noqa: TRY400 - the operator needs the sentence
            self._beat()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Finish a trial that was interrupted, then try what the rollout names and the store holds."""
        for model, slots in list(self._table.models.items()):
            if slots.active is not None and slots[slots.active].state is SlotState.TRIAL:
                await self._finish_trial(model, slots.active)
        for model, version in self._wanted().items():
            candidate = self._candidate(model, version)
            if candidate is not None:
                await self._try(candidate)

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
        return {ModelName(name): Version.parse(entry.version) for name, entry in rollout.models.items()}

    def _candidate(self, model: ModelName, wanted: Version) -> InstalledBundle | None:
        refused = {refused.version for refused in self._table.refused.values() if refused.model == model}
        if not is_worth_trying(wanted, slots=self._table[model], refused=refused):
            return None
        if self._resting_until_s.get((model, wanted), 0.0) > self._clock.monotonic_s():
            return None
        try:
            return read_bundle(self._layout.bundle(model, wanted))
        except FileNotFoundError:
            return None  # the updater has not finished with it
        except (EdgedError, OSError) as exc:
            self._rest(model, wanted, exc)
            return None

    async def _try(self, bundle: InstalledBundle) -> None:
        """Take one candidate through steps (1) to (5)."""
        model, table = bundle.manifest.model, self._table
        try:
            variant = choose_variant(bundle.manifest, self._machine).variant
        except IncompatibleError as exc:
            await table.refuse(bundle.digest, bundle.manifest, reason=exc.message)
            return
        loadable = Loadable(bundle=bundle, variant=variant)
        spare = table[model].spare
        content = Content(version=bundle.manifest.semver, digest=bundle.digest, variant=variant.id)
        try:
            await table.move(model, spare, SlotEvent.WRITE_BEGAN, content=content)  # (1)
            await asyncio.to_thread(verify_files, bundle, bundle.manifest.files_for([variant]))
            await table.move(model, spare, SlotEvent.WRITE_VERIFIED)  # (2)
            await self._validate(loadable)  # (3)
            served = await self._load(loadable)
        except _CANDIDATES_FAULT as exc:
            if table[model][spare].state is SlotState.WRITING:  # hashed wrong: the disk's fault, not the publisher's
                await table.move(model, spare, SlotEvent.WRITE_FAILED, reason=str(exc))
                self._rest(model, content.version, exc)
                return
            refused = (bundle.digest, bundle.manifest)
            await table.move(model, spare, SlotEvent.VALIDATION_FAILED, reason=str(exc), refused=refused)
            return
        except (EdgedError, OSError) as exc:
            self._rest(model, content.version, exc)
            return
        await table.move(model, spare, SlotEvent.ACTIVATED)  # (4)
        self._serving.put(served)
        journal.event(
            LOG, journal.MODEL_ACTIVATED, model=model, version=content.version, slot=spare, variant=variant.id
        )
        await self._finish_trial(model, spare)  # (5)

    def _rest(self, model: ModelName, version: Version, why: Exception) -> None:
        LOG.warning("Candidate %s %s set aside for %g s: %s", model, version, RETRY_AFTER_S, why)
        self._resting_until_s[model, version] = self._clock.monotonic_s() + RETRY_AFTER_S

    async def _validate(self, loadable: Loadable) -> None:
        worker = await self._start_worker(loadable)
        self._beat()
        try:
            await self._check(loadable, worker)
        finally:
            await worker.close()

    async def _check(self, loadable: Loadable, model: Infers) -> None:
        """Hold a model against its validation kit.

        Raises:
            ValidationFailedError: It answers differently, or too slowly.
            EdgedError: It could not be asked.
        """
        bundle = loadable.bundle
        beating = _Beating(model, self._beat)
        limit_s = self._limits().request_timeout_s
        verdict = await validate(beating, bundle.directory, bundle.manifest, loadable.variant, timeout_s=limit_s)
        if not verdict.passed:
            raise ValidationFailedError(
                _first(verdict.reasons), hint="Publish a bundle whose golden outputs the model gives."
            )

    async def _finish_trial(self, model: ModelName, name: SlotName) -> None:
        loadable = self._serving.served[model].loadable
        try:
            await self._check(loadable, self._serving.served[model])
        except (EdgedError, OSError) as exc:
            refused = (loadable.bundle.digest, loadable.bundle.manifest)
            await self._table.move(model, name, SlotEvent.HEALTH_FAILED, reason=str(exc), refused=refused)
            journal.event(LOG, journal.MODEL_ROLLED_BACK, model=model, slot=name, reason=str(exc))
            await self._serve_active(model)
        else:
            await self._table.move(model, name, SlotEvent.HEALTH_PASSED)

    async def _serve_active(self, model: ModelName) -> None:
        """Serve what the active slot names; while that fails, fall back, until nothing is left."""
        while (name := self._table[model].active) is not None:
            try:
                served = await self._load(self._read_slot(model, name))
            except (EdgedError, OSError) as exc:
                LOG.warning("Slot %s of %s cannot be served: %s", name, model, exc)
                await self._table.move(model, name, SlotEvent.HEALTH_FAILED, cause="load", reason=str(exc))
                continue
            self._serving.put(served)
            return
        self._serving.remove(model)

    def _read_slot(self, model: ModelName, name: SlotName) -> Loadable:
        content = self._table[model][name].content
        if content is None:
            raise StoreError(f"slot {name} of {model} is empty")
        bundle = read_bundle(self._layout.bundle(model, content.version))
        variant = next((variant for variant in bundle.manifest.variants if variant.id == content.variant), None)
        if bundle.digest != content.digest or variant is None:
            raise TrustError(f"the store no longer holds what slot {name} of {model} was activated with")
        return Loadable(bundle=bundle, variant=variant)

    async def _load(self, loadable: Loadable) -> Served:
        worker = await self._start_worker(loadable)
        limits = self._limits()
        return Served(
            loadable,
            worker,
            start_worker=self._start_worker,
            max_waiting=limits.max_queued,
            run_limit_s=limits.request_timeout_s,
        )


class _Beating:
    """Counts every answer as progress: a long kit is no reason for the watchdog to bark."""

    def __init__(self, model: Infers, beat: Callable[[], None]) -> None:
        self._model = model
        self._beat = beat

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Pass a request on."""
        result = await self._model.infer(inputs, outputs, timeout_s=timeout_s)
        self._beat()
        return result


def _first(reasons: Sequence[str]) -> str:
    rest = len(reasons) - REASONS_KEPT
    return "; ".join(reasons[:REASONS_KEPT]) + (f"; and {rest} more" if rest > 0 else "")
