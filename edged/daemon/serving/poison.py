"""Requests that ended a worker: which are suspected, and which are refused for a while. Pure.

A worker that ends takes every request with it that was under way in it, and nobody can tell which of them was to blame. So:

(1) all of them are suspects from then on, by the digest of what they ask
(2) a suspect that comes again runs alone: in no batch, and nothing beside it
(3) if the worker ends again, it was this request: it is refused until it has rested for ``rest_s``
(4) if it is answered, it was innocent

Suspects that do not come again are forgotten after the same time. A worker that ended with the template, or because the daemon ended
it at a shutdown or swap, is nobody's fault; one that was killed because it did not stop when it was told to, is. A new version of a
model begins with an empty list: what ended the old one may do nothing to it.

While nobody is suspected nothing is computed for a request. Otherwise a few of its bytes are looked at, and only a request that looks
like a suspect is hashed as a whole.
"""

import hashlib
import math
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

from edged.errors import PoisonError
from edged.runtime.calls import Request

MOST_SUSPECTS: Final = 256
"""Digests kept; the oldest go first. More than is under way in one worker of a small device, so that no culprit is lost among victims."""
DIGEST_SHOWN: Final = 16
"""Digits of a digest that people see."""
_GLANCE_BYTES: Final = 256

Glance = tuple[tuple[object, ...], ...]


def digest_of(request: Request) -> str:
    """Hash what a request asks: names, datatypes, shapes and bytes of its inputs, and the outputs it wants."""
    digest = hashlib.sha256()
    for tensor in request.inputs:
        data = memoryview(tensor.data)
        head = f"{tensor.name}\0{tensor.dtype}\0{tensor.shape}".encode()
        digest.update(struct.pack("<QQ", len(head), data.nbytes) + head)
        digest.update(data)
    digest.update("\0".join(request.outputs).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspicion:
    glance: Glance
    deaths: int
    last_death: int
    until_s: float


class PoisonList:
    """What ended the workers of one version of a model.

    Args:
        rest_s: How long it is remembered.
    """

    def __init__(self, *, rest_s: float) -> None:
        self._rest_s = rest_s
        # The order is that of the ends of the rests, because every rest is equally long.
        self._known: dict[str, _Suspicion] = {}
        self._glances: Counter[Glance] = Counter()

    def __len__(self) -> int:
        """Return how many requests are known; nearly always none."""
        return len(self._known)

    def blame(self, request: Request, *, death: int, now_s: float) -> str:
        """Note that a request was under way when a worker ended.

        Args:
            request: Its inputs are still what they were.
            death: Tells this end from others; a request that was under way twice in it is blamed once.
            now_s: Monotonic seconds.

        Returns:
            The request's digest if this made it poison, else an empty string.
        """
        digest = digest_of(request)
        before = self._known.get(digest)
        if before is not None and before.last_death == death:
            return ""
        self._forget(digest)
        deaths = 1 if before is None else before.deaths + 1
        glance = _glance(request)
        self._known[digest] = _Suspicion(glance=glance, deaths=deaths, last_death=death, until_s=now_s + self._rest_s)
        self._glances[glance] += 1
        if len(self._known) > MOST_SUSPECTS:
            self._forget(next(iter(self._known)))
        return digest if deaths == 2 else ""

    def acquit(self, request: Request) -> None:
        """Note that a suspect was answered."""
        self._forget(digest_of(request))

    def judge(self, request: Request, *, now_s: float) -> bool:
        """Tell whether a request is a suspect, and must run alone.

        Raises:
            PoisonError: It ended two workers.
        """
        while self._known and self._known[oldest := next(iter(self._known))].until_s <= now_s:
            self._forget(oldest)
        digest = self._digest_of_known(request)
        if not digest:
            return False
        suspicion = self._known[digest]
        if suspicion.deaths > 1:
            raise PoisonError(
                "this very request ended two workers and is not run again for now",
                hint="Report it with the model and its version to the publisher; other requests are served.",
                digest=digest[:DIGEST_SHOWN],
                # Seconds from now rather than a date: a board without a clock battery has no date worth telling.
                rest_s=math.ceil(suspicion.until_s - now_s),
            )
        return True

    def knows(self, request: Request) -> bool:
        """Tell whether a request is a suspect or worse, as of the last ``judge``."""
        return bool(self._digest_of_known(request))

    def _digest_of_known(self, request: Request) -> str:
        if _glance(request) not in self._glances:
            return ""
        digest = digest_of(request)
        return digest if digest in self._known else ""

    def _forget(self, digest: str) -> None:
        suspicion = self._known.pop(digest, None)
        if suspicion is not None:
            self._glances -= Counter((suspicion.glance,))


def _glance(request: Request) -> Glance:
    """Return what is cheap to look at and nearly always differs: sizes, and some bytes of the beginning, middle and end."""
    glances: list[tuple[object, ...]] = []
    for tensor in request.inputs:
        data = memoryview(tensor.data).cast("B")
        ends = (0, len(data) // 2, max(len(data) - _GLANCE_BYTES, 0))
        glances.append((tensor.name, len(data), *(bytes(data[at : at + _GLANCE_BYTES]) for at in ends)))
    return tuple(glances)
