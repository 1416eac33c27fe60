"""What a fleet does with each model, in one line for a person and one object for a program. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edged.ids import Version
from edged.ops.rollout import Next, Rollout, RolloutEntry
from edged.ops.segments import Issued
from edged.ops.stop import Stop, Stops
from edged.publish.fleet.rollout import is_held, is_taken_back, soak_left_s
from edged.publish.fleet.words import duration, part_of_fleet

HEADINGS = ("MODEL", "EVERYONE", "NEXT", "PERCENT", "SINCE", "SOAK LEFT", "WHO", "FLAG", "STATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """What is said about one model."""

    model: str
    published: Sequence[Version]
    floor: Version | None
    entry: RolloutEntry
    stop: Stop | None
    lease_hours: float | None

    def row(self, now: Issued) -> list[str]:
        """Return the cells under ``HEADINGS``."""
        after = self.entry.next
        cells = [self.model, self.entry.version or "-"]
        if after is None:
            return [*cells, "-", "-", "-", "-", "everybody" if self.entry.version else "nobody", "-", self._state()]
        left_s = soak_left_s(after, now=now)
        return [
            *(*cells, after.version, f"{after.percent:g} %", _minute(after.since)),
            "-" if is_held(after) else duration(left_s) if left_s else "over",
            *(part_of_fleet(after.segments), after.flag or "-", self._state()),
        ]

    def notes(self) -> Iterator[str]:
        """Return what else has to be known, line by line."""
        if self.stop is not None:
            what = f"versions {', '.join(self.stop.versions)}" if self.stop.versions else "every version"
            how = "refused" if self.stop.action == "refuse" else "replaced as the bundle says"
            yield f"STOPPED since {_minute(self.stop.since)}, {what} {how}: {self.stop.reason}"
        if self.entry.next is not None and is_held(self.entry.next):
            what = "taken back" if is_taken_back(self.entry.next) else "halted"
            yield f"{self.entry.next.version} is {what}: {self.entry.next.reason}"
        if self.entry.next is not None and self.entry.next.shadow:
            yield f"{self.entry.next.version} runs in the shadow first, with {self.entry.next.shadow * 100:.4g} % of the requests"
        for pin in self.entry.pins:
            why = f": {pin.reason}" if pin.reason else ""
            yield f"pinned to {pin.version}: {part_of_fleet(pin.segments)}{why}"
        if self.floor is not None:
            yield f"no version below {self.floor} runs"
        if self.lease_hours is not None:
            yield f"answers for {self.lease_hours:g} hours after the last fresh timestamp"

    def document(self, now: Issued) -> dict[str, Any]:
        """Return the same for a program."""
        return {
            "model": self.model,
            "published": [str(version) for version in self.published],
            "floor": str(self.floor) if self.floor is not None else None,
            "version": self.entry.version,
            "next": _next(self.entry.next, now) if self.entry.next is not None else None,
            "pins": [msgspec.to_builtins(pin) for pin in self.entry.pins],
            "stop": None if self.stop is None else {"reason": self.stop.reason, "since": self.stop.since},
            "lease_hours": self.lease_hours,
        }

    def _state(self) -> str:
        if self.stop is not None:
            return "STOPPED"
        after = self.entry.next
        if after is None:
            return "done" if self.entry.version else "not rolled out"
        if is_taken_back(after):
            return "TAKEN BACK"
        return "HALTED" if after.halted else "going"


def view_models(
    rollout: Rollout | None,
    stops: Stops | None,
    *,
    published: Mapping[str, Sequence[Version]],
    floors: Mapping[str, Version | None],
) -> list[ModelView]:
    """Join what several documents say about each model, sorted by name.

    Args:
        rollout: The rollout document, if there is one.
        stops: The stop document, if there is one.
        published: The versions of each model.
        floors: The lowest version of each model that may run, where there is one.
    """
    entries = rollout.models if rollout is not None else {}
    stopped = stops.models if stops is not None else {}
    leases = stops.leases if stops is not None else {}
    return [
        ModelView(
            model=model,
            published=published.get(model, ()),
            floor=floors.get(model),
            entry=entries.get(model, RolloutEntry()),
            stop=stopped.get(model),
            lease_hours=leases[model].hours if model in leases else None,
        )
        for model in sorted({*published, *entries, *stopped, *leases})
    ]


def _next(after: Next, now: Issued) -> dict[str, Any]:
    state = "taken-back" if is_taken_back(after) else "halted" if after.halted else "going"
    plain = {"segments": [], "flag": "", "soak_s": 0.0, "shadow": 0.0, "reason": "", "halted": False}
    return {**plain, **msgspec.to_builtins(after), "state": state, "soak_left_s": soak_left_s(after, now=now)}


def _minute(time: Issued) -> str:
    return f"{time[:10]} {time[11:16]}"
