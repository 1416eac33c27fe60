"""Which versions of models may be removed from the store. Pure.

A version stays, whatever the disk says, when

(1) a slot of the daemon names it
(2) the rollout brings it to this device
(3) it is the newest of the others and no older than the model's floor, and the slots name less than two: then there is nothing else
    to fall back to

Of the rest the newest ``keep_versions`` of each model are spared, and removed, oldest first, only while free disk is short.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edged.ids import ModelName, Version

SLOTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Collectable:
    """What may go."""

    surplus: tuple[tuple[ModelName, Version], ...]
    """At once."""
    spared: tuple[tuple[ModelName, Version], ...]
    """Only while free disk is short, in this order."""


def plan_collection(
    installed: Mapping[ModelName, Collection[Version]],
    *,
    in_use: Mapping[ModelName, Collection[Version]],
    brought: Mapping[ModelName, Collection[Version]],
    floors: Mapping[ModelName, Version],
    keep_versions: int,
) -> Collectable:
    """Choose what may be removed, by the rules above.

    Args:
        installed: The versions in the store.
        in_use: Those that slots name.
        brought: Those that the rollout brings here.
        floors: The lowest version of each model that may be activated.
        keep_versions: How many of the rest are spared.
    """
    surplus: list[tuple[ModelName, Version]] = []
    spared: list[tuple[int, ModelName, Version]] = []
    for model, versions in sorted(installed.items()):
        used = set(in_use.get(model, ()))
        rest = sorted(set(versions) - used - set(brought.get(model, ())), reverse=True)
        if rest and len(used) < SLOTS and (model not in floors or rest[0] >= floors[model]):  # (3)
            del rest[0]
        surplus += [(model, version) for version in rest[keep_versions:]]
        spared += [(place, model, version) for place, version in enumerate(rest[:keep_versions])]
    # The oldest of every model before the newer ones of any.
    spared.sort(reverse=True)
    return Collectable(surplus=tuple(surplus), spared=tuple((model, version) for _, model, version in spared))
