"""Looks at the device's sensors beside the event loop, and knows how old each part of what was seen is.

A part that has not answered for ``STALE_AFTER_S`` counts for nothing: what its devices read becomes an error with that reason, so that
whoever judges it finds neither an old value nor a device that is not there.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from edged.clock import Clock
from edged.daemon.senses.lanes import PATIENCE_S, Answer, Lanes
from edged.sense.families import FAMILIES
from edged.sense.snapshot import DeviceText, FamilyName, Snapshot, merged
from edged.sense.sysfs import Sensors

STALE_AFTER_S: Final = 15.0


class Sight:
    """What was seen last.

    Args:
        sensors: What there is to see.
        clock: Tells how old it is.
        patience_s: How long one part may keep the others waiting.
    """

    def __init__(self, sensors: Sensors, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._lanes = Lanes(sensors.parts, clock, patience_s=patience_s)
        self._parts = sensors.parts.keys()
        self._clock = clock

    async def look(self) -> None:
        """Look at everything; what takes too long comes with a later look."""
        await self._lanes.look()

    def snapshot(self) -> Snapshot:
        """Return what was seen last, as far as that is not too long ago."""
        now_s = self._clock.monotonic_s()
        return merged(_as_of(answer, now_s) for answer in self._lanes.answers.values())

    def missing(self) -> Mapping[str, str]:
        """Return the parts that say nothing now, and why."""
        answers, now_s = self._lanes.answers, self._clock.monotonic_s()
        late = {name: why for name, answer in answers.items() if (why := _why_stale(answer, now_s))}
        return {**late, **dict.fromkeys(self._parts - answers.keys(), "it has not answered yet")}


def _why_stale(answer: Answer[Snapshot], now_s: float) -> str:
    age_s = now_s - answer.at_s
    return f"it has not answered for {age_s:.0f} s" if age_s > STALE_AFTER_S else ""


def _as_of(answer: Answer[Snapshot], now_s: float) -> Snapshot:
    reason = _why_stale(answer, now_s)
    if not reason:
        return answer.value
    seen = answer.value
    devices: dict[FamilyName, tuple[DeviceText, ...]] = {
        family: tuple(_unread(device, _fixed(family, device), reason) for device in devices)
        for family, devices in seen.devices.items()
    }
    return replace(seen, devices=devices, files={}, errors={**seen.errors, **dict.fromkeys(seen.files, reason)})


def _fixed(family: FamilyName, device: DeviceText) -> Collection[str]:
    """Return the attributes that do not change: they are as good as ever."""
    return [name for name in device.texts if FAMILIES[family].fixed.fullmatch(name)]


def _unread(device: DeviceText, kept: Collection[str], reason: str) -> DeviceText:
    texts = {name: device.texts[name] for name in kept}
    lost = dict.fromkeys(device.texts.keys() - texts.keys(), reason)
    return replace(device, texts=texts, errors={**device.errors, **lost})
