"""What is kept by its keys: results of models, and the features that are a step on the way to them. Pure.

Both share one bound on their bytes and one on their number. Where there is too much, the features that were not used for longest go first:
without them a part of the work is done again, without a result all of it. Once none are left, the results that were not used for longest
go. So features never cost a result, and where results need all of the room there are no features.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from edged.runtime.tensors import InferResult, Tensor

OVERHEAD_BYTES: Final = 1024
"""Counted for each entry beside its bytes: about what Python needs for its objects."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of all that is kept."""

    max_bytes: int
    max_entries: int


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    model: str
    thing: T
    size_bytes: int


class Shelf(Generic[T]):
    """Entries of one kind, the one that was used last at the end. Filled by ``Kept``."""

    def __init__(self) -> None:
        self._entries: OrderedDict[bytes, _Entry[T]] = OrderedDict()
        self._models: Counter[str] = Counter()
        """How many there are of each model."""
        self.size_bytes = 0
        """Of all of them."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def has(self, model: str) -> bool:
        """Tell whether there is any of a model."""
        return self._models[model] > 0

    def find(self, key: bytes) -> T | None:
        """Return what has a key, which counts as used."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.thing

    def put(self, model: str, key: bytes, thing: T, size_bytes: int) -> None:
        """Take an entry, in place of the one that has its key."""
        if key in self._entries:
            self._drop(key)
        self._entries[key] = _Entry(model, thing, size_bytes)
        self._models[model] += 1
        self.size_bytes += size_bytes

    def drop_oldest(self) -> None:
        """Let the one go that was not used for longest."""
        self._drop(next(iter(self._entries)))

    def forget(self, model: str) -> None:
        """Let all of a model go."""
        for key in [key for key, entry in self._entries.items() if entry.model == model]:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key)
        self.size_bytes -= entry.size_bytes
        self._models -= Counter((entry.model,))


class Kept:
    """Results and features of models, within common bounds."""

    def __init__(self) -> None:
        self.results: Final = Shelf[InferResult]()
        self.features: Final = Shelf[Sequence[Tensor]]()

    def __len__(self) -> int:
        """Return how many there are of both."""
        return len(self.results) + len(self.features)

    @property
    def size_bytes(self) -> int:
        """Of all that is kept."""
        return self.results.size_bytes + self.features.size_bytes

    def has(self, model: str) -> bool:
        """Tell whether there is anything of a model."""
        return self.results.has(model) or self.features.has(model)

    def keep_result(self, model: str, key: bytes, result: InferResult, bounds: Bounds) -> None:
        """Keep a result, in place of others where there would be too much; one that is too large for all of the room is not kept."""
        self._keep(self.results, model, key, result, _size(result.outputs), bounds)

    def keep_features(self, model: str, key: bytes, features: Sequence[Tensor], bounds: Bounds) -> None:
        """Keep features where results leave room for them."""
        size_bytes = _size(features)
        if size_bytes - OVERHEAD_BYTES <= self.room_for_features(bounds):
            self._keep(self.features, model, key, features, size_bytes, bounds)

    def room_for_features(self, bounds: Bounds) -> int:
        """Return how many bytes features would be kept with, if all others had to go for them; below 0 where none would be."""
        if len(self.results) >= bounds.max_entries:
            return -1
        return bounds.max_bytes - self.results.size_bytes - OVERHEAD_BYTES

    def shrink(self, bounds: Bounds) -> None:
        """Let go of what there is too much of."""
        while self.size_bytes > bounds.max_bytes or len(self) > bounds.max_entries:
            (self.features if len(self.features) else self.results).drop_oldest()

    def forget(self, model: str) -> None:
        """Let all of a model go."""
        self.results.forget(model)
        self.features.forget(model)

    def _keep(self, shelf: Shelf[T], model: str, key: bytes, thing: T, size_bytes: int, bounds: Bounds) -> None:
        if size_bytes <= bounds.max_bytes:
            shelf.put(model, key, thing, size_bytes)
            self.shrink(bounds)


def _size(tensors: Sequence[Tensor]) -> int:
    return OVERHEAD_BYTES + sum(memoryview(tensor.data).nbytes for tensor in tensors)
