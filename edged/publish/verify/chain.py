"""Follow a repository's signatures with the code that devices follow them with (``edged.update.trust``).

Expiry is judged apart, so that every role that has expired is named, not only the first: the chain is followed as of 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from edged.errors import EdgedError, HostUnreachableError, TrustError
from edged.publish.repository.state import State, metadata_path
from edged.publish.verify.findings import Finding, error_at
from edged.publish.verify.places import Place
from edged.update.trust.trust import TrustedRepository, refresh_trust

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(slots=True, kw_only=True)
class Chain:
    """What is signed."""

    repository: TrustedRepository
    state: State
    """Without the roles that cannot be trusted."""
    findings: list[Finding] = field(default_factory=list)


def follow(place: Place, root: bytes, directory: Path) -> Chain:
    """Follow the signatures from a root that is trusted to every role.

    Args:
        place: Where the repository is.
        root: The root metadata that devices start from.
        directory: Empty; for the metadata that was verified.

    Raises:
        EdgedError: The chain breaks before any role of a model.
    """
    repository = refresh_trust(directory=directory, url=place.url, root=root, host=place, now_unix_s=0.0)
    state = State(
        root=_kept(directory, "root", Root),
        timestamp=_kept(directory, "timestamp", Timestamp),
        snapshot=_kept(directory, "snapshot", Snapshot),
        targets={"targets": _kept(directory, "targets", Targets)},
    )
    chain = Chain(repository=repository, state=state)
    for role, path in _probes(state):
        try:
            # Whether it is listed does not matter: the role's metadata is fetched and verified to find out.
            repository.lists(path)
        except HostUnreachableError:
            raise
        except EdgedError as error:
            pinned = state.snapshot.meta.get(f"{role}.json")
            where = metadata_path(role, pinned.version) if pinned is not None else role
            chain.findings.append(error_at(where, error))
        else:
            state.targets[role] = _kept(directory, role, Targets)
    return chain


def _probes(state: State) -> Iterator[tuple[str, str]]:
    """Return each delegated role with a path that it alone may sign."""
    delegations = state.targets["targets"].delegations
    roles: dict[str, Any] = dict(delegations.roles or {}) if delegations is not None else {}
    for role in state.delegated:
        for pattern in roles[role].paths or ():
            yield role, pattern.replace("*", "0.0.0")
            break


def _kept(directory: Path, role: str, type_: type[S]) -> S:
    metadata: Metadata[Any] = Metadata.from_bytes((directory / f"{quote(role, '')}.json").read_bytes())
    if not isinstance(metadata.signed, type_):
        raise TrustError(f"{role} is not {type_.__name__.lower()} metadata", hint="Restore the repository from a copy.")
    return metadata.signed
