"""What this device has learned about variants: whether they passed their validation kit here, and what their runs need.

Times and memory are learned by looking now and then at the variants that are loaded, and kept over restarts of the daemon for as long as a
slot has the version. They are written at most every ``WRITE_EVERY_S`` and at the end: a restart without an end forgets a few minutes of
them. What energy runs take is looked up in the book of the last days (``edged.energy.days``), which is kept by itself.
"""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from operator import sub
from pathlib import Path
from typing import Final

from edged.daemon.serving.served import Served
from edged.daemon.variants.passed_over import Key, PassedOver
from edged.energy.days import RunEnergy
from edged.errors import StoreError
from edged.ids import Digest
from edged.select.decision import Measured
from edged.select.observed import add_runs, by_bucket, is_like, p95_s
from edged.store.kept import KeptVariant
from edged.store.state import StateDb
from edged.telemetry.histogram import divided
from edged.telemetry.serving import DURATION_BOUNDS_S, PARTS
from edged.validation.memory import PROC, Figures

WRITE_EVERY_S: Final = 600.0
"""Each write costs a flash memory some life."""

_BOUNDS_S: Final = divided(DURATION_BOUNDS_S, PARTS)


class Measures:
    """Fulfils ``measured`` of ``edged.daemon.decisions.seams.Variants`` for each version, by its digest.

    Args:
        state: Where it is kept.
        energy: Returns what a run of each variant takes, by its id, which names its model and version, too.
        proc: Where /proc is.
    """

    def __init__(self, state: StateDb, *, energy: Callable[[], Mapping[str, RunEnergy]], proc: Path = PROC) -> None:
        self._state = state
        self._energy = energy
        self._proc = proc
        self._known: dict[Key, KeptVariant] = {(item.digest, item.id): item for item in state.read_variants()}
        self._seen: dict[Served, tuple[int, ...]] = {}
        """The runs, by bucket, that each loaded variant had at the last look."""
        self._published: dict[Digest, dict[str, Measured]] = {}
        self._passed_over = PassedOver()
        self._is_new = False
        """There is something that is not on the disk."""
        self._written_s = -math.inf
        self._publish({digest for digest, _ in self._known})

    def of(self, digest: Digest) -> Mapping[str, Measured]:
        """Return what each variant of a version was seen to need, by id; the same object until a figure is another one."""
        return self._published.get(digest, {})

    def has_passed(self, digest: Digest, variant: str) -> bool:
        """Tell whether a variant passed its kit on this device."""
        known = self._known.get((digest, variant))
        return known is not None and known.has_passed

    def note_passed(self, digest: Digest, variant: str) -> None:
        """Take note that a variant passed its kit."""
        if not self.has_passed(digest, variant):
            self._keep(replace(self._of(digest, variant), has_passed=True))

    def look(self, loaded: Collection[Served], *, now_s: float) -> set[Digest]:
        """Take what loaded variants have done since the last look; returns the versions of which a figure is another one now.

        Args:
            loaded: All of them.
            now_s: Monotonic.
        """
        self._seen = {served: runs for served, runs in self._seen.items() if served in loaded}
        ran = [
            (served.loadable.bundle.digest, served.loadable.variant.id) for served in loaded if self._look_at(served)
        ]
        for key in self._passed_over.look(ran, self._known, now_s=now_s):
            self._keep(replace(self._known[key], runs=()))
        return self._publish({served.loadable.bundle.digest for served in loaded})

    async def write(self, digests: Collection[Digest], *, now_s: float | None = None) -> None:
        """Keep what is new, unless it is too early for that; what is known of other versions is forgotten.

        Args:
            digests: Of the versions that slots have.
            now_s: Monotonic; None writes at once.

        Raises:
            StoreError: The disk refused; it is tried again by the next call.
        """
        gone = [key for key in self._known if key[0] not in digests]
        if not (self._is_new or gone) or (now_s is not None and now_s < self._written_s + WRITE_EVERY_S):
            return
        kept = [item for key, item in self._known.items() if key not in gone]
        # What is learned while the disk writes is news for the next time.
        self._is_new = False
        try:
            await asyncio.to_thread(self._state.write_variants, kept)
        except StoreError:
            self._is_new = True
            raise
        for key in gone:
            del self._known[key]
            self._published.pop(key[0], None)
        if now_s is not None:
            self._written_s = now_s

    def _look_at(self, served: Served) -> bool:
        """Take what one has done; tells whether it ran."""
        digest, id_ = served.loadable.bundle.digest, served.loadable.variant.id
        runs = by_bucket(served.run_times.fine_cumulative)
        new = tuple(map(sub, runs, self._seen[served])) if served in self._seen else runs
        self._seen[served] = runs
        known = self._of(digest, id_)
        if any(new):
            known = replace(known, runs=add_runs(known.runs, new))
        needed = None if served.worker is None else needed_bytes(served.worker.pid, proc=self._proc)
        if needed is not None and needed > (known.memory_bytes or 0):
            known = replace(known, memory_bytes=needed)
        if known != self._of(digest, id_):
            self._keep(known)
        return any(new)

    def _of(self, digest: Digest, variant: str) -> KeptVariant:
        return self._known.get((digest, variant)) or KeptVariant(digest=digest, id=variant)

    def _keep(self, known: KeptVariant) -> None:
        self._known[known.digest, known.id] = known
        self._is_new = True

    def _publish(self, digests: Collection[Digest]) -> set[Digest]:
        """Bring what is said about versions up to date; returns those of which a figure is another one now."""
        energy = self._energy()
        return {digest for digest in digests if self._publish_one(digest, energy)}

    def _publish_one(self, digest: Digest, energy: Mapping[str, RunEnergy]) -> bool:
        new = {item.id: _measured(item, energy.get(item.id)) for key, item in self._known.items() if key[0] == digest}
        before = self._published.get(digest, {})
        if new.keys() == before.keys() and all(is_like(measured, before[id_]) for id_, measured in new.items()):
            return False
        self._published[digest] = new
        return True


def needed_bytes(pid: int, *, proc: Path = PROC) -> int | None:
    """Return how much memory a worker has of its own, beyond what it was forked with (``edged.validation.memory``); None: nobody knows."""
    own = _read(proc, pid)
    bare = None if own is None else _read(proc, own.parent)
    return None if own is None or bare is None else max(0, own.own - bare.own)


def _read(proc: Path, pid: int) -> Figures | None:
    try:
        return Figures.parse((proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _measured(item: KeptVariant, energy: RunEnergy | None) -> Measured:
    return Measured(
        latency_s=p95_s(item.runs, _BOUNDS_S),
        memory_bytes=item.memory_bytes,
        joules=None if energy is None else energy.joules,
        watts=None if energy is None else energy.watts,
    )
