"""The lowest version of a model that devices may run, which its own role signs. Pure.

It is the highest ``min_version`` in the ``custom`` part of the role's targets, and it only rises: whoever can sign nothing but rollouts
cannot bring back a version with a known hole.
"""

from collections.abc import Iterable
from typing import Final

from tuf.api.metadata import TargetFile, Targets

from edged.errors import TrustError, UsageError
from edged.ids import Version

MIN_VERSION: Final = "min_version"


def published_versions(targets: Targets | None) -> list[Version]:
    """Return the versions that a model's role lists, the lowest first."""
    return sorted(_version(path) for path in targets.targets) if targets is not None else []


def floor_of(targets: Targets | None) -> Version | None:
    """Return the lowest version that may run; None when every one may.

    Raises:
        TrustError: The role signed something that is no version.
    """
    return max((floor for file in _files(targets) if (floor := _floor(file)) is not None), default=None)


def raise_floor(targets: Targets, floor: Version) -> bool:
    """Let the role say that no lower version may run; return False when it says so already.

    Args:
        targets: Of the model's role; the target of its highest version is changed.
        floor: The lowest version that may run from now on.

    Raises:
        UsageError: It is lower than the present one, or higher than every published version.
    """
    before = floor_of(targets)
    highest = max(published_versions(targets), default=None)
    if before is not None and floor < before:
        raise UsageError(f"the floor is {before} and cannot be lowered to {floor}", hint="Publish a higher version.")
    if highest is None or floor > highest:
        raise UsageError(
            f"a floor of {floor} is above every published version ({highest or 'none'})",
            hint="Publish that version first: with such a floor, no device could run the model.",
        )
    if before == floor:
        return False
    carrier = next(file for path, file in targets.targets.items() if _version(path) == highest)
    carrier.unrecognized_fields["custom"] = {**(carrier.custom or {}), MIN_VERSION: str(floor)}
    return True


def _files(targets: Targets | None) -> Iterable[TargetFile]:
    return targets.targets.values() if targets is not None else ()


def _floor(file: TargetFile) -> Version | None:
    custom = file.custom
    text = custom.get(MIN_VERSION) if isinstance(custom, dict) else None
    try:
        return None if text is None else Version.parse(str(text))
    except ValueError as exc:
        raise TrustError(f"{file.path} is signed with the floor {text!r}, which is no version") from exc


def _version(path: str) -> Version:
    return Version.parse(path.split("/")[2])
