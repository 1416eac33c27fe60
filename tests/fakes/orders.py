"""What a fleet orders, said by a test; rollouts are read from the store, as on a device. And a window that a test opens and closes."""

import contextlib
from collections.abc import Sequence

from edged.codec import decode_json
from edged.daemon.lifecycle.advice import Stopped
from edged.ids import ModelName, Version
from edged.ops.rollout import Rollout, RolloutDecision, decide
from edged.ops.segments import Device
from edged.store.layout import StoreLayout

DEVICE = Device(id="0123456789abcdef0123456789abcdef", arch="amd64")


class FakeOrders:
    """Fulfils ``edged.daemon.lifecycle.advice.Orders``."""

    cause = "rollout 3f9c0d2e"

    def __init__(self, layout: StoreLayout) -> None:
        self.shadow = None
        self.trial = None
        self.floors: dict[ModelName, Version] = {}
        self.stops: dict[tuple[ModelName, Version], Stopped] = {}
        self._layout = layout
        self._rollout = Rollout(schema=1, issued="2026-11-22T10:00:00Z", models={})

    @property
    def models(self) -> Sequence[ModelName]:
        return [ModelName(name) for name in self._read().models]

    def cause_for(self, model: ModelName) -> str:
        return self.cause

    def decision(self, model: ModelName, *, active: Version | None) -> RolloutDecision | None:
        entry = self._read().models.get(model)
        return None if entry is None else decide(entry, DEVICE, active=active, flags={})

    def floor(self, model: ModelName) -> Version | None:
        return self.floors.get(model)

    def stopped(self, model: ModelName, version: Version) -> Stopped | None:
        return self.stops.get((model, version))

    def stop(self, model: ModelName, version: str) -> None:
        """Stop one version."""
        self.stops[model, Version.parse(version)] = Stopped(
            action="refuse", reason="wrong answers", since="2026-11-22T10:00:00Z", source="stop", cause="stop 12345678"
        )

    def _read(self) -> Rollout:
        path = self._layout.rollout
        with contextlib.suppress(FileNotFoundError):
            self._rollout = decode_json(Rollout, path.read_bytes(), source=str(path))
        return self._rollout


class FakeWindow:
    """Fulfils ``edged.daemon.lifecycle.advice.QuietWindow``; open until a test gives reasons, and for whom an operator opened it."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.asked: list[str] = []
        self.opened: set[ModelName] = set()

    def reasons_to_wait(self, model: ModelName, version: Version) -> Sequence[str]:
        self.asked.append(str(version))
        return () if model in self.opened else tuple(self.reasons)

    def open_for(self, model: ModelName) -> None:
        self.opened.add(model)

    def forget(self, model: ModelName) -> None:
        self.opened.discard(model)
