"""Find out what this device needs of the repository as it is now: what the last good documents name, read from the repository. Blocking.

(1) load the role of every model, and keep their floors, which the daemon obeys at once
(2) read the manifest of every version, and choose its files; also of those that the daemon uses beside

Nothing of the store is touched but the floors. What cannot be read of one bundle is recorded and does not stop the others; a host that
does not answer stops everything.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.errors import BundleError, EdgedError, GateRefusedError, HostUnreachableError
from edged.ids import Digest, ModelName, Version
from edged.ops.segments import Device
from edged.store.in_use import read_in_use
from edged.store.layout import StoreLayout
from edged.update.freshness.standing_file import StandingFile
from edged.update.refresh.plan import Usable, Wanted, load_role, read_floor, read_wanted, versions_to_bring
from edged.update.refresh.undone import Undone
from edged.update.trust.trust import TrustedRepository

LOG = logging.getLogger(__name__)

Versions = Mapping[ModelName, tuple[Version, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What is needed here."""

    versions: Versions
    """What the rollout brings to this device."""
    wanted: tuple[Wanted, ...]
    """Those bundles, and those that the daemon uses beside."""
    undone: tuple[Undone, ...]

    @property
    def blobs(self) -> frozenset[Digest] | None:
        """Every blob of them; None when not all are known."""
        return None if self.undone else frozenset(file.digest for one in self.wanted for file in one.files)


def find_needs(
    repository: TrustedRepository,
    layout: StoreLayout,
    *,
    in_use: Path,
    device: Callable[[], Device],
    usable: Usable,
    now_unix_s: float,
) -> Needs:
    """Find out what is needed.

    Args:
        repository: As it is now.
        layout: The store.
        in_use: Where the daemon says which versions it uses.
        device: Finds out who this device is.
        usable: Chooses variants.
        now_unix_s: The time to judge by.

    Raises:
        HostUnreachableError: The host does not answer.
        GateRefusedError: The gate does not let anybody ask it.
        StoreError: This device has no ID, or the floors cannot be kept.
    """
    undone: list[Undone] = []
    versions = versions_to_bring(layout, device)
    _keep_floors(repository, layout, versions, undone, now_unix_s)  # (1)
    reader = _Reader(repository=repository, layout=layout, floors=StandingFile(layout.standing).floors(), usable=usable)
    wanted = [*reader.read_brought(versions, undone), *reader.read_used(versions, in_use)]  # (2)
    return Needs(versions=versions, wanted=tuple(wanted), undone=tuple(undone))


@contextmanager
def recorded(subject: str, undone: list[Undone]) -> Iterator[None]:
    """Record what goes wrong with one bundle, and go on with the next; but nothing else comes from a host that does not answer."""
    try:
        yield
    except (HostUnreachableError, GateRefusedError):
        raise
    except EdgedError as error:
        undone.append(Undone(subject=subject, error=error, is_for_publisher=isinstance(error, BundleError)))


def _keep_floors(
    repository: TrustedRepository, layout: StoreLayout, versions: Versions, undone: list[Undone], now_unix_s: float
) -> None:
    floors: dict[ModelName, Version] = {}
    try:
        for model, found in versions.items():
            for version in found:
                with recorded(f"{model} {version}", undone):
                    load_role(repository, model, version)
            with recorded(str(model), undone):
                if (floor := read_floor(repository, model)) is not None:
                    floors[model] = floor
    finally:
        StandingFile(layout.standing).keep(now_unix_s, floors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads manifests."""

    repository: TrustedRepository
    layout: StoreLayout
    floors: Mapping[ModelName, Version]
    usable: Usable

    def read_brought(self, versions: Versions, undone: list[Undone]) -> list[Wanted]:
        """Read those of the rollout, but for what is recorded already."""
        known = {one.subject for one in undone}
        wanted: list[Wanted] = []
        for model, found in versions.items():
            for version in found:
                if f"{model} {version}" in known:
                    continue
                with recorded(f"{model} {version}", undone):
                    wanted.append(self._read(model, version))
        return wanted

    def read_used(self, versions: Versions, in_use: Path) -> list[Wanted]:
        """Read what the daemon uses beside: the version to fall back to is hashed and mended, too, where it can be."""
        used: list[Wanted] = []
        for model, found in sorted((read_in_use(in_use) or {}).items()):
            for version in sorted(found.difference(versions.get(model, ()))):
                try:
                    used.append(self._read(model, version))
                except (HostUnreachableError, GateRefusedError):
                    raise
                except EdgedError as exc:
                    LOG.info("%s %s is not looked after: %s", model, version, exc)
        return used

    def _read(self, model: ModelName, version: Version) -> Wanted:
        return read_wanted(self.repository, self.layout, model, version, floors=self.floors, usable=self.usable)
