"""Read what the kernel says about routes and network interfaces. What it means is decided in ``edged.egress.routes``.

``/proc/self/net`` rather than ``/proc/net``: the gate's unit sees no more of ``/proc`` than processes (``ProcSubset=pid``). These
are tables of the kernel's own: reading them asks no device and waits for nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edged.egress.routes import InterfaceText, Way, find_way

PROC_NET: Final = Path("/proc/self/net")
SYS_NET: Final = Path("/sys/class/net")
_MAX_TABLE_CHARS: Final = 1 << 20
_MAX_ATTRIBUTE_CHARS: Final = 4096


def read_way(proc_net: Path = PROC_NET, sys_net: Path = SYS_NET) -> Way:
    """Read over what packets leave this device now.

    Args:
        proc_net: Where ``route`` and ``ipv6_route`` are; another directory in tests.
        sys_net: Where the interfaces are; likewise.

    Raises:
        OSError: The routes cannot be read.
    """
    routes_v4 = _read(proc_net / "route", _MAX_TABLE_CHARS)
    # A kernel without IPv6 does not have the file.
    routes_v6 = _optional(proc_net / "ipv6_route", _MAX_TABLE_CHARS)
    return find_way(routes_v4, routes_v6, _Interfaces(sys_net))


class _Interfaces(Mapping[str, InterfaceText]):
    """The interfaces by name, each read when it is asked for: most devices have some that no route leads over."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __getitem__(self, name: str) -> InterfaceText:
        try:
            return _interface(self._directory / name)
        except OSError as exc:
            raise KeyError(name) from exc

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in self._directory.iterdir())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _interface(path: Path) -> InterfaceText:
    names = {entry.name for entry in path.iterdir()}
    return InterfaceText(
        type=_optional(path / "type", _MAX_ATTRIBUTE_CHARS).strip(),
        operstate=_optional(path / "operstate", _MAX_ATTRIBUTE_CHARS).strip(),
        uevent=_optional(path / "uevent", _MAX_ATTRIBUTE_CHARS),
        is_wireless=bool(names & {"wireless", "phy80211"}),
        is_hardware="device" in names,
        is_tunnel="tun_flags" in names,
        lower=tuple(sorted(name.removeprefix("lower_") for name in names if name.startswith("lower_"))),
    )


def _optional(path: Path, max_chars: int) -> str:
    try:
        return _read(path, max_chars)
    except OSError:
        return ""


def _read(path: Path, max_chars: int) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        return file.read(max_chars)
