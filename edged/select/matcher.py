"""Which variant of a bundle this machine should run, and why not the others. Pure; shared by device and publisher."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import Manifest, Precision, Tier, Variant
from edged.errors import IncompatibleError
from edged.select.machine import Machine

# Until a policy says otherwise: the best answers first, then the wider number format.
_TIER_ORDER: Final[dict[Tier, int]] = {"quality": 0, "speed": 1, "memory": 2}
_PRECISION_ORDER: Final[dict[Precision, int]] = {"fp32": 0, "fp16": 1, "int8": 2}
_RUNNABLE_FORMATS: Final = frozenset({"onnx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A variant that was not chosen, and every reason why."""

    variant: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The variant to run, the reasons for it, and what was passed over."""

    variant: Variant
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def misfits(variant: Variant, machine: Machine) -> tuple[str, ...]:
    """Return every reason why a machine cannot run a variant; none means that it can."""
    reasons = []
    targets = variant.targets
    if variant.format not in _RUNNABLE_FORMATS:
        reasons.append(f"format {variant.format} has no runtime here")
    if machine.arch not in targets.arch:
        reasons.append(f"built for {' and '.join(targets.arch)}, this machine is {machine.arch}")
    if not machine.accelerators & set(targets.accelerators):
        reasons.append(
            f"needs {' or '.join(targets.accelerators)}, this machine has {' and '.join(sorted(machine.accelerators))}"
        )
    if machine.memory_bytes < targets.min_memory_bytes:
        reasons.append(f"needs {targets.min_memory_bytes} bytes of memory, this machine has {machine.memory_bytes}")
    if missing := sorted(set(targets.cpu_features) - machine.cpu_features):
        reasons.append(f"needs CPU features {', '.join(missing)}")
    return tuple(reasons)


def usable_variants(manifest: Manifest, machine: Machine) -> Sequence[Variant]:
    """Return the variants a machine can run, best first; ties stay in the manifest's order."""
    fitting = [variant for variant in manifest.variants if not misfits(variant, machine)]
    return sorted(fitting, key=lambda variant: (_TIER_ORDER[variant.tier], _PRECISION_ORDER[variant.precision]))


def choose_variant(manifest: Manifest, machine: Machine, *, present: Collection[Variant] | None = None) -> Decision:
    """Choose the best variant that fits the machine.

    Args:
        manifest: Of the bundle.
        machine: What is to run it.
        present: The variants whose files are at hand; None means all.

    Raises:
        IncompatibleError: None fits; the message lists the reasons of each.
    """
    at_hand = manifest.variants if present is None else present
    usable = [variant for variant in usable_variants(manifest, machine) if variant in at_hand]
    rejected = [
        Rejected(variant=variant.id, reasons=misfits(variant, machine) or ("its files are not on this device",))
        for variant in manifest.variants
        if variant not in usable
    ]
    if not usable:
        why = "; ".join(f"{item.variant}: {', '.join(item.reasons)}" for item in rejected)
        raise IncompatibleError(
            f"no variant of {manifest.name} {manifest.version} fits this machine: {why}",
            hint="Add a variant for this machine to the bundle, or take the device out of the rollout.",
        )
    best = usable[0]
    rejected += [Rejected(variant=other.id, reasons=(f"{best.id} comes first",)) for other in usable[1:]]
    return Decision(
        variant=best,
        reasons=("fits this machine", f"first by tier ({best.tier}) and precision ({best.precision})"),
        rejected=tuple(rejected),
    )
