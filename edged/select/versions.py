"""Whether a version of a runtime is in a manifest's range. Pure."""

import re


def is_in_range(version: str, wanted: str) -> bool:
    """Tell whether a version is in a manifest's range (``>=1.20`` or ``>=1.20,<2``).

    Only the release numbers count: ``1.21.0+deb`` and ``1.21.0rc1`` are both 1.21.0.
    """
    have = _numbers(version)
    for bound in wanted.split(","):
        limit = _numbers(bound.lstrip("<>="))
        if bound.startswith(">=") and have < limit:
            return False
        if bound.startswith("<") and have >= limit:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[^0-9.]", version, maxsplit=1)[0])]
    return tuple((*numbers, 0, 0, 0)[:3])
