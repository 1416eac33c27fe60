"""Results by their keys, bounded in number and bytes: what was not used for longest goes first. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from edged.runtime.tensors import InferResult

OVERHEAD_BYTES: Final = 1024
"""Counted for each result beside its bytes: about what Python needs for its objects."""


@dataclass(frozen=True, slots=True)
class _Kept:
    model: str
    result: InferResult
    size_bytes: int


class Results:
    """Results of models, the one that was used last at the end."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._models: dict[str, int] = {}
        """How many there are of each model that has any."""
        self.size_bytes = 0
        """Of all of them."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def has(self, model: str) -> bool:
        """Tell whether there is any of a model."""
        return model in self._models

    def find(self, key: bytes) -> InferResult | None:
        """Return the result of a key, which counts as used."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.result

    def keep(self, model: str, key: bytes, result: InferResult, *, max_bytes: int, max_entries: int) -> None:
        """Keep a result, in place of others where there would be too many; one that is too large for all of the room is not kept."""
        size_bytes = OVERHEAD_BYTES + sum(memoryview(tensor.data).nbytes for tensor in result.outputs)
        if size_bytes > max_bytes:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = _Kept(model, result, size_bytes)
        self._models[model] = self._models.get(model, 0) + 1
        self.size_bytes += size_bytes
        self.shrink(max_bytes=max_bytes, max_entries=max_entries)

    def shrink(self, *, max_bytes: int, max_entries: int) -> None:
        """Let those go that were not used for longest until no more are left than there may be."""
        while self._kept and (self.size_bytes > max_bytes or len(self._kept) > max_entries):
            self._drop(next(iter(self._kept)))

    def forget(self, model: str) -> None:
        """Let all of a model go."""
        for key in [key for key, kept in self._kept.items() if kept.model == model]:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key)
        self.size_bytes -= kept.size_bytes
        self._models[kept.model] -= 1
        if not self._models[kept.model]:
            del self._models[kept.model]
