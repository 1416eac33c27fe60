"""What the types of the settings cannot say. Pure; each problem has the place it is at, like those the types find."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from edged.activation.window import WindowRules
from edged.config.schema import CallerLimits, CallerRule, Config, LimitsConfig, OffloadConfig
from edged.errors import Problem

_UNIT_TYPES: Final = (".service", ".scope")


def problems_of(config: Config) -> list[Problem]:
    """Return everything that is wrong with settings whose types are right."""
    return [
        *_url_problems(config.repository.url, "/repository/url"),
        *_endpoint_problems(config.offload),
        *_window_problems(config.window),
        *_limits_problems(config.limits),
    ]


def _url_problems(url: str, pointer: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        is_usable = not url or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        yield Problem(pointer=pointer, expected="expected a URL with a host name and a valid port", found=url)


def _endpoint_problems(offload: OffloadConfig) -> Iterator[Problem]:
    for model, endpoint in offload.endpoints.items():
        pointer = f"/offload/endpoints/{model}"
        yield from _url_problems(endpoint.url, f"{pointer}/url")
        # TOML has inf.
        if not math.isfinite(endpoint.timeout_s):
            yield Problem(
                pointer=f"{pointer}/timeout_s", expected="expected a finite number", found=str(endpoint.timeout_s)
            )


def _window_problems(rules: WindowRules) -> Iterator[Problem]:
    # TOML has inf, which would be a window that never opens.
    for name, meaning in (("idle_s", "0 asks for nothing"), ("max_wait_s", "0 waits for ever")):
        value: float = getattr(rules, name)
        if not math.isfinite(value):
            expected = f"expected a finite number ({meaning})"
            yield Problem(pointer=f"/window/{name}", expected=expected, found=str(value))


def _limits_problems(limits: LimitsConfig) -> Iterator[Problem]:
    yield from _rate_problems(limits.default, "/limits/default")
    subjects = Counter(_subject(rule) for rule in limits.callers)
    for i, rule in enumerate(limits.callers):
        pointer = f"/limits/callers/{i}"
        yield from _rate_problems(rule.limits, f"{pointer}/limits")
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


def _rate_problems(limits: CallerLimits, pointer: str) -> Iterator[Problem]:
    # TOML has inf; a bucket that is filled endlessly fast has no level.
    if not math.isfinite(limits.rate_per_s):
        yield Problem(
            pointer=f"{pointer}/rate_per_s",
            expected="expected a finite number (0 is no limit)",
            found=str(limits.rate_per_s),
        )


def _subject(rule: CallerRule) -> tuple[str, str]:
    return rule.user, rule.unit
