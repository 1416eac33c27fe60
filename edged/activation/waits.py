"""How long candidates have been waiting for the quiet window, over restarts and with a clock that may be wrong. Pure.

A wait begins with the first question about a version, and ends when it is forgotten or another version is asked about. It is as long as
the longer of two accounts:

(1) counted    seconds on the monotonic clock while the daemon ran, added up over its lives. Nothing can make this too long.
(2) by date    since the moment of the first question, once that is known by a clock that can be trusted. A device that is switched off
               every night waits no longer for that.

An operator may open the window for a model. That is good for one version: the one that waits, or else the next one asked about.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, Self

import msgspec

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, ModelName, Version

MAX_WAITS_BYTES: Final = 1 << 18


class WaitNote(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One wait as it is kept on the disk."""

    version: str = ""
    """Empty: whichever is asked about next."""
    counted_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    since_unix_s: float | None = None
    is_opened: bool = False


class WaitNotes(Document, frozen=True, kw_only=True):
    """``waits.json`` in the daemon's state directory."""

    schema: Literal[1] = 1
    models: dict[Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)], WaitNote] = msgspec.field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wait:
    version: str
    counted_from_s: float
    """On the monotonic clock; earlier than this life of the daemon by what was counted before."""
    since_unix_s: float | None = None
    is_opened: bool = False


class Waits:
    """The waits of all models."""

    def __init__(self) -> None:
        self._waits: dict[ModelName, _Wait] = {}

    @classmethod
    def of_notes(cls, notes: WaitNotes, *, now_s: float) -> Self:
        """Go on with what an earlier life of the daemon noted.

        Args:
            notes: Its last ones.
            now_s: Monotonic seconds.
        """
        waits = cls()
        for model, note in notes.models.items():
            waits._waits[ModelName(model)] = _Wait(
                version=note.version,
                counted_from_s=now_s - note.counted_s,
                since_unix_s=note.since_unix_s,
                is_opened=note.is_opened,
            )
        return waits

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._waits)

    def notes(self, *, now_s: float) -> WaitNotes:
        """Return what is to be kept on the disk."""
        return WaitNotes(
            models={
                model: WaitNote(
                    version=wait.version,
                    counted_s=max(0.0, now_s - wait.counted_from_s),
                    since_unix_s=wait.since_unix_s,
                    is_opened=wait.is_opened,
                )
                for model, wait in self._waits.items()
            }
        )

    def ask(self, model: ModelName, version: Version, *, now_s: float) -> None:
        """Take note that a version would like to go on."""
        wait = self._waits.get(model)
        if wait is not None and wait.version == "":
            self._waits[model] = replace(wait, version=str(version))
        elif wait is None or wait.version != str(version):
            self._waits[model] = _Wait(version=str(version), counted_from_s=now_s)

    def open(self, model: ModelName, *, now_s: float) -> None:
        """Take note that an operator does not want a model's candidate to wait."""
        self._waits[model] = _Wait(version="", counted_from_s=now_s, is_opened=True)

    def forget(self, model: ModelName) -> None:
        """End a model's wait."""
        self._waits.pop(model, None)

    def is_opened(self, model: ModelName) -> bool:
        """Tell whether an operator opened the window for the version that waits."""
        wait = self._waits.get(model)
        return wait is not None and wait.is_opened

    def waited_s(self, model: ModelName, *, now_s: float, unix_s: float | None) -> float:
        """Return how long a model's candidate has waited.

        Args:
            model: One that was asked about.
            now_s: Monotonic seconds.
            unix_s: The wall clock; None where it cannot be trusted.
        """
        wait = self._waits[model]
        counted_s = now_s - wait.counted_from_s
        if unix_s is None or wait.since_unix_s is None:
            return counted_s
        return max(counted_s, unix_s - wait.since_unix_s)

    def date(self, *, now_s: float, unix_s: float) -> None:
        """Tell, by a clock that can be trusted, when the waits began that have no date yet."""
        for model, wait in self._waits.items():
            if wait.since_unix_s is None:
                self._waits[model] = replace(wait, since_unix_s=unix_s - (now_s - wait.counted_from_s))
