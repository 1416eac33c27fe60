"""python-tuf's update client (TUF specification 1.0.34, section 5), versions 5.1 and 7, with what edged asks for beyond it.

- Each file is kept durably as soon as it is verified, and the chain of roots with either version (``edged.update.trust.kept_metadata``).
- Time is what the caller says: a device without a battery-backed clock wakes up in 1970.
- Unless ``may_nest`` is set, only the top-level targets role may delegate, and only to roles it names. So no role has two parents, which
  python-tuf 5.1 would check against the first one only, and it is plain who may sign what.

Overridden are methods that python-tuf keeps to itself, because it has no others: tests run against both versions.
"""

from datetime import UTC, datetime
from inspect import signature
from typing import Any, Final

from tuf.api.metadata import Root, Signed, Targets
from tuf.ngclient import Updater

from edged.errors import TrustError
from edged.update.origins.fetcher import GateFetcher
from edged.update.origins.origin import Origin
from edged.update.trust.kept_metadata import KeptMetadata

_HAS_BOOTSTRAP: Final = "bootstrap" in signature(Updater.__init__).parameters


class TufUpdater(Updater):
    """The updater of one refresh.

    Args:
        kept: What is kept between refreshes.
        url: The directory of metadata, with a slash at its end.
        origin: Where files come from.
        now_unix_s: The time to judge expiry by.
        may_nest: Let delegated roles delegate further.
    """

    def __init__(self, *, kept: KeptMetadata, url: str, origin: Origin, now_unix_s: float, may_nest: bool) -> None:
        self._kept = kept
        self._may_nest = may_nest
        options: dict[str, Any] = {"bootstrap": kept.root} if _HAS_BOOTSTRAP else {}
        super().__init__(str(kept.directory), url, fetcher=GateFetcher(origin), **options)
        self._trusted_set.reference_time = datetime.fromtimestamp(now_unix_s, UTC)

    def trusted(self) -> list[Signed]:
        """Return all verified metadata that was looked at so far."""
        return list(self._trusted_set)

    @property
    def root(self) -> Root:
        """The newest trusted root."""
        return self._trusted_set.root

    def targets_of(self, role: str) -> Targets | None:
        """Return the verified metadata of a role of targets; None when nothing had to be looked up in it yet."""
        found = self._trusted_set.get(role)
        return found if isinstance(found, Targets) else None

    def _load_targets(self, role: str, parent_role: str) -> Targets:
        targets = super()._load_targets(role, parent_role)
        if targets.delegations is not None and not self._may_nest:
            if role != Targets.type:
                hint = "Publisher: delegate from targets."
                raise TrustError(f"the delegated role {role} delegates further, which is not allowed", hint=hint)
            if targets.delegations.roles is None:
                hint = "Publisher: delegate by name."
                raise TrustError("targets delegates to hash bins, which is not allowed", hint=hint)
        return targets

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        if rolename == Root.type:  # python-tuf 5.1
            self._kept.keep_root(self.root, data)
        else:
            self._kept.keep(rolename, data)

    def _persist_root(self, version: int, data: bytes) -> None:  # noqa: ARG002 - python-tuf's signature; the root knows its version
        if data != self._kept.root:  # python-tuf 7 begins with the one that it was given
            self._kept.keep_root(self.root, data)

    def _update_root_symlink(self) -> None:
        """Do nothing: ``root.json`` is a file here, replaced when another root is kept."""
