"""Models that an administrator steers, without slots or workers: what is told is noted, and refused as the real ones refuse it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edged.errors import ModelUnknownError, NothingToDoError, NotPermittedError
from edged.store.history import Entry, Happening


@dataclass
class Steered:
    """One model."""

    active: str
    before: str | None = None
    candidate: str | None = None
    stopped: frozenset[str] = frozenset()
    turned_down: set[str] = field(default_factory=set)


class FakeUpdates:
    """Fulfils ``edged.api.ports.Updates``; ``failure`` is raised by the next call when set."""

    def __init__(self, **models: Steered) -> None:
        self.models = models or {
            "echo": Steered(active="1.2.3", before="1.2.2", candidate="1.3.0"),
            "pair": Steered(active="0.1.0", candidate="0.2.0", stopped=frozenset({"0.2.0"})),
        }
        self.failure: Exception | None = None
        self.entries: list[Entry] = []

    async def rollback(self, model: str, *, reason: str, by: str) -> str:
        steered = self._find(model)
        if steered.before is None:
            raise NothingToDoError(f"Model {model} has no proven version to go back to.")
        steered.turned_down.add(steered.active)
        self._note(Happening.ROLLED_BACK, model, steered.active, by, reason)
        steered.active, steered.before = steered.before, None
        return steered.active

    async def apply(self, model: str, *, version: str | None, by: str) -> str:
        steered = self._find(model)
        wanted = version or steered.candidate or steered.active
        if wanted not in {steered.active, steered.candidate}:
            raise ModelUnknownError(f"There is no version {wanted} of model {model}.")
        if wanted == steered.active:
            raise NothingToDoError(f"Model {model} runs version {wanted} already.")
        if wanted in steered.stopped:
            raise NotPermittedError(f"Version {wanted} of model {model} is stopped.")
        steered.turned_down.discard(wanted)
        self._note(Happening.WINDOW_OPENED, model, wanted, by)
        return wanted

    def history(self, *, model: str, limit: int) -> Sequence[Entry]:
        found = [entry for entry in reversed(self.entries) if not model or entry.model == model]
        return found[:limit]

    def _find(self, model: str) -> Steered:
        if self.failure is not None:
            raise self.failure
        if model not in self.models:
            raise ModelUnknownError(f"There is no model {model} on this device.", hint="edgectl status lists them.")
        return self.models[model]

    def _note(self, what: Happening, model: str, version: str, by: str, reason: str = "") -> None:
        number = len(self.entries) + 1
        at = 1_800_000_000.0 + number
        entry = Entry(id=number, at=at, what=what, model=model, version=version, cause=by, reason=reason)
        self.entries.append(entry)
