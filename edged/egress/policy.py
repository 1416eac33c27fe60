"""Decide where the gate may connect. Pure.

Rules, in order:

1. The destination is a host name in its plain ASCII form. Anything that a resolver could read as an address is refused, whatever its
   spelling: a list of names means nothing when a number says the same.
2. The name and port are listed together.
3. Every address the name resolves to is judged again, because whoever controls the name controls the answer. Only globally reachable
   unicast is public (IANA IPv4 and IPv6 Special-Purpose Address Registries); an address that carries an IPv4 address inside is as
   public as that one. Names listed as private may also resolve to the site's own network or to this machine.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from edged.config.schema import EgressConfig, OffloadConfig
from edged.errors import ConfigError, Problem

HTTPS_PORT: Final = 443

Destination = tuple[str, int]
"""A lower-case name without final dot, and a port."""


class Reason(StrEnum):
    """Why a destination is refused."""

    NOT_A_NAME = "not-a-name"
    """Not a host name in ASCII letters, digits, dashes and dots."""
    RAW_ADDRESS = "raw-address"
    NAME_NOT_LISTED = "name-not-listed"
    PORT_NOT_LISTED = "port-not-listed"
    """The name is listed, with another port."""
    ADDRESS_NOT_GLOBAL = "address-not-global"
    """The name resolves to private, loopback or otherwise special addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be reached."""

    public: frozenset[Destination]
    private: frozenset[Destination]
    """May resolve to addresses that are not global."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The name may be resolved and its addresses judged."""

    name: str
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The destination may not be reached."""

    reason: Reason


# RFC 1123 section 2.1, and the underscore that real host names contain.
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.ASCII
)
# URL Standard, "ends-in-a-number checker": such a host is always parsed as IPv4, in decimal, octal or hexadecimal, short or long.
_ENDS_IN_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", re.ASCII)

_SPECIAL_V4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE_V4: Final = IPv6Network("::/96")


def parse_policy(config: EgressConfig) -> Policy:
    """Turn the configured lists into a policy.

    Raises:
        ConfigError: An entry is an address, is not a name, or has no such port.
    """
    problems: list[Problem] = []
    policy = Policy(
        public=_listed("allow", config.allow, problems),
        private=_listed("allow_private", config.allow_private, problems),
    )
    if problems:
        raise ConfigError("configuration", problems)
    return policy


def parse_endpoints(config: OffloadConfig) -> Policy:
    """Turn the endpoints of models into a policy.

    Raises:
        ConfigError: The host of one is an address, or is not a name.
    """
    public: set[Destination] = set()
    private: set[Destination] = set()
    problems: list[Problem] = []
    for model, endpoint in config.endpoints.items():
        parts = urlsplit(endpoint.url)
        destination = (parts.hostname or "", parts.port or HTTPS_PORT)
        (private if endpoint.private else public).add(destination)
        if isinstance(decide(*destination, Policy(public=frozenset({destination}), private=frozenset())), Refused):
            pointer = f"offload.endpoints.{model}.url"
            problems.append(Problem(pointer=pointer, expected="expected a host name, no address", found=endpoint.url))
    if problems:
        raise ConfigError("configuration", problems)
    return Policy(public=frozenset(public), private=frozenset(private))


def joined(one: Policy, other: Policy) -> Policy:
    """Return what is allowed by either of two policies."""
    return Policy(public=one.public | other.public, private=one.private | other.private)


def decide(host: str, port: int, policy: Policy) -> Allowed | Refused:
    """Judge a destination before its name is resolved."""
    name = host.lower() if host.isascii() else ""
    if "[" in name or ":" in name or _ENDS_IN_NUMBER.fullmatch(name.rstrip(".")):
        return Refused(reason=Reason.RAW_ADDRESS)
    name = name.removesuffix(".")
    if _NAME.fullmatch(name) is None:
        return Refused(reason=Reason.NOT_A_NAME)
    if (name, port) in policy.private:
        return Allowed(name=name, is_private=True)
    if (name, port) in policy.public:
        return Allowed(name=name, is_private=False)
    is_known = any(name == known for known, _ in policy.public | policy.private)
    return Refused(reason=Reason.PORT_NOT_LISTED if is_known else Reason.NAME_NOT_LISTED)


def check_address(address: str, *, is_private: bool) -> Refused | None:
    """Judge one address that a name resolved to.

    Args:
        address: As ``getaddrinfo`` gives it, numeric.
        is_private: The destination is listed as private. Even then no group, no "this host" and no reserved address is reached.

    Returns:
        None when the gate may connect to exactly this address.
    """
    ip = ip_address(address)
    if is_private:
        inner = _embedded_v4(ip) if isinstance(ip, IPv6Address) else ip
        is_fine = not any(
            a.is_multicast or a.is_unspecified or _is_reserved_v4(a) for a in (ip, inner) if a is not None
        )
    else:
        is_fine = _is_global(ip)
    return None if is_fine else Refused(reason=Reason.ADDRESS_NOT_GLOBAL)


def _listed(key: str, entries: Sequence[str], problems: list[Problem]) -> frozenset[Destination]:
    found: set[Destination] = set()
    for i, entry in enumerate(entries):
        host, _, port = entry.rpartition(":")
        destination = (host, int(port))
        verdict = decide(host, int(port), Policy(public=frozenset({destination}), private=frozenset()))
        if isinstance(verdict, Refused) or not 0 < int(port) <= 65535:
            problems.append(
                Problem(pointer=f"egress.{key}.{i}", expected="expected NAME:PORT, no address", found=entry)
            )
        found.add(destination)
    return frozenset(found)


def _is_global(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in _SPECIAL_V4)
    if ip.scope_id is not None or ip.ipv4_mapped is not None:
        return False
    inner = _embedded_v4(ip)
    if inner is not None and not _is_global(inner):
        return False
    return ip in _NAT64 or (ip in _GLOBAL_UNICAST_V6 and not any(ip in block for block in _SPECIAL_V6))


def _embedded_v4(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to this address end up at, if there is one."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip in _NAT64 or ip in _NAT64_LOCAL or (ip in _COMPATIBLE_V4 and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def _is_reserved_v4(ip: IPv4Address | IPv6Address) -> bool:
    return isinstance(ip, IPv4Address) and (ip in IPv4Network("240.0.0.0/4") or ip in IPv4Network("0.0.0.0/8"))
