"""What belongs to a model by its name, whatever versions of it come and go: shared memory and counters."""

from collections.abc import Callable, Sequence
from typing import Final

from edged.config.schema import ServeConfig
from edged.daemon.serving.served import Served
from edged.ids import ModelName
from edged.runtime.memory import SharedMemory
from edged.telemetry.serving import ServingStats

BODIES_AT_ONCE: Final = 4
"""How many requests of the largest size one model may have in memory together."""


class Name:
    """What one name has."""

    def __init__(self, *, max_bytes: Callable[[], int]) -> None:
        self.memory: Final = SharedMemory(max_bytes=max_bytes)
        self.stats: Final = ServingStats()
        self.fallback_stats: Final = ServingStats()
        """Of what answers in the model's place."""
        self.is_gone = False
        """No version of it is served or loaded any more."""
        self.seen: object = ()
        """What there was to see of its requests when ``Names.tidy`` looked last."""


class Names:
    """Every model that was loaded, until it is gone and its memory given back.

    Args:
        limits: Called for the limits in force.
    """

    def __init__(self, limits: Callable[[], ServeConfig]) -> None:
        self._limits = limits
        self._names: dict[ModelName, Name] = {}

    def __contains__(self, model: ModelName) -> bool:
        """Tell whether anything is left of a model."""
        return model in self._names

    def take(self, model: ModelName) -> Name:
        """Return what a model has, which is there from now on."""
        name = self._names.get(model)
        if name is None:
            name = self._names[model] = Name(max_bytes=lambda: BODIES_AT_ONCE * self._limits().max_body_bytes)
        name.is_gone = False
        return name

    def find(self, model: str) -> Name | None:
        """Return what a model has, if it is there."""
        name = self._names.get(ModelName(model))
        return None if name is None or name.is_gone else name

    def leave(self, model: ModelName) -> None:
        """Take note that nothing of a model is loaded any more."""
        if model in self._names:
            self._names[model].is_gone = True

    def tidy(self, served: Callable[[ModelName], Sequence[Served]]) -> None:
        """Give back the memory of models that had no request since the last call, and forget those that are gone.

        Args:
            served: Returns the variants of a model that are loaded.
        """
        for model, name in list(self._names.items()):
            seen = tuple((variant, variant.demand.requests) for variant in served(model))
            if seen == name.seen:
                name.memory.trim()
            name.seen = seen
            # A body that is still being received keeps it: its memory must find its way back.
            if name.is_gone and not name.memory.used_bytes:
                del self._names[model]
