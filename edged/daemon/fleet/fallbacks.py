"""Obeys the fallback rules of manifests: finds what answers while a model cannot, and has it answer.

A model needs something in its place while it is held and its publisher (or its lease) allows for that, while no variant's worker can be
started, and while no version of it is active. The rules are those of the active version; with none active, of the version that was last.

(1) permitted   of each rule it is found out whether it applies here, in the order of the manifest; what has failed rests for a while
(2) loaded      a version or variant gets a worker of its own, next to that of the model; a variant that was never tried on this device
                has to pass the validation kit
(3) ended       as soon as the model can answer, or what answers is no longer permitted, in the same turn of the event loop

A constant answers at once, and needs no worker. The wait for a model that is being loaded is no reason to fall back, unless it is long.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edged import journal
from edged.bundle.fallback import Constant, Fallback, FallbackUse, PreviousVersion, Refuse, SmallerVariant
from edged.bundle.manifest import Variant
from edged.bundle.read import InstalledBundle
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.predecessors import Predecessors
from edged.daemon.fleet.stop_switch import StopSwitch
from edged.daemon.lifecycle.advice import Stopped
from edged.daemon.lifecycle.check import check_model
from edged.daemon.lifecycle.rests import Rests
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.stand_in import StandIn, constant_stand_in, stand_in_of
from edged.ids import ModelName
from edged.select.machine import Machine
from edged.select.matcher import misfits
from edged.store.history import Happening

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0
LOADING_PATIENCE_S: Final = 30.0
"""A model that is not loaded after so long counts as one that cannot be."""
CHECK_TIMEOUT_S: Final = 30.0
"""For each sample of a validation kit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """Why something has to answer in a model's place."""

    reason: str
    stopped: Stopped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Something that may answer in a model's place."""

    use: FallbackUse
    words: str
    bundle: InstalledBundle
    """Whose version or variant, or whose constant."""
    variant: str = ""
    constant: Constant | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Tells it from others."""
        return (self.use, self.bundle.digest, self.variant)


class Fallbacks:
    """Puts stand-ins in the place of models.

    Args:
        switch: Which models are held; looks before this does.
        serving: Told what answers.
        table: Which versions are active.
        predecessors: The versions before the active ones.
        machine: What variants have to fit.
        diary: Told what changes.
        rests: Of what failed.
    """

    def __init__(
        self,
        *,
        switch: StopSwitch,
        serving: Serving,
        table: SlotTable,
        predecessors: Predecessors,
        machine: Machine,
        diary: Diary,
        rests: Rests,
    ) -> None:
        self._switch = switch
        self._serving = serving
        self._table = table
        self._predecessors = predecessors
        self._machine = machine
        self._diary = diary
        self._rests = rests
        self._loop = asyncio.get_running_loop()
        self._standing: dict[ModelName, tuple[str, str, str]] = {}
        """The keys of what answers."""
        self._fallen: set[ModelName] = set()
        """Models in whose place something answered, until they answer again."""
        self._absent_since_s: dict[ModelName, float] = {}
        """Models with an active version that is not loaded."""
        self._news = asyncio.Event()

    def review_all(self) -> None:
        """Look at every model."""
        models = sorted(self._switch.models | self._standing.keys())
        # Nothing that is looked for elsewhere may hold up the stop of the last of them.
        for model in models:
            self._switch.review(model)
        for model in models:
            self._replace(model)

    def review(self, model: ModelName) -> None:
        """Hold or release a model, end a stand-in that must not answer, and find another where one is needed."""
        self._switch.review(model)
        self._replace(model)

    def _replace(self, model: ModelName) -> None:
        try:
            self._find_stand_in(model)
        except Exception:
            # A disk that cannot be read, say: then nothing answers, and whoever changed the model goes on.
            LOG.exception("What answers in the place of %s cannot be found out", model)

    def _find_stand_in(self, model: ModelName) -> None:
        need = self._need(model)
        choices = [] if need is None else list(self._choices(model, need))
        self._drop(model, choices)
        if need is None:
            self._note_end(model)
        first = self._first(model, choices)
        if need is None or first is None or self._standing.get(model) == first.key:
            return
        if first.constant is None:
            self._news.set()
        else:
            stats = self._serving.fallback_stats(model)
            stand_in = constant_stand_in(first.constant, first.bundle.manifest, first.words, stats)
            self._put(model, first, stand_in, need)

    async def run(self) -> None:
        """Load what is needed until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                self.review_all()
            self._news.clear()
            for model in sorted(self._switch.models):
                try:
                    await self._load(model)
                except Exception:
                    LOG.exception("Nothing can be loaded in the place of %s", model)

    def _need(self, model: ModelName) -> _Need | None:
        stopped = self._switch.stopped(model)
        if stopped is not None:
            return _Need(reason=stopped.reason, stopped=stopped) if stopped.action == "fall-back" else None
        served, slots = self._serving.served.get(model), self._table[model]
        if served is not None or slots.active is None:
            self._absent_since_s.pop(model, None)
        if served is not None:
            error = "" if self._serving.is_mending(model) else served.start_error
            return _Need(reason=f"its worker cannot be started: {error}") if error else None
        if slots.active is None:
            return _Need(reason="no version of it is active")
        since_s = self._absent_since_s.setdefault(model, self._loop.time())
        return _Need(reason="it cannot be loaded") if self._loop.time() - since_s >= LOADING_PATIENCE_S else None

    def _choices(self, model: ModelName, need: _Need) -> Iterator[_Choice]:
        """Give everything that may answer, by rule (1)."""
        served = self._serving.served.get(model)
        current = (
            (served.loadable.bundle, served.loadable.variant.id)
            if served is not None
            else self._predecessors.last(model)
        )
        if current is None:
            return
        bundle, variant = current
        for rule in bundle.manifest.fallback:
            yield from self._choices_of(rule, model, bundle, variant, need)

    def _choices_of(
        self, rule: Fallback, model: ModelName, bundle: InstalledBundle, variant: str, need: _Need
    ) -> Iterator[_Choice]:
        version = bundle.manifest.version
        match rule:
            case Constant():
                yield _Choice(use="constant", words=f"the constant of {version}", bundle=bundle, constant=rule)
            case PreviousVersion():
                for before, other in self._predecessors.before(model, bundle.manifest.semver):
                    words = f"version {before.manifest.version}"
                    yield _Choice(use="previous-version", words=words, bundle=before, variant=other)
            case SmallerVariant():
                # A stop is for the whole version; and of one that was turned down, no variant is to be trusted.
                is_stopped = need.stopped is not None and need.stopped.source == "stop"
                if not is_stopped and self._table[model].active is not None:
                    for other in _smaller(bundle, variant, rule.variant, self._machine):
                        yield _Choice(use="smaller-variant", words=f"variant {other}", bundle=bundle, variant=other)
            case Refuse():
                return

    def _first(self, model: ModelName, choices: list[_Choice]) -> _Choice | None:
        """Return the first choice that does not rest."""
        return next((choice for choice in choices if not self._rests.is_resting("stand-in", model, choice.key)), None)

    def _drop(self, model: ModelName, choices: list[_Choice]) -> None:
        """End what answers in a model's place unless it is among what may; rule (3)."""
        key, stand_in = self._standing.get(model), self._serving.stand_ins.get(model)
        if key is None:
            return
        has_failed = stand_in is not None and stand_in.served is not None and bool(stand_in.served.start_error)
        if has_failed:
            self._rests.begin("stand-in", model, key)
        if stand_in is not None and not has_failed and key in [choice.key for choice in choices]:
            return
        del self._standing[model]
        self._serving.stand_down(model)

    def _note_end(self, model: ModelName) -> None:
        """Take note that a model needs nothing in its place any more, if it ever did."""
        if model in self._fallen and not self._serving.is_held(model):
            self._fallen.remove(model)
            cause = self._cause(model)
            self._diary.note(Happening.ANSWERS_AGAIN, model=model, cause=cause)
            journal.event(LOG, journal.MODEL_ANSWERS_AGAIN, model=model, cause=cause)

    def _put(self, model: ModelName, choice: _Choice, stand_in: StandIn, need: _Need) -> None:
        self._serving.stand_in(model, stand_in)
        self._standing[model] = choice.key
        self._fallen.add(model)
        version = choice.bundle.manifest.semver
        self._diary.note(
            Happening.FELL_BACK,
            model=model,
            version=version,
            cause=self._cause(model),
            reason=f"{choice.words}: {need.reason}",
        )
        journal.event(LOG, journal.MODEL_FELL_BACK, model=model, version=version, use=choice.words, reason=need.reason)

    async def _load(self, model: ModelName) -> None:
        """Load what answers in a model's place, by rule (2); what cannot be loaded makes way for the next rule."""
        need = self._need(model)
        choice = None if need is None else self._first(model, list(self._choices(model, need)))
        if need is None or choice is None or choice.constant or self._standing.get(model) == choice.key:
            return
        loadable = Loadable(bundle=choice.bundle, variant=_variant(choice))
        try:
            served = await self._serving.load(loadable, is_stand_in=True)
        except Exception as exc:  # noqa: BLE001 - whatever a bundle does, the daemon and the other models go on
            self._give_up(model, choice, exc)
            return
        try:
            if choice.use == "smaller-variant":
                await check_model(loadable, served, timeout_s=CHECK_TIMEOUT_S, beat=lambda: None)
        except Exception as exc:  # noqa: BLE001 - as above
            await served.close()
            self._give_up(model, choice, exc)
            return
        except BaseException:
            await served.close()
            raise
        need = self._need(model)
        if need is None or choice.key not in [other.key for other in self._choices(model, need)]:
            await served.close()
            return
        self._put(model, choice, stand_in_of(served, choice.use, choice.words), need)

    def _give_up(self, model: ModelName, choice: _Choice, why: Exception) -> None:
        LOG.warning("%s cannot answer in the place of %s: %s", choice.words.capitalize(), model, why)
        self._rests.begin("stand-in", model, choice.key)
        self.review(model)
        self._news.set()

    def _cause(self, model: ModelName) -> str:
        stopped = self._switch.stopped(model)
        return "device" if stopped is None else stopped.cause


def _variant(choice: _Choice) -> Variant:
    return next(variant for variant in choice.bundle.variants if variant.id == choice.variant)


def _smaller(bundle: InstalledBundle, variant: str, wanted: str | None, machine: Machine) -> list[str]:
    """Return the ids of the variants that are here, fit the machine and need less memory than one, the largest first; or the one wanted."""
    fitting = [other for other in bundle.variants if other.id != variant and not misfits(other, machine)]
    if wanted is not None:
        return [other.id for other in fitting if other.id == wanted]
    limit_bytes = next((v.budget.memory_bytes for v in bundle.manifest.variants if v.id == variant), 0)
    smaller = [other for other in fitting if other.budget.memory_bytes < limit_bytes]
    return [other.id for other in sorted(smaller, key=lambda other: -other.budget.memory_bytes)]
