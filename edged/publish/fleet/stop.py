"""How the stop document changes. Pure.

Stopping a model that is stopped already only widens the stop: of two lists of versions both are stopped, "all versions" stays all, and what
is refused is not answered for by anything else. Only lifting it makes anything answer again.
"""

import math
from collections.abc import Sequence

from msgspec.structs import replace

from edged.errors import NothingToDoError, UsageError
from edged.ids import Version
from edged.ops.segments import Issued
from edged.ops.stop import Lease, Stop, StopAction, Stops


def stop_model(
    stops: Stops, model: str, *, reason: str, versions: Sequence[str], action: StopAction, since: Issued
) -> Stops:
    """Let devices refuse a model, or some of its versions.

    Args:
        stops: As they are.
        model: Which.
        reason: For those who are refused.
        versions: Only these; none means all there are and will be.
        action: What devices do in place of answering.
        since: When, if it is not stopped already.
    """
    new = Stop(reason=reason, since=since, versions=_sorted(versions), action=action)
    before = stops.models.get(model)
    if before is not None:
        both = _sorted({*before.versions, *versions}) if before.versions and versions else ()
        wider: StopAction = "refuse" if "refuse" in {before.action, action} else action
        new = replace(new, since=before.since, versions=both, action=wider)
    return replace(stops, models={**stops.models, model: new})


def lift_stop(stops: Stops, model: str) -> Stops:
    """Let a model answer again.

    Raises:
        NothingToDoError: It is not stopped.
    """
    if model not in stops.models:
        raise NothingToDoError(f"{model} is not stopped", hint=f"Stopped are: {', '.join(stops.models) or 'none'}.")
    return replace(stops, models={name: stop for name, stop in stops.models.items() if name != model})


def set_lease(stops: Stops, model: str, hours: float | None) -> Stops:
    """Let a model answer only as long as devices have seen a fresh timestamp lately, or always again.

    Args:
        stops: As they are.
        model: Which.
        hours: How lately; None takes the lease away.

    Raises:
        UsageError: The time is not above nought, or without end.
    """
    if hours is None:
        return replace(stops, leases={name: lease for name, lease in stops.leases.items() if name != model})
    if not 0 < hours < math.inf:
        raise UsageError(f"a lease of {hours:g} hours is none", hint="Give a number above 0, or off.")
    return replace(stops, leases={**stops.leases, model: Lease(hours=hours)})


def _sorted(versions: Sequence[str] | set[str]) -> tuple[str, ...]:
    return tuple(sorted(set(versions), key=lambda text: (Version.parse(text), text)))
