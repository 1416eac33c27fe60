"""What part of a device a temperature is of, and what that part can bear. Pure.

A part is known by what its driver calls the zone or the monitor. Its defaults count where the kernel names no limits
(``edged.sense.levels``), and come from what makers state: processors of PCs slow down at 100 degrees Celsius and more (Intel's and AMD's
data sheets), systems on a chip like that of a Raspberry Pi at 80 to 85 (its documentation, "Frequency management and thermal control"),
solid-state disks at 70 to 85 (NVMe's WCTEMP), lithium cells are not to be charged above 45 nor used above 60 (JEITA).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Part(StrEnum):
    """Parts that differ in what they can bear, and in how fast they warm."""

    PROCESSOR = "processor"
    """Of a PC."""
    CHIP = "system on a chip"
    GRAPHICS = "graphics"
    STORAGE = "storage"
    BATTERY = "battery"
    RADIO = "radio"
    CHIPSET = "chipset"
    REGULATOR = "regulator"
    BOARD = "board"
    """Everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What a part can bear, and how it may change. Degrees Celsius."""

    serious: float
    critical: float
    leap: float
    """The most that it changes at once: small parts of silicon have next to no heat capacity."""
    leap_per_s: float
    """What it may change beyond that in each second."""
    still_s: float = 7200.0
    """For so long it may read exactly the same while others move: sensors are coarse, and what is slow to warm hardly stirs."""


_QUICK_S: Final = 600.0
MANNERS: Final[Mapping[Part, Manners]] = {
    Part.PROCESSOR: Manners(serious=90, critical=97, leap=50, leap_per_s=10, still_s=_QUICK_S),
    Part.CHIP: Manners(serious=80, critical=90, leap=50, leap_per_s=10, still_s=_QUICK_S),
    Part.GRAPHICS: Manners(serious=90, critical=100, leap=50, leap_per_s=10, still_s=_QUICK_S),
    Part.STORAGE: Manners(serious=70, critical=82, leap=20, leap_per_s=3),
    Part.BATTERY: Manners(serious=48, critical=58, leap=5, leap_per_s=1),
    Part.RADIO: Manners(serious=95, critical=105, leap=40, leap_per_s=5),
    Part.CHIPSET: Manners(serious=95, critical=105, leap=40, leap_per_s=5),
    Part.REGULATOR: Manners(serious=115, critical=125, leap=40, leap_per_s=5, still_s=_QUICK_S),
    Part.BOARD: Manners(serious=75, critical=85, leap=30, leap_per_s=3),
}

# The first that fits. Names are those of drivers and of device trees in the kernel.
_NAMES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), part)
    for pattern, part in (
        (r"(sbs-|bat|bq\d|max17\d|cw2015)", Part.BATTERY),
        (r"(nvme|drivetemp|mmc)", Part.STORAGE),
        (r"(iwlwifi|ath\d|mt7\d|wifi|wlan|modem)", Part.RADIO),
        (r"(gpu|amdgpu|radeon|nouveau|xe|i915|v3d)", Part.GRAPHICS),
        (r"(pmic|pm\d|rk8\d)", Part.REGULATOR),
        (r"(pch|rp1)", Part.CHIPSET),
        # Firmware of PCs calls its zone acpitz, and mostly means the processor by it.
        (r"(x86_pkg_temp|coretemp|k10temp|zenpower|acpitz|tcpu|b0d4)", Part.PROCESSOR),
        (r"(cpu|soc|bcm2|(big|little)?core|package|center|cluster|imx|npu|ddr|aoss)", Part.CHIP),
        # Of Jetsons; the fan's is an estimate made of the others.
        (r"(tj|cv\d|tdiode|ao-|aux-|pll|thermal-fan)", Part.CHIP),
    )
)


# Of monitors that measure many things, all of them of PCs.
_LABELS: Final = (
    (re.compile(r"(cpu|peci|tctl|tdie|package|core)", re.IGNORECASE), Part.PROCESSOR),
    (re.compile(r"gpu", re.IGNORECASE), Part.GRAPHICS),
)
_MAY_HANG_LOOSE: Final = ("nct", "it8", "w83", "f71", "sch5", "gigabyte")


@lru_cache(maxsize=256)
def part_of(driver: str, label: str = "") -> Part:
    """Tell what part is measured.

    Args:
        driver: The ``type`` of a zone, or the ``name`` of a monitor.
        label: Of a monitor's channel; counts where the monitor's name says nothing.
    """
    by_driver = next((part for pattern, part in _NAMES if pattern.match(driver)), None)
    by_label = next((part for pattern, part in _LABELS if pattern.match(label)), Part.BOARD)
    return by_label if by_driver is None else by_driver


def may_hang_loose(driver: str, part: Part) -> bool:
    """Tell whether a channel may be connected to nothing, and read anything then: of chips that boards of PCs use as they please."""
    return part is Part.BOARD and driver.startswith(_MAY_HANG_LOOSE)
