"""What the fleet's documents mean for this device, from the moment they are in the store.

Everything here happens on the event loop, in the callback in which the kernel says that a document was replaced: read, understood, and
obeyed by whoever listens, before anything else runs. So a stop takes effect within milliseconds, whatever the lifecycle is busy with.
That it is kept follows (``edged.daemon.fleet.diary``).

A lease that runs out is noticed every ``LOOK_EVERY_S`` (``edged.ops.lease``).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from edged import journal
from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.clock import Clock, trusted_unix_s
from edged.codec import Document
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.directory_watch import DirectoryWatch
from edged.daemon.fleet.documents import NO_CAUSE, Documents
from edged.daemon.lifecycle.advice import Stopped
from edged.ids import ModelName, Version
from edged.ops.documents import DocumentName
from edged.ops.flags import Flags, FlagValue, evaluate
from edged.ops.lease import Sighting, SteadyClock, age_s
from edged.ops.policy import Policy
from edged.ops.rollout import Rollout, RolloutDecision, decide
from edged.ops.segments import Device
from edged.ops.standing import Standing
from edged.ops.stop import Lease, Stops
from edged.policy.document import PolicyFile
from edged.store.history import Happening
from edged.store.layout import StoreLayout
from edged.store.state import StateDb

LOG = logging.getLogger(__name__)

T = TypeVar("T", bound=Document)

LOOK_EVERY_S: Final = 10.0
"""Beside what the kernel says: for what it did not, and for leases."""


def boot_time_s() -> float:
    """Return seconds since the machine started, those in which it slept included; never jumps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fleet:
    """Fulfils ``edged.daemon.lifecycle.advice.Orders``. A context manager: documents are watched while it is entered.

    Args:
        layout: The store; only read.
        state: What was in force before.
        diary: Told what changes.
        device: Who this is.
        clock: The wall clock.
        built_unix_s: When this package was built; it is not earlier than that.
        now_s: The clock that never jumps.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        state: StateDb,
        diary: Diary,
        device: Device,
        clock: Clock,
        built_unix_s: float = 0.0,
        now_s: Callable[[], float] = boot_time_s,
    ) -> None:
        self.device: Final = device
        self._diary = diary
        self._clock = clock
        self._built_unix_s = built_unix_s
        self._now_s = now_s
        self._listeners: list[Callable[[], None]] = []
        self._documents = Documents(layout.ops, state, diary, clock.unix_s)
        self._values = self._evaluate()
        self._changed_flags(self._documents.look())
        seen_unix_s = None if self._standing is None else self._standing.seen_unix_s
        self._sighting = Sighting(seen_unix_s=seen_unix_s, noticed_s=now_s(), is_live=False)
        self._steady = SteadyClock(unix_s=self.trusted_unix_s(), now_s=now_s())
        self._expired: dict[ModelName, Stopped] = {}
        self._judge_leases()
        self._watch = DirectoryWatch(layout.ops, self.look)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._watch.__enter__()
        # What changed between the first look and the watch would be missed else.
        self._look_again()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.__exit__(kind, error, trace)
        if self._timer is not None:
            self._timer.cancel()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have somebody told whenever anything that can be asked here may have another answer; in the order of these calls."""
        self._listeners.append(listener)

    def look(self) -> None:
        """Read what has changed and look at the time; whoever listens has obeyed when this returns."""
        changed = self._documents.look()
        self._changed_flags(changed)
        if "standing" in changed:
            self._note_sighting()
        if self._judge_leases() or changed:
            for listener in self._listeners:
                listener()

    @property
    def models(self) -> Collection[ModelName]:
        """Models that the rollout names."""
        return [] if self._rollout is None else [ModelName(name) for name in self._rollout.models]

    @property
    def restrained(self) -> Collection[ModelName]:
        """Models that the stop document names, whether they are stopped now or not."""
        stops = self._stops
        return set() if stops is None else {ModelName(name) for name in (*stops.models, *stops.leases)}

    @property
    def cause(self) -> str:
        """The rollout in force, for the history."""
        return self.cause_of("rollout")

    def cause_for(self, model: ModelName) -> str:  # noqa: ARG002 - one rollout names the versions of all models
        """Return what names the version of a model that should run: the rollout in force."""
        return self.cause

    def cause_of(self, name: DocumentName) -> str:
        """Return the document of a name that is in force, for the history."""
        found = self._documents.get(name)
        return NO_CAUSE if found is None else found.cause

    def refused(self, name: DocumentName) -> Sequence[str]:
        """Return what is wrong with the document of a name that was not taken, a line each; empty when it was."""
        return self._documents.complaint(name)

    @property
    def shadow(self) -> ShadowRules | None:
        """What the policy document asks of shadow runs."""
        return None if self._policy is None else self._policy.shadow

    @property
    def trial(self) -> TrialRules | None:
        """What the policy document asks of trials."""
        return None if self._policy is None else self._policy.trial

    @property
    def window(self) -> WindowRules:
        """What the policy document asks of the quiet window."""
        return WindowRules() if self._policy is None else self._policy.window

    @property
    def rules(self) -> PolicyFile | None:
        """What the policy document asks of decisions about requests."""
        return None if self._policy is None else self._policy.rules

    @property
    def flags(self) -> Mapping[str, FlagValue]:
        """The value of every flag on this device, sorted by name."""
        return self._values

    @property
    def flags_document(self) -> Flags | None:
        """The document that they come from."""
        return self._get("flags", Flags)

    def decision(self, model: ModelName, *, active: Version | None) -> RolloutDecision | None:
        """Return what the rollout means here; None when it does not name the model."""
        entry = None if self._rollout is None else self._rollout.models.get(model)
        return None if entry is None else decide(entry, self.device, active=active, flags=self._values)

    def floor(self, model: ModelName) -> Version | None:
        """Return the lowest version that may be activated."""
        text = None if self._standing is None else self._standing.floors.get(model)
        return None if text is None else Version.parse(text)

    def stopped(self, model: ModelName, version: Version) -> Stopped | None:
        """Tell whether a version may not answer, and why: the one reason that allows for less, if there are two."""
        stop, lease = self.stopped_by_document(model, version), self._expired.get(model)
        if stop is None or (lease is not None and stop.action == "fall-back" and lease.action == "refuse"):
            return lease
        return stop

    def stopped_by_document(self, model: ModelName, version: Version) -> Stopped | None:
        """Tell whether the stop document itself stops a version, whatever has become of a lease."""
        stop = None if self._stops is None else self._stops.models.get(model)
        if stop is None or not stop.covers(version):
            return None
        return Stopped(
            action=stop.action, reason=stop.reason, since=stop.since, source="stop", cause=self.cause_of("stop")
        )

    @property
    def _stops(self) -> Stops | None:
        return self._get("stop", Stops)

    @property
    def _policy(self) -> Policy | None:
        return self._get("policy", Policy)

    @property
    def _rollout(self) -> Rollout | None:
        return self._get("rollout", Rollout)

    @property
    def _standing(self) -> Standing | None:
        return self._get("standing", Standing)

    def _get(self, name: DocumentName, type_: type[T]) -> T | None:
        found = self._documents.get(name)
        return found.document if found is not None and isinstance(found.document, type_) else None

    def _look_again(self) -> None:
        self.look()
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look_again)

    def _evaluate(self) -> Mapping[str, FlagValue]:
        return {} if self.flags_document is None else evaluate(self.flags_document, self.device)

    def _changed_flags(self, changed: Collection[DocumentName]) -> None:
        if "flags" not in changed:
            return
        before, self._values = self._values, self._evaluate()
        cause = self.cause_of("flags")
        for name in sorted(before.keys() | self._values.keys()):
            old, new = (_text(values.get(name)) for values in (before, self._values))
            if old != new:
                self._diary.note(Happening.FLAG_CHANGED, cause=cause, reason=f"{name}: {old} -> {new}")
                journal.event(LOG, journal.FLAG_CHANGED, flag=name, before=old, value=new, cause=cause)

    def _note_sighting(self) -> None:
        seen_unix_s = None if self._standing is None else self._standing.seen_unix_s
        if seen_unix_s != self._sighting.seen_unix_s:
            self._sighting = Sighting(seen_unix_s=seen_unix_s, noticed_s=self._now_s(), is_live=True)

    def _judge_leases(self) -> bool:
        """Find out whose lease has run out; tells whether that changed."""
        now_s = self._now_s()
        steady_unix_s = self._steady.look(unix_s=self.trusted_unix_s(), now_s=now_s)
        age = age_s(self._sighting, now_s=now_s, steady_unix_s=steady_unix_s)
        leases = {} if self._stops is None else self._stops.leases
        late = {ModelName(name): lease for name, lease in leases.items() if age > lease.hours * 3600}
        expired = {
            model: before
            if (before := self._expired.get(model)) is not None and before.action == lease.action
            else self._expire(lease, age)
            for model, lease in late.items()
        }
        has_changed = expired != self._expired
        self._expired = expired
        return has_changed

    def _expire(self, lease: Lease, age: float) -> Stopped:
        since_unix_s = self.trusted_unix_s() - age + lease.hours * 3600
        return Stopped(
            action=lease.action,
            reason=f"its lease of {lease.hours:g} h has run out: this device has no news of its repository",
            since=datetime.fromtimestamp(since_unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source="lease",
            cause=self.cause_of("stop"),
        )

    def trusted_unix_s(self) -> float:
        """Return the wall clock as expiry is judged by it: not before the package was built nor anything in force was signed."""
        issued = [
            document.issued for document in (self._stops, self.flags_document, self._policy, self._rollout) if document
        ]
        return trusted_unix_s(
            system_s=self._clock.unix_s(),
            built_s=self._built_unix_s,
            signed_s=max(map(_unix_s, issued), default=0.0),
        )


def _unix_s(issued: str) -> float:
    try:
        return datetime.strptime(issued, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:  # the 31st of February vouches for no time
        return 0.0


def _text(value: FlagValue | None) -> str:
    return "not there" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
