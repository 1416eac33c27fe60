"""The kernel's cpufreq as files: reading its policies, and writing ``scaling_max_freq``. Decides nothing.

What else may hold processors back:

(1) cooling    a cooling device that works by the frequency of processors is in action (Documentation/driver-api/thermal/sysfs-api.rst):
               ``cpufreq-cpu0`` (``thermal-cpufreq-0`` of older kernels), or ``Processor`` of ACPI
(2) firmware   ``bios_limit`` (Documentation/admin-guide/pm/cpufreq.rst) is below the highest of ``scaling_available_frequencies``;
               ``cpuinfo_max_freq`` may be a boost above both
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from edged.frequency.caps import Processors

LOG = logging.getLogger(__name__)

CPUFREQ: Final = Path("/sys/devices/system/cpu/cpufreq")
COOLING: Final = Path("/sys/class/thermal")
_COOLS_PROCESSORS: Final = ("cpufreq-", "thermal-cpufreq-", "Processor")
_MAX_NUMBER_CHARS: Final = 32
_MAX_TEXT_CHARS: Final = 4096
"""An attribute is a page at most."""


class Cpufreq:
    """The policies of a device.

    Args:
        directory: Where they are.
        cooling: Where cooling devices are.
    """

    def __init__(self, directory: Path, cooling: Path) -> None:
        self._directory = directory
        self._cooling = cooling

    def read(self) -> Sequence[Processors]:
        """Read all policies, in the order of their names; one that has no limit to be set is left alone."""
        paths = sorted(self._directory.glob("policy*"))
        was_cooled = self._is_cooling()
        found = [processors for path in paths if (processors := _read(path)) is not None]
        # Cooling that began or ended between the two may be in what was read.
        is_cooled = was_cooled or self._is_cooling()
        return [replace(processors, is_cooled=is_cooled) for processors in found]

    def set_limit(self, name: str, limit: int) -> int | None:
        """Set the limit of a policy.

        Args:
            name: Of the policy.
            limit: kHz.

        Returns:
            What the kernel shows then, or the limit itself where it shows nothing, or None when it refuses.
        """
        attribute = self._directory / name / "scaling_max_freq"
        try:
            attribute.write_text(f"{limit}\n", encoding="ascii")
        except OSError as exc:
            LOG.warning("%s refuses %d kHz: %s", attribute, limit, exc)
            return None
        try:
            shown = _number(attribute)
        except (OSError, ValueError) as exc:  # its processors went offline just now; the kernel keeps the limit
            LOG.warning("%s was set to %d kHz and shows nothing: %s", attribute, limit, exc)
            return limit
        LOG.info("%s was set to %d kHz and is %d kHz now", attribute, limit, shown)
        return shown

    def _is_cooling(self) -> bool:
        return any(_cools_processors(path) for path in self._cooling.glob("cooling_device*"))


def _cools_processors(device: Path) -> bool:
    try:
        return _text(device / "type").startswith(_COOLS_PROCESSORS) and _number(device / "cur_state") > 0
    except (OSError, ValueError):  # it went away, or does not say
        return False


def _read(policy: Path) -> Processors | None:
    try:
        least, most, limit = (
            _number(policy / name) for name in ("cpuinfo_min_freq", "cpuinfo_max_freq", "scaling_max_freq")
        )
    except (OSError, ValueError):
        return None
    return Processors(name=policy.name, least=least, most=most, limit=limit, firmware_limit=_firmware_limit(policy))


def _firmware_limit(policy: Path) -> int | None:
    try:
        limit = _number(policy / "bios_limit")
        highest = max(int(step) for step in _text(policy / "scaling_available_frequencies").split())
    except (OSError, ValueError):  # most drivers have neither
        return None
    return limit if limit < highest else None


def _number(attribute: Path) -> int:
    return int(_text(attribute, max_chars=_MAX_NUMBER_CHARS))


def _text(attribute: Path, *, max_chars: int = _MAX_TEXT_CHARS) -> str:
    with attribute.open(encoding="ascii") as file:
        return file.read(max_chars)
