"""Over what kind of link packets leave a device, from the kernel's texts about routes and interfaces. Pure.

The rules, in order:

1. A route leads away when it is up, refuses nothing and covers at least half of all addresses: tunnels that want everything often come as
   two halves beside the default route, which they leave alone (``0.0.0.0/1`` and ``128.0.0.0/1``). Formats: ``net/ipv4/fib_trie.c``
   (``fib_route_seq_show``) and ``net/ipv6/route.c`` (``rt6_info_route``) of the kernel.
2. Its interface has to be there and not down (``operstate``, RFC 2863; drivers that do not keep it say ``unknown``, which counts as up).
3. Narrower routes go first, then those with a lower metric, IPv4 before IPv6.
4. What a tunnel says about the way is nothing: the first route whose interface is no tunnel tells what is beneath it. Bridges, bonds and
   VLANs are what all interfaces below them are alike.
5. No such route: offline. Only tunnels, or interfaces that are none of the known kinds (a serial line, a container's end of a pair): other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edged.sense.context import Link

# include/uapi/linux/route.h and ipv6_route.h: the same two flags have the same values in both.
_UP: Final = 0x0001
_REJECT: Final = 0x0200
_WIDEST_PREFIX: Final = 1
"""Longest prefix of a route that leads away."""
_MAX_LOWER: Final = 4
"""How deep interfaces are looked through; nobody stacks more."""

# include/uapi/linux/if_arp.h
_ETHERNET: Final = "1"
_NONE: Final = "65534"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceText:
    """A network interface as sysfs shows it (Documentation/ABI/testing/sysfs-class-net)."""

    type: str = ""
    operstate: str = ""
    uevent: str = ""
    is_wireless: bool = False
    """It has a ``wireless`` or a ``phy80211`` directory."""
    is_hardware: bool = False
    """It has a ``device`` behind it."""
    is_tunnel: bool = False
    """It has ``tun_flags``."""
    lower: tuple[str, ...] = ()
    """Interfaces that it is made of."""

    @property
    def device_type(self) -> str:
        """The kind that its driver states, as ``wlan``, ``wwan``, ``bridge``; often empty."""
        return next((line[8:] for line in self.uevent.splitlines() if line.startswith("DEVTYPE=")), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Over what packets leave."""

    link: Link
    interface: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    interface: str
    prefix: int
    metric: int


def find_way(routes_v4: str, routes_v6: str, interfaces: Mapping[str, InterfaceText]) -> Way:
    """Tell by the rules above over what packets leave.

    Args:
        routes_v4: ``/proc/net/route``.
        routes_v6: ``/proc/net/ipv6_route``; empty where there is no IPv6.
        interfaces: By name.
    """
    routes = [*_parse_v4(routes_v4), *_parse_v6(routes_v6)]
    usable = [route for route in routes if _is_usable(interfaces.get(route.interface))]
    usable.sort(key=lambda route: (-route.prefix, route.metric))
    names = [route.interface for route in usable]
    for name in names:
        if not _is_tunnel(interfaces[name]):
            return Way(link=_kind_of(name, interfaces), interface=name)
    return Way(link=Link.OTHER, interface=names[0]) if names else Way(link=Link.OFFLINE)


def _parse_v4(text: str) -> Iterator[_Route]:
    for line in text.splitlines()[1:]:
        fields = line.split()
        try:
            interface, flags, metric, mask = fields[0], fields[3], fields[6], fields[7]
            yield from _route(
                interface,
                flags=int(flags, 16),
                # Addresses are as they lie in memory, so only counting bits says the same on every machine.
                prefix=int(mask, 16).bit_count(),
                metric=int(metric),
            )
        except (IndexError, ValueError):
            continue


def _parse_v6(text: str) -> Iterator[_Route]:
    for line in text.splitlines():
        fields = line.split()
        try:
            prefix, metric, flags, interface = fields[1], fields[5], fields[8], fields[9]
            yield from _route(
                interface,
                flags=int(flags, 16),
                prefix=int(prefix, 16),
                metric=int(metric, 16),
            )
        except (IndexError, ValueError):
            continue


def _route(interface: str, *, flags: int, prefix: int, metric: int) -> Sequence[_Route]:
    leads_away = bool(flags & _UP) and not flags & _REJECT and prefix <= _WIDEST_PREFIX and interface != "lo"
    return [_Route(interface=interface, prefix=prefix, metric=metric)] if leads_away else []


def _is_usable(interface: InterfaceText | None) -> bool:
    return interface is not None and interface.operstate in {"up", "unknown"}


def _is_tunnel(interface: InterfaceText) -> bool:
    # Some modems have no hardware address either, but hardware.
    is_bare = interface.type == _NONE and not interface.is_hardware
    return interface.is_tunnel or interface.device_type == "wireguard" or is_bare


def _kind_of(name: str, interfaces: Mapping[str, InterfaceText], depth: int = 0) -> Link:
    interface = interfaces.get(name)
    if interface is None or depth > _MAX_LOWER:
        return Link.OTHER
    if interface.is_wireless or interface.device_type == "wlan":
        return Link.WIFI
    if interface.device_type == "wwan":
        return Link.CELLULAR
    if interface.lower:
        kinds = {_kind_of(lower, interfaces, depth + 1) for lower in interface.lower}
        return kinds.pop() if len(kinds) == 1 else Link.OTHER
    return Link.ETHERNET if interface.type == _ETHERNET and interface.is_hardware else Link.OTHER
