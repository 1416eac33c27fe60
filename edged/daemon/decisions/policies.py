"""The rules in force on this device, put together from everybody who has a say. Fulfils ``edged.daemon.decisions.seams.Policies``.

Whatever changes, the rules are put together anew as a whole (``edged.policy.combine`` has their order), and whoever listens is told. A
policy with a mistake never gets here: at a reload everything stays as it was; at a start the last good local policy counts; the fleet's
was checked before its document was taken (``edged.ops.documents``).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edged import journal
from edged.config.schema import PolicyConfig, RegulatoryConfig
from edged.daemon.decisions.overrides import Overrides
from edged.daemon.decisions.policy_files import KEPT_NAME, read_kept, read_local, read_packaged
from edged.errors import PolicyError
from edged.ops.documents import DocumentName
from edged.policy.combine import combine
from edged.policy.document import PolicyFile
from edged.policy.override import rule_of
from edged.policy.ranked import Origin, RankedRule
from edged.select.decision import Regulatory

LOG = logging.getLogger(__name__)


class FleetRules(Protocol):
    """The fleet, as far as it has rules (``edged.daemon.fleet.fleet``)."""

    @property
    def rules(self) -> PolicyFile | None:
        """Those of the signed policy document in force."""
        ...

    def cause_of(self, name: DocumentName) -> str:
        """Return what the history calls the document of a name."""
        ...

    def refused(self, name: DocumentName) -> Sequence[str]:
        """Return what is wrong with the document of a name that was not taken, a line each; empty when it was."""
        ...

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have somebody told when they may be others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A policy in force, and where it is from."""

    origin: Origin
    policy: PolicyFile
    place: str
    """A path, or a document as the history names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What was read from files; None where there is no policy."""

    local: Source | None = None
    packaged: Source | None = None


class PoliciesInForce:
    """Holds them. Made and used on one event loop.

    Args:
        config: Which files; read at once.
        regulatory: The administrator's mode.
        state: The directory for the copy of the last good local policy.
        fleet: Has the fleet's rules.
        overrides: Of operators.
    """

    def __init__(
        self,
        config: PolicyConfig,
        regulatory: RegulatoryConfig,
        *,
        state: Path,
        fleet: FleetRules,
        overrides: Overrides,
    ) -> None:
        self._state = state
        self._fleet = fleet
        self._overrides = overrides
        self._listeners: list[Callable[[], None]] = []
        self._regulatory = _mode(regulatory)
        self._refused: tuple[str, ...] = ()
        self._files = self._read_at_start(config)
        self._remote: Source | None = None
        self._refresh_remote()
        self._rules = self._combined()
        for source in self.sources:
            _tell(source)
        fleet.on_change(self._take_remote)
        overrides.on_change(self._take)

    @property
    def rules(self) -> Sequence[RankedRule]:
        """The rules, in the order in which they are asked; see ``Policies``."""
        return self._rules

    @property
    def regulatory(self) -> Regulatory:
        """The administrator's mode; see ``Policies``."""
        return self._regulatory

    @property
    def sources(self) -> Sequence[Source]:
        """The policies that the rules are from, in their order."""
        every = (self._files.local, self._remote, self._files.packaged)
        return [source for source in every if source is not None]

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when the rules are others; see ``Policies``."""
        self._listeners.append(told)

    def read(self, config: PolicyConfig) -> Files:
        """Read the policies that settings name, for ``apply``. Blocking; may be called from any thread.

        Raises:
            PolicyError: One has a mistake, and nothing has changed.
        """
        # The local one last: of that a copy is kept, which is to be one that was taken.
        packaged = _packaged(config)
        return Files(local=self._local(config), packaged=packaged)

    def apply(self, files: Files, regulatory: RegulatoryConfig) -> None:
        """Put what was read in force."""
        before, self._files, self._regulatory = self.sources, files, _mode(regulatory)
        self._refused = ()
        self._take()
        for source in self.sources:
            if source not in before:
                _tell(source)

    @property
    def refused(self) -> Sequence[str]:
        """What is wrong with policies that should be in force, and were not taken, a line each; empty when all are."""
        return *self._refused, *self._fleet.refused("policy")

    def refuse(self, *errors: PolicyError) -> None:
        """Tell the operator which policies were not taken, this time."""
        self._refused = tuple(line for error in errors for line in error.lines)
        for error in errors:
            journal.event(LOG, journal.POLICY_REFUSED, reason=error.message)

    def _read_at_start(self, config: PolicyConfig) -> Files:
        errors: list[PolicyError] = []
        try:
            local = self._local(config)
        except PolicyError as exc:
            errors.append(exc)
            kept = read_kept(self._state)
            local = None if kept is None else Source(origin="local", policy=kept, place=str(self._state / KEPT_NAME))
        try:
            packaged = _packaged(config)
        except PolicyError as exc:
            errors.append(exc)
            packaged = None
        self.refuse(*errors)
        return Files(local=local, packaged=packaged)

    def _local(self, config: PolicyConfig) -> Source | None:
        policy = read_local(config, kept=self._state)
        return None if policy is None else Source(origin="local", policy=policy, place=config.file)

    def _take_remote(self) -> None:
        if self._refresh_remote():
            self._take()
            if self._remote is not None:
                _tell(self._remote)

    def _refresh_remote(self) -> bool:
        """Look at the fleet's rules; tells whether they are others than before."""
        policy, before = self._fleet.rules, self._remote
        if policy == (None if before is None else before.policy):
            return False
        cause = self._fleet.cause_of("policy")
        self._remote = None if policy is None else Source(origin="remote", policy=policy, place=cause)
        return True

    def _take(self) -> None:
        self._rules = self._combined()
        for told in self._listeners:
            told()

    def _combined(self) -> Sequence[RankedRule]:
        policies = {source.origin: source.policy for source in self.sources}
        return combine(
            overrides=tuple(rule_of(override) for override in self._overrides.current),
            local=policies.get("local"),
            remote=policies.get("remote"),
            packaged=policies.get("packaged"),
        )


def _packaged(config: PolicyConfig) -> Source | None:
    policy = read_packaged(config)
    place = str(Path(config.directory) / f"{config.name}.toml")
    return None if policy is None else Source(origin="packaged", policy=policy, place=place)


def _mode(config: RegulatoryConfig) -> Regulatory:
    return Regulatory(name=config.mode, forbids_offload=config.forbid_offload, logs_decisions=config.log_decisions)


def _tell(source: Source) -> None:
    journal.event(
        LOG,
        journal.POLICY_IN_FORCE,
        policy=source.policy.name,
        origin=source.origin,
        source=source.place,
        rules=len(source.policy.rules),
    )
