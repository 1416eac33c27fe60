"""Which variants of the versions that answer are loaded, and which of them answers: what is wanted, as far as this device can.

For each model the next step is planned (``edged.select.warm``) and taken, again and again until nothing is left to do: whenever somebody
wants something else, whenever something changes about what is loaded, and every ``LOOK_EVERY_S``. Of all models one at a time loads.

What cannot be loaded, or fails its validation kit, rests: a minute at first, then ever longer, and is not usable meanwhile. One whose
worker was lost and cannot be started again is not usable until it can, and another takes its place, before the fallback rules of the
manifest are looked at. While nobody has said what is wanted, it is the variant that the version was activated with.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from edged import journal
from edged.api.ports import ModelView
from edged.bundle.manifest import Variant
from edged.clock import Clock
from edged.daemon.lifecycle.rests import Rests
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.line import NOTHING, Line, Want
from edged.daemon.variants.loading import Check, Loading
from edged.daemon.variants.measures import Measures
from edged.errors import StoreError
from edged.ids import Digest, ModelName
from edged.runtime.calls import Call
from edged.select.decision import Measured
from edged.select.machine import Machine
from edged.select.warm import Room, Step, WarmRules, choose_answering, plan_step

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0
MOST_REST_S: Final = 3600.0
"""Between two tries of a variant that fails each time."""
NOTED_AFTER_S: Final = 60.0
"""A variant that has answered for so long is the one that a restart begins with."""


class Variants:
    """Fulfils ``edged.daemon.decisions.seams.Variants``.

    Args:
        serving: What is loaded.
        table: The slots; told which variant a restart is to begin with.
        turn: Returns what has to be held while a version may not be replaced (``edged.daemon.lifecycle.answering``).
        machine: What variants have to fit.
        measures: What was learned about variants.
        check: Holds a variant against its validation kit.
        available_bytes: Returns the memory that is available now.
        rules: Called for the rules in force.
        clock: Monotonic.
        look_every_s: Beside whenever something is known to have changed.
    """

    def __init__(
        self,
        *,
        serving: Serving,
        table: SlotTable,
        turn: Callable[[ModelName], asyncio.Lock],
        machine: Machine,
        measures: Measures,
        check: Check,
        available_bytes: Callable[[], int],
        rules: Callable[[], WarmRules],
        clock: Clock,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._serving = serving
        self._table = table
        self._turn = turn
        self._machine = machine
        self._measures = measures
        self._available_bytes = available_bytes
        self._rules = rules
        self._clock = clock
        self._look_every_s = look_every_s
        self._rests = Rests(clock, most_s=MOST_REST_S)
        self._loading = Loading(serving=serving, measures=measures, check=check)
        self._heavy = asyncio.Lock()
        self._lines: dict[ModelName, Line] = {}
        """Of the version of each model that answers, or did last."""
        self._switches: dict[ModelName, Counter[str]] = {}
        self._wants: dict[ModelName, Want] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._busy: set[ModelName] = set()
        serving.on_change(self._note_change)
        for model in serving.served:
            self._note_change(model)

    def models(self) -> Sequence[str]:
        """Return the models of which a version answers."""
        return list(self._serving.served)

    def known(self, model: str) -> Sequence[Variant]:
        """Return all variants of the active version, best for this machine first; empty while no version answers."""
        line = self.line(ModelName(model))
        return () if line is None else line.known

    def unusable(self, model: str) -> Mapping[str, tuple[str, ...]]:
        """Return those that cannot run here, by id, with every reason."""
        line = self.line(ModelName(model))
        return {} if line is None else line.unusable(self._serving.variants(ModelName(model)))

    def measured(self, model: str) -> Mapping[str, Measured]:
        """Return what each was seen to need on this device, by id."""
        line = self.line(ModelName(model))
        return {} if line is None else self._measures.of(line.bundle.digest)

    def loaded(self, model: str) -> Sequence[str]:
        """Return the ids of those that could answer at once, the one that answers requests which name none first."""
        variants = self._serving.variants(ModelName(model))
        return [served.loadable.variant.id for served in variants if served.worker is not None]

    def on_change(self, told: Callable[[str], None]) -> None:
        """Have somebody told of every model of which something else than before is known, usable, measured or loaded."""
        self._listeners.append(told)

    def want(self, model: str, variants: Sequence[str], *, rule: str = "") -> None:
        """Have the first of these loaded as soon as it can be; see ``edged.daemon.decisions.seams.Variants``."""
        name = ModelName(model)
        before = self._wants.get(name, NOTHING)
        if before.variants == tuple(variants) and before.rule == rule:
            return
        is_same = before.variants[:1] == tuple(variants[:1])
        since_s = before.since_s if is_same else self._clock.monotonic_s()
        self._wants[name] = Want(variants=tuple(variants), rule=rule, since_s=since_s)
        self._switch(name)
        self._stir(name)

    def submit(self, model: str, version: str | None, variant: str, call: Call) -> ModelView:
        """Take a request for one of ``loaded``; see ``edged.daemon.decisions.seams.Variants``."""
        return self._serving.submit(model, version, call, variant)

    async def run(self) -> None:
        """Load and unload until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                while True:
                    self._look()
                    await self._keep(noted_after_s=NOTED_AFTER_S, now_s=self._clock.monotonic_s())
                    await asyncio.sleep(self._look_every_s)
            finally:
                self._group = None

    async def write_down(self) -> None:
        """Keep what was learned, and which variants answer."""
        await self._keep(noted_after_s=0.0)

    def switches(self, model: ModelName) -> Mapping[str, int]:
        """Return how often another variant came to answer since the daemon started, by how: ``warm`` or ``cold``."""
        return self._switches.get(model, {})

    def line(self, model: ModelName) -> Line | None:
        """Return what there is to know about the variants of a model, for the status; None while no version answers."""
        return self._lines.get(model) if model in self._serving.served else None

    def _note_change(self, model: ModelName) -> None:
        """Take note that something else answers for a model, or could."""
        served, line = self._serving.served.get(model), self._lines.get(model)
        if served is None:
            self._serving.mend(model, is_under_way=False)
        elif line is None or line.bundle.digest != served.loadable.bundle.digest:
            self._lines[model] = Line.of(served, self._machine, now_s=self._clock.monotonic_s())
            # It was activated, and only what has passed is.
            self._measures.note_passed(served.loadable.bundle.digest, served.loadable.variant.id)
        self._switch(model)
        self._tell(model)
        self._stir(model)

    def _switch(self, model: ModelName) -> None:
        """Have the variant answer that should, of those that are loaded."""
        line, variants = self._lines.get(model), self._serving.variants(model)
        if line is None or not variants:
            return
        now_s = self._clock.monotonic_s()
        want, first = self._wants.get(model, NOTHING), variants[0]
        targets = line.targets(want, variants)
        id_ = choose_answering(targets, line.loaded(want, variants, now_s=now_s))
        if id_ != first.loadable.variant.id:
            chosen = next(served for served in variants if served.loadable.variant.id == id_)
            self._serving.switch(chosen)
            if first.start_error:
                chosen.take_over(first)
            self._note_switch(model, line, first.loadable.variant.id, id_, how="warm")
        self._serving.mend(model, is_under_way=bool(self._serving.variants(model)[0].start_error and targets))

    def _note_switch(self, model: ModelName, line: Line, before: str, variant: str, *, how: str) -> None:
        now_s = self._clock.monotonic_s()
        want = self._wants.get(model, NOTHING)
        line.answers_since_s = now_s
        self._switches.setdefault(model, Counter())[how] += 1
        rule = want.rule if variant in want.variants else ""
        took_ms = round((now_s - want.since_s) * 1000, 3) if rule else 0.0
        journal.event(
            LOG, journal.VARIANT_SWITCHED, model=model, version=line.bundle.manifest.version, before=before, variant=variant,
            rule=rule or "none", how=how, took_ms=took_ms,
        )  # fmt: skip

    def _tell(self, model: ModelName) -> None:
        for told in self._listeners:
            told(model)

    def _stir(self, model: ModelName) -> None:
        """See to it that somebody works on a model."""
        if self._group is None or model in self._busy or not self._plan(model):
            return
        self._busy.add(model)
        _ = self._group.create_task(self._work(model), name=f"variants of {model}")

    def _plan(self, model: ModelName) -> Step:
        line, variants = self._lines.get(model), self._serving.variants(model)
        if line is None or not variants or self._serving.is_held(model):
            return Step()
        want, rules = self._wants.get(model, NOTHING), self._rules()
        room = Room(
            available_bytes=self._available_bytes(),
            reserve_bytes=int(self._machine.memory_bytes * rules.reserve_percent / 100),
            needs=line.needs_bytes(self._measures.of(line.bundle.digest)),
        )
        loaded = line.loaded(want, variants, now_s=self._clock.monotonic_s())
        return plan_step(targets=line.targets(want, variants), loaded=loaded, room=room, rules=rules)

    async def _work(self, model: ModelName) -> None:
        try:
            while step := self._plan(model):
                await self._unload(model, step)
                if step.load:
                    async with self._heavy:
                        again = self._plan(model)
                        if again.load == step.load:
                            await self._load(model, again)
        except Exception:
            # What answers goes on; the next look tries again.
            LOG.exception("Variants of %s cannot be looked after", model)
        finally:
            self._busy.discard(model)

    async def _unload(self, model: ModelName, step: Step) -> None:
        going = [served for served in self._serving.variants(model) if served.loadable.variant.id in step.unload]
        for served in going:
            self._serving.end(served)
        self._tell(model)
        if step.needs_room:
            await self._serving.gone(going)

    async def _load(self, model: ModelName, step: Step) -> None:
        line = self._lines[model]
        loadable = Loadable(bundle=line.bundle, variant=line.variant(step.load))
        line.loading, line.is_cold = step.load, step.is_cold
        try:
            if step.is_cold:
                async with self._turn(model):
                    if self.line(model) is not line:
                        return
                    before = self._serving.served[model].loadable.variant.id
                    await self._loading.load_cold(loadable)
                    self._note_switch(model, line, before, step.load, how="cold")
            else:
                await self._loading.load_warm(loadable)
        except Exception as exc:  # noqa: BLE001 - whatever a variant does, the daemon and the other models go on
            LOG.warning("Variant %s of %s cannot be used: %s", step.load, model, exc)
            line.failures[step.load] = str(exc) or type(exc).__name__
            self._rests.begin(line.bundle.digest, step.load)
        else:
            self._rests.end(line.bundle.digest, step.load)
        finally:
            line.loading, line.is_cold = "", False
            self._note_change(model)

    def _look(self) -> None:
        """See what has changed by itself: what was measured, and what has rested."""
        loaded = [served for model in self._lines for served in self._serving.variants(model)]
        digests = self._measures.look(loaded, now_s=self._clock.monotonic_s())
        for model, line in list(self._lines.items()):
            rested = [id_ for id_ in line.failures if not self._rests.is_resting(line.bundle.digest, id_)]
            for id_ in rested:
                del line.failures[id_]
            if rested or line.bundle.digest in digests:
                self._tell(model)
            self._switch(model)
            self._stir(model)

    async def _keep(self, *, noted_after_s: float, now_s: float | None = None) -> None:
        try:
            for model, line in list(self._lines.items()):
                served = self._serving.served.get(model)
                if served is not None and self._clock.monotonic_s() - line.answers_since_s >= noted_after_s:
                    await self._table.note_variant(model, line.bundle.digest, served.loadable.variant.id)
            await self._measures.write(self._digests(), now_s=now_s)
        except StoreError as exc:
            LOG.error("What is known about variants cannot be kept: %s", exc)  # noqa: TRY400 - the operator needs the sentence

    def _digests(self) -> set[Digest]:
        slots = [slot for slots in self._table.models.values() for slot in (slots.a, slots.b)]
        return {slot.content.digest for slot in slots if slot.content is not None}
