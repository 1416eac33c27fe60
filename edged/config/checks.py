"""What the types of the settings cannot say. Pure; each problem has the place it is at, like those the types find."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from edged.config.schema import CallerRule, Config, LimitsConfig, OffloadConfig
from edged.errors import Problem

_UNIT_TYPES: Final = (".service", ".scope")
_ZEROS: Final = {"idle_s": "0 asks for nothing", "max_wait_s": "0 waits for ever", "rate_per_s": "0 is no limit"}
"""What 0 means, which somebody may have meant."""


def problems_of(config: Config) -> list[Problem]:
    """Return everything that is wrong with settings whose types are right."""
    return [
        *_url_problems(config.repository.url, "/repository/url"),
        *_query_problems(config.repository.url, "/repository/url"),
        *_endpoint_problems(config.offload),
        *_limits_problems(config.limits),
        *_infinite_problems(config),
    ]


def _url_problems(url: str, pointer: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        is_usable = not url or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        yield Problem(pointer=pointer, expected="expected a URL with a host name and a valid port", found=url)
    elif not (url.isascii() and url.isprintable()):
        expected = "expected a URL in ASCII: a host's name as xn--..., and other characters percent-encoded"
        yield Problem(pointer=pointer, expected=expected, found=url)
    elif "@" in parts.netloc:
        # Nobody would send them, and they are not to be quoted.
        yield Problem(pointer=pointer, expected="expected a URL without a user's name and password")


def _query_problems(url: str, pointer: str) -> Iterator[Problem]:
    """Refuse what would swallow the paths of files, which are written behind the URL."""
    if "?" in url or "#" in url:
        yield Problem(pointer=pointer, expected="expected a URL without ? and #", found=url)


def _endpoint_problems(offload: OffloadConfig) -> Iterator[Problem]:
    for model, endpoint in offload.endpoints.items():
        pointer = f"/offload/endpoints/{model}"
        yield from _url_problems(endpoint.url, f"{pointer}/url")
        if _is_address(endpoint.url):
            yield Problem(pointer=f"{pointer}/url", expected="expected a host name, no address", found=endpoint.url)


def _is_address(url: str) -> bool:
    try:
        ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def _infinite_problems(value: object, pointer: str = "") -> Iterator[Problem]:
    """Find what is infinite, which TOML can write: a wait that overflows, a window that never opens, a bucket without a level."""
    match value:
        case msgspec.Struct():
            for name in value.__struct_fields__:
                yield from _infinite_problems(getattr(value, name), f"{pointer}/{name}")
        case Mapping():
            for key, item in value.items():
                yield from _infinite_problems(item, f"{pointer}/{key}")
        case tuple():
            for i, item in enumerate(value):
                yield from _infinite_problems(item, f"{pointer}/{i}")
        case float() if not math.isfinite(value):
            zero = _ZEROS.get(pointer.rpartition("/")[2])
            expected = f"expected a finite number ({zero})" if zero else "expected a finite number"
            yield Problem(pointer=pointer, expected=expected, found=str(value))


def _limits_problems(limits: LimitsConfig) -> Iterator[Problem]:
    subjects = Counter(_subject(rule) for rule in limits.callers)
    for i, rule in enumerate(limits.callers):
        pointer = f"/limits/callers/{i}"
        if bool(rule.user) == bool(rule.unit):
            found = "both" if rule.user else "neither"
            yield Problem(pointer=pointer, expected="expected exactly one of user and unit", found=found)
        elif rule.unit and not rule.unit.endswith(_UNIT_TYPES):
            yield Problem(
                pointer=f"{pointer}/unit",
                expected=f"expected a name ending in {' or '.join(_UNIT_TYPES)}",
                found=rule.unit,
            )
        elif subjects[_subject(rule)] > 1:
            yield Problem(
                pointer=pointer,
                expected="expected one rule for each caller",
                found=f"several for {rule.user or rule.unit}",
            )


def _subject(rule: CallerRule) -> tuple[str, str]:
    return rule.user, rule.unit
