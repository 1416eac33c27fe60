"""Whether the documents for a fleet fit what is published and each other. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from edged.errors import PolicyError
from edged.ids import Version
from edged.ops.flags import Flags
from edged.ops.policy import Policy
from edged.ops.rollout import Rollout, RolloutEntry
from edged.ops.stop import Stops
from edged.publish.fleet.rollout import versions_of
from edged.publish.verify.findings import Finding
from edged.select.check import check_policy

FUTURE_S: Final = 300.0
"""How far the clocks of two publishers' machines may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a model's own role says."""

    versions: tuple[Version, ...]
    floor: Version | None


def check_fleet(
    documents: Mapping[str, Rollout | Flags | Policy | Stops], models: Mapping[str, Model], *, now: datetime
) -> Iterator[Finding]:
    """Compare documents, by their target paths, with what is published."""
    flags: frozenset[str] = frozenset()
    for document in documents.values():
        if isinstance(document, Flags):
            flags = frozenset(document.flags)
    for path, document in documents.items():
        yield from _check_date(path, document.issued, now)
        if isinstance(document, Rollout):
            for name, entry in sorted(document.models.items()):
                yield from _check_entry(f"{path}: {name}", entry, models.get(name), flags)
        elif isinstance(document, Policy):
            yield from _check_rules(path, document)
        elif isinstance(document, Stops):
            yield from _check_stops(path, document, models)
    for name, model in sorted(models.items()):
        if model.floor is not None and model.floor > max(model.versions):
            what = f"no published version reaches the floor {model.floor}, so no device can run the model"
            yield Finding(severity="error", where=f"m-{name}", what=what, advice="Publish a version that does.")


def _check_date(path: str, issued: str, now: datetime) -> Iterator[Finding]:
    latest = (now + timedelta(seconds=FUTURE_S)).strftime("%Y-%m-%dT%H:%M:%SZ")
    if issued > latest:
        what = (
            f"it says it was issued on {issued}, in the future; devices take such a time for their clock, or refuse it"
        )
        yield Finding(severity="error", where=path, what=what, advice="Set the clock of the publishing machine right.")


def _check_stops(path: str, stops: Stops, models: Mapping[str, Model]) -> Iterator[Finding]:
    for name in sorted({*stops.models, *stops.leases} - models.keys()):
        what = "it is about a model that is not published"
        yield Finding(severity="warning", where=f"{path}: {name}", what=what, advice="Look for a slip.")


def _check_rules(path: str, policy: Policy) -> Iterator[Finding]:
    """Check the rules about requests, and run their tests."""
    try:
        if policy.rules is not None:
            check_policy(policy.rules, source=path)
    except PolicyError as exc:
        advice = "Mend them, and publish them again with policy set --rules."
        for problem in exc.problems:
            yield Finding(severity="error", where=path, what=f"devices refuse its rules: {problem}", advice=advice)


def _check_entry(where: str, entry: RolloutEntry, model: Model | None, flags: frozenset[str]) -> Iterator[Finding]:
    if model is None:
        advice = "Publish the model, or take it out of the rollout."
        yield Finding(severity="error", where=where, what="no such model is published", advice=advice)
        return
    for version in versions_of(entry):
        if version not in {str(known) for known in model.versions}:
            advice = "Publish it, or roll out another version."
            yield Finding(severity="error", where=where, what=f"{version} is not published", advice=advice)
        elif model.floor is not None and Version.parse(version) < model.floor:
            what = f"{version} is below the floor {model.floor}, and devices refuse it"
            yield Finding(severity="error", where=where, what=what, advice="Roll out a version that is not.")
    if entry.next is not None and entry.next.flag and entry.next.flag not in flags:
        what = f"{entry.next.version} waits for the flag {entry.next.flag}, which is not set anywhere"
        advice = f"edge-publish flags set {entry.next.flag} true"
        yield Finding(severity="warning", where=where, what=what, advice=advice)
