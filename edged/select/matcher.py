"""Which variant of a bundle a machine should run, and why not the others. Pure; shared by device and publisher.

Of the variants that fit a machine, the order is, best first:

1. The tier: quality, speed, memory; until a policy says otherwise, the best answers come first.
2. The precision, by what the tier is about. Quality: more bits first. Memory: fewer bits first. Speed: what the CPU multiplies natively
   first (int8 and int4 with VNNI, dot products, 8-bit matrices or AMX; fp16 and bf16 with arithmetic of their own), fewer bits first among
   those; then what it has to convert, more bits first, because conversion costs what narrow numbers save.
3. The one made for fewer machines: more CPU features asked for, then fewer architectures.
4. The order in the manifest.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import CpuFeature, Manifest, Precision, Tier, Variant
from edged.errors import IncompatibleError
from edged.quantities import bytes_text
from edged.select.machine import Machine
from edged.select.versions import is_in_range

_TIERS: Final[Mapping[Tier, int]] = {"quality": 0, "speed": 1, "memory": 2}
_BITS: Final[Mapping[Precision, int]] = {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "int4": 4}
_INTEGERS: Final = frozenset[CpuFeature]({"vnni", "dotprod", "i8mm", "amx"})
# fp32 needs nothing that any CPU lacks.
_NATIVE: Final[Mapping[Precision, frozenset[CpuFeature]]] = {
    "bf16": frozenset({"bf16", "amx"}),
    "fp16": frozenset({"fp16"}),
    "int8": _INTEGERS,
    "int4": _INTEGERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A variant that was not chosen, and every reason why."""

    variant: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The variant that fits a machine best, the reasons for it, and what was passed over."""

    variant: Variant
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def misfits(variant: Variant, machine: Machine) -> tuple[str, ...]:
    """Return every reason why a machine cannot run a variant; none means that it can."""
    return tuple(_misfits(variant, machine))


def _misfits(variant: Variant, machine: Machine) -> Iterator[str]:
    targets = variant.targets
    yield from _runtime_misfits(variant, machine)
    if machine.arch not in targets.arch:
        yield f"built for {' and '.join(targets.arch)}, this machine is {machine.arch}"
    if not machine.accelerators & set(targets.accelerators):
        has = " and ".join(sorted(machine.accelerators)) or "none"
        yield f"needs {' or '.join(targets.accelerators)}, this machine has {has}"
    if machine.memory_bytes < targets.min_memory_bytes:
        needed, has = bytes_text(targets.min_memory_bytes), bytes_text(machine.memory_bytes)
        yield f"needs {needed} of memory, this machine has {has}"
    # One built for other architectures asks for their features, which says nothing new.
    if machine.arch in targets.arch and (missing := sorted(set(targets.cpu_features) - machine.cpu_features)):
        yield f"needs the CPU to have {' and '.join(missing)}"


def _runtime_misfits(variant: Variant, machine: Machine) -> Iterator[str]:
    """Check format and runtime; a worker checks the version and provider once more, of the runtime it has in hand."""
    runtime = variant.runtime
    version = machine.runtimes.get(runtime.name)
    if version is None:
        yield f"format {variant.format} is run by {runtime.name}, which edged does not have here"
        return
    if not is_in_range(version, runtime.version):
        yield f"needs {runtime.name} {runtime.version}, this machine has {version}"
    if variant.format == "onnx" and not machine.providers & set(runtime.providers):
        has = " and ".join(sorted(machine.providers)) or "none"
        yield f"needs {' or '.join(runtime.providers)}, this machine's {runtime.name} has {has}"


def usable_variants(manifest: Manifest, machine: Machine) -> Sequence[Variant]:
    """Return the variants a machine can run, best first; the module says in which order."""
    fitting = [variant for variant in manifest.variants if not misfits(variant, machine)]
    return sorted(fitting, key=lambda variant: _rank(variant, machine))


def choose_variant(manifest: Manifest, machine: Machine, *, present: Collection[Variant] | None = None) -> Match:
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
    rejected += [Rejected(variant=other.id, reasons=(_why_first(best, other, machine),)) for other in usable[1:]]
    first = f"first by tier ({best.tier}) and precision ({best.precision})"
    return Match(variant=best, reasons=("fits this machine", first), rejected=tuple(rejected))


def _rank(variant: Variant, machine: Machine) -> tuple[int, ...]:
    targets = variant.targets
    return (
        _TIERS[variant.tier],
        *_precision_rank(variant, machine),
        -len(targets.cpu_features),
        len(targets.arch),
    )


def _precision_rank(variant: Variant, machine: Machine) -> tuple[int, int]:
    bits = _BITS[variant.precision]
    match variant.tier:
        case "quality":
            return (0, -bits)
        case "memory":
            return (0, bits)
        case "speed":
            is_native = variant.precision == "fp32" or bool(_NATIVE[variant.precision] & machine.cpu_features)
            return (0, bits) if is_native else (1, -bits)


def _why_first(best: Variant, other: Variant, machine: Machine) -> str:
    """Say which rule put ``best`` before ``other``."""
    if best.tier != other.tier:
        why = f"tier {best.tier} comes before {other.tier}"
    elif _precision_rank(best, machine) != _precision_rank(other, machine):
        why = f"for {best.tier}, {best.precision} comes before {other.precision} on this machine"
    elif _rank(best, machine) != _rank(other, machine):
        why = "it is made for fewer machines"
    else:
        why = "it is earlier in the manifest"
    return f"{best.id} comes first: {why}"
