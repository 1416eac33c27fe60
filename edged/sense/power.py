"""Whether a device has power from outside, from what the kernel says of its power supplies. Pure.

The attributes are those of Documentation/ABI/testing/sysfs-class-power. Supplies of other things (``scope`` is Device: a mouse, a pen) and
batteries that are not in their bay do not count. The rules, in order:

(1) no battery     there is nothing else that it could run on: plugged in
(2) mains online   plugged in, whatever a battery says: under load it may be drained all the same
(3) charging       a battery that is being charged gets its power from somewhere, also where no adapter is listed
(4) discharging    on battery. Before (5), because a USB port that is online may be the one that gives the power away.
(5) USB online     plugged in; wireless and any other kind of adapter likewise
(6) all offline    adapters are listed, and each says that it is not online: on battery, though the battery may still call itself full
(7) at rest        no adapter is listed, and every battery is full or not charging: plugged in
(8) otherwise      not known: what an adapter that cannot be read would say, for one
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import DeviceText

_BATTERIES: Final = frozenset({"Battery", "UPS"})
_AT_REST: Final = frozenset({"Full", "Not charging"})
_OFFLINE: Final = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyText:
    """A power supply as it reads; an attribute that it does not have, or that cannot be read, is empty."""

    name: str
    """``BAT0``, ``AC``."""
    type: str
    """``Battery``, ``Mains``, ``USB``, ``UPS``, ``Wireless``."""
    online: str = ""
    """0, or how it is online."""
    status: str = ""
    """Of a battery: ``Charging``, ``Discharging``, ``Not charging``, ``Full``, ``Unknown``."""
    present: str = ""
    scope: str = ""
    capacity: str = ""
    """Percent; the rest are microwatt-hours, microampere-hours, microwatts, microamperes and microvolts."""
    energy_now: str = ""
    energy_full: str = ""
    charge_now: str = ""
    charge_full: str = ""
    power_now: str = ""
    current_now: str = ""
    voltage_now: str = ""

    @property
    def is_battery(self) -> bool:
        """Whether it holds power rather than bringing it."""
        return self.type in _BATTERIES

    @property
    def is_of_device(self) -> bool:
        """Whether it is the device's own, and nothing like a mouse's."""
        return self.scope != "Device" and bool(self.type)

    @property
    def is_online(self) -> bool:
        """Whether an adapter brings power now."""
        return self.online not in {"", _OFFLINE}


def supply_of(device: DeviceText) -> SupplyText:
    """Take what is of use here from what a supply reads."""
    wanted = {field.name: device.texts.get(field.name, "") for field in fields(SupplyText) if field.name != "name"}
    return SupplyText(name=device.name, **wanted)


def plugged_in(supplies: Sequence[SupplyText]) -> Reading[bool]:
    """Tell by the rules above whether a device has power from outside."""
    batteries = batteries_of(supplies)
    adapters = [supply for supply in supplies if supply.is_of_device and not supply.is_battery]
    statuses = {battery.status for battery in batteries}
    if not batteries:  # (1)
        return known(value=True)
    if any(adapter.is_online and adapter.type == "Mains" for adapter in adapters) or "Charging" in statuses:  # (2) (3)
        return known(value=True)
    if "Discharging" in statuses:  # (4)
        return known(value=False)
    if any(adapter.is_online for adapter in adapters) or (not adapters and statuses <= _AT_REST):  # (5) (7)
        return known(value=True)
    silent = [adapter.name for adapter in adapters if not adapter.online]
    if adapters and not silent:  # (6)
        return known(value=False)
    why = f"{', '.join(silent)} does not say whether it is online" if silent else "no adapter is listed"
    said = ", ".join(f"{battery.name} says {battery.status or 'nothing'}" for battery in batteries)
    return unknown(f"{why}, and {said}")  # (8)


def batteries_of(supplies: Sequence[SupplyText]) -> list[SupplyText]:
    """Return the device's own batteries that are in their bays."""
    return [supply for supply in supplies if supply.is_of_device and supply.is_battery and supply.present != "0"]
