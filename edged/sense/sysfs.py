"""Read what the kernel shows of its sensors below ``/sys`` and ``/proc``. What it means is decided elsewhere in this package.

Reading an attribute asks the device behind it, which may take its time (a sensor on a slow bus): not for the event loop. What cannot be
read is as if it were not there, or says why, because drivers come and go while somebody looks. psutil would tell some of this as well: not
trip points, limits, alarms and reasons, and it costs each process 3 MB of memory.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from edged.sense.attributes import KeptDevice, KeptFile, read_text
from edged.sense.families import FAMILIES, ONLINE_PROCESSORS, PROC_FILES, Family, more_live
from edged.sense.snapshot import DeviceText, FamilyName, Snapshot, merged

SYSFS: Final = Path("/sys")
PROCFS: Final = Path("/proc")
REFRESH_LOOKS: Final = 60
"""After so many looks what does not change is read again all the same: five minutes at one look in five seconds."""


class FamilyFiles:
    """The devices of one family, as they come and go.

    Args:
        sysfs: Where sysfs is.
        family: Whose directory is looked at.
    """

    def __init__(self, sysfs: Path, family: Family) -> None:
        self._directory = f"{sysfs}/{family.directory}"
        self._family = family
        self._devices: dict[str, KeptDevice] = {}
        self._repeats: dict[str, bool] = {}
        self._looks = 0

    def look(self) -> tuple[DeviceText, ...]:
        """Read the devices that are there now, in the order of their names.

        Raises:
            OSError: Which there are cannot be read.
        """
        self._looks += 1
        if self._looks % REFRESH_LOOKS == 0:
            self.close()
        names = self._names()
        for name in self._devices.keys() - set(names):
            self._devices.pop(name).close()
        return tuple(text for name in names if (text := self._look_at(name)) is not None)

    def close(self) -> None:
        """Let go of every file; the next look opens them again."""
        for device in self._devices.values():
            device.close()
        self._devices.clear()
        self._repeats.clear()

    def _names(self) -> list[str]:
        try:
            there = {name for name in _names_in(self._directory) if self._family.device.fullmatch(name)}
        except (FileNotFoundError, NotADirectoryError):  # no driver of this family
            there = set()
        for name in there - self._repeats.keys():
            self._repeats[name] = self._does_repeat(name)
        for name in self._repeats.keys() - there:
            del self._repeats[name]
        counted = [name for name in there if not self._repeats[name]]
        return sorted(counted, key=_by_number)[: self._family.at_most]

    def _does_repeat(self, name: str) -> bool:
        repeats = self._family.repeats
        return bool(repeats) and repeats in os.path.realpath(f"{self._directory}/{name}")

    def _look_at(self, name: str) -> DeviceText | None:
        was_kept = name in self._devices
        text = self._read(name)
        # Another one may have come under the same name, as a battery does whose driver registers it anew.
        return self._read(name) if was_kept and name not in self._devices else text

    def _read(self, name: str) -> DeviceText | None:
        device = self._devices.get(name)
        if device is None:
            path = f"{self._directory}/{name}"
            try:
                device = self._devices[name] = self._open(path)
            except OSError:  # it went away since it was listed
                return None
        text = device.look()
        if device.is_gone:
            self._devices.pop(name).close()
        return text

    def _open(self, path: str) -> KeptDevice:
        family = self._family
        attributes = list(_attributes(path, family.nested))
        fixed = {name for name in attributes if family.fixed.fullmatch(name)}
        live = {name for name in attributes if family.live.fullmatch(name)}
        if "name" in fixed and (more := more_live({"name": read_text(f"{path}/name")})) is not None:
            live |= {name for name in attributes if more.fullmatch(name)}
        return KeptDevice(path, fixed=sorted(fixed), live=sorted(live), asleep=family.asleep)


class Sensors:
    """Everything that is read. Not thread-safe: one thread looks; or one at each of ``parts``.

    Args:
        sysfs: Where sysfs is; another directory in tests.
        procfs: Likewise.
    """

    def __init__(self, sysfs: Path = SYSFS, procfs: Path = PROCFS) -> None:
        self._sysfs = sysfs
        self._families = {name: FamilyFiles(sysfs, family) for name, family in FAMILIES.items()}
        self._files = {name: KeptFile(f"{procfs}/{name}") for name in PROC_FILES}
        self._files["online"] = KeptFile(f"{sysfs}/{ONLINE_PROCESSORS}")

    @property
    def parts(self) -> Mapping[str, Callable[[], Snapshot]]:
        """What can be read apart from the rest, by name: each family, and all else; ``merged`` puts them together."""
        families = {name: partial(self._look_at, name) for name in self._families}
        return {"files": self._look_at_files} | families

    def look(self) -> Snapshot:
        """Read all of it once."""
        return merged(read() for read in self.parts.values())

    def _look_at(self, family: FamilyName) -> Snapshot:
        try:
            return Snapshot(devices={family: self._families[family].look()})
        except OSError as exc:
            return Snapshot(unlisted={family: f"{FAMILIES[family].directory} cannot be read: {exc.strerror}"})

    def _look_at_files(self) -> Snapshot:
        if (reason := _why_unreadable(self._sysfs)) is not None:
            return Snapshot(why_unreadable=reason)
        texts, errors = {}, {}
        for name, file in self._files.items():
            try:
                texts[name] = file.read()
            except OSError as exc:
                errors[name] = os.strerror(exc.errno or 0)
        return Snapshot(files=texts, errors=errors)

    def close(self) -> None:
        """Let go of every file."""
        for files in self._families.values():
            files.close()
        for file in self._files.values():
            file.close()


def _why_unreadable(root: Path) -> str | None:
    """Say why there is nothing to be read at all: a device without sysfs is not one without batteries."""
    try:
        _names_in(f"{root}/class")
    except OSError as exc:
        return f"{root / 'class'} cannot be read: {exc.strerror}"
    return None


def _attributes(path: str, nested: Iterable[str]) -> Iterator[str]:
    yield from _names_in(path)
    for directory in nested:
        try:
            yield from (f"{directory}/{name}" for name in _names_in(f"{path}/{directory}"))
        except OSError:  # not every device of the family has it
            continue


def _names_in(directory: str) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _by_number(name: str) -> tuple[int, str]:
    """Sort ``thermal_zone10`` behind ``thermal_zone9``."""
    return (len(name), name)
