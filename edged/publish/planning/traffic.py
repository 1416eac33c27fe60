"""What a fleet fetches for a rollout and in a month, from what devices really fetch (``edged.update``). Pure.

The rules are those of devices:

1. Of a version, a device fetches the files of every variant that its processor can use, and those that all variants share. A file that it
   has already, with another version, is not fetched again. What is larger than a chunk comes with its index. Of the ways to a file (whole,
   and whatever else a repository offers) it takes the one with the fewest bytes.
2. Once for the version it fetches what signs it: the timestamp, the snapshot, the role of the model and that of rollouts, the rollout and
   the manifest. At each further step of the rollout, and when the version becomes the one for everyone, every device fetches timestamp,
   snapshot, role and rollout anew.
3. Every device polls, each time after 0.75 to 0.95 of the interval.

Counted are bodies and the heads around them; not TLS and the packets below, nor what is lost and sent again.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import FileEntry, Manifest, Variant
from edged.publish.fleet.rollout import STEPS

POLL_BYTES: Final = 321
"""Measured: a poll that finds nothing new, both ways, on an open connection (docs/updates.md)."""
POLL_BYTES_CDN: Final = 488
"""The same with the header fields of a content delivery network."""
HEADS_BYTES: Final = POLL_BYTES_CDN
"""What the heads of any other request and of its answer cost, which are like those of a poll; the larger figure, to be safe."""
POLLS_AFTER: Final = 0.85
"""Share of the poll interval after which a device polls, in the mean (``edged.update.service.poller``)."""
DAYS_PER_MONTH: Final = 365.25 / 12
BYTES_PER_GB: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One request that a device makes."""

    name: str
    size: int

    @property
    def total(self) -> int:
        """Its bytes with the heads around them."""
        return self.size + HEADS_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A kind of device."""

    arch: str
    share: float
    """Of the fleet."""
    variants: tuple[str, ...]
    """Ids of those that it can use."""
    files: tuple[Download, ...]

    @property
    def bytes(self) -> int:
        """What one such device fetches of the bundle."""
        return sum(download.total for download in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the rollout, as ``rollout advance`` takes it."""

    percent: float | None
    """Of the devices, which have the version from then on; None for the end, when it becomes the version for everyone."""
    devices: int
    """That take the version with this step."""
    bundle_bytes: int
    metadata_bytes: int

    @property
    def total(self) -> int:
        """All bytes of the step."""
        return self.bundle_bytes + self.metadata_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What it comes to."""

    devices: int
    updates_per_month: float
    machines: tuple[Machine, ...]
    steps: tuple[Step, ...]
    polls_per_month: float
    """Of one device."""
    poll_bytes: int

    @property
    def bytes_per_device(self) -> float:
        """What a device fetches of the bundle, in the mean over the fleet."""
        return sum(machine.share * machine.bytes for machine in self.machines)

    @property
    def rollout_bytes(self) -> int:
        """All bytes of one rollout."""
        return sum(step.total for step in self.steps)

    @property
    def updates_bytes(self) -> float:
        """Of the rollouts of a month, each like this one."""
        return self.updates_per_month * self.rollout_bytes

    @property
    def polls_bytes(self) -> float:
        """Of the polls of a month."""
        return self.devices * self.polls_per_month * self.poll_bytes

    @property
    def month_bytes(self) -> float:
        """All bytes of a month."""
        return self.updates_bytes + self.polls_bytes


def files_of(
    manifest: Manifest, variants: Sequence[Variant], *, held: Collection[str], sizes: Mapping[str, int]
) -> Iterator[Download]:
    """Return what a device fetches of a bundle (1).

    Args:
        manifest: Of the version.
        variants: Those that it can use.
        held: Digests of the blobs that it has.
        sizes: Of other ways to a blob and of chunk indexes, by their paths in the repository.
    """
    for entry in {entry.sha256: entry for entry in manifest.files_for(variants)}.values():
        if entry.sha256 in held:
            continue
        yield Download(name=entry.path, size=_cheapest(entry, held, sizes))
        if entry.index is not None:
            path = f"index/{entry.sha256}"
            yield Download(name=path, size=sizes.get(path, 0))


def _cheapest(entry: FileEntry, held: Collection[str], sizes: Mapping[str, int]) -> int:
    """Return the bytes of the cheapest way: the whole file, or a delta from a blob that the device has."""
    deltas = (sizes.get(f"deltas/{before}-{entry.sha256}.edelta") for before in held)
    return min([entry.size, *(size for size in deltas if size is not None)])


def machines_of(
    manifest: Manifest, shares: Mapping[str, float], *, held: Manifest | None, sizes: Mapping[str, int]
) -> tuple[Machine, ...]:
    """Return the kinds of devices of a fleet, by processor. Features of processors and their memory are not looked at.

    Args:
        manifest: Of the version.
        shares: Of each architecture in the fleet; their sum is 1.
        held: The version that devices have already.
        sizes: As in ``files_of``.
    """
    machines = []
    for arch, share in shares.items():
        variants = _usable(manifest, arch)
        have = set() if held is None else {entry.sha256 for entry in held.files_for(_usable(held, arch))}
        machines.append(
            Machine(
                arch=arch,
                share=share,
                variants=tuple(variant.id for variant in variants),
                # One that can use nothing of it fetches nothing.
                files=tuple(files_of(manifest, variants, held=have, sizes=sizes)) if variants else (),
            )
        )
    return tuple(machines)


def architectures(manifest: Manifest) -> list[str]:
    """Return the processors that any variant is for."""
    return sorted({arch for variant in manifest.variants for arch in variant.targets.arch})


def steps_of(
    devices: int,
    machines: Sequence[Machine],
    *,
    first: Sequence[Download],
    further: Sequence[Download],
    percents: Sequence[float] = STEPS,
) -> tuple[Step, ...]:
    """Return what each step of a rollout costs, and its end (2).

    Args:
        devices: Of the fleet.
        machines: Its kinds.
        first: What signs the version, fetched by every device with the first step.
        further: What every device fetches with each step after that.
        percents: Of the steps, rising.
    """
    each = sum(machine.share * machine.bytes for machine in machines)
    steps = []
    before = 0
    for number, percent in enumerate((*percents, None)):
        reached = before if percent is None else math.ceil(devices * percent / 100)
        metadata = sum(download.total for download in (further if number else first))
        steps.append(
            Step(
                percent=percent,
                devices=reached - before,
                bundle_bytes=round((reached - before) * each),
                metadata_bytes=devices * metadata,
            )
        )
        before = reached
    return tuple(steps)


def polls_per_month(poll_interval_s: float) -> float:
    """Return how often a device polls in a month (3)."""
    return DAYS_PER_MONTH * 86_400 / (poll_interval_s * POLLS_AFTER)


def _usable(manifest: Manifest, arch: str) -> list[Variant]:
    return [variant for variant in manifest.variants if arch in variant.targets.arch]
