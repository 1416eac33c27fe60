"""Say in words what a manifest says, for the person who has to decide whether to publish it. Pure."""

from collections import Counter
from collections.abc import Iterator

from msgspec import to_builtins

from edged.bundle.manifest import Budget, Manifest, Targets, Variant
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import Step

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def explain(manifest: Manifest) -> Iterator[str]:
    """Yield the lines that describe a bundle."""
    files = manifest.files_for(manifest.variants)
    yield f"{manifest.name} {manifest.version}: {len(files)} files, {size_text(sum(file.size for file in files))}"
    yield f"  from {manifest.provenance.source}, licence {manifest.provenance.licence}; needs edged {manifest.min_edged} or newer"
    yield ""
    yield "Variants (a device fetches only what it can use)"
    for variant in manifest.variants:
        yield from _variant(variant)
    yield ""
    yield "An app"
    yield f"  sends    {_tensors(manifest.pipeline.inputs)}"
    for step in manifest.pipeline.pre:
        yield f"  before   {_step(step)}"
    yield f"  model    {_tensors(manifest.variants[0].inputs)} -> {_tensors(manifest.variants[0].outputs)}"
    for post in manifest.pipeline.post:
        yield f"  after    {_step(post)}"
    yield f"  receives {_tensors(manifest.pipeline.outputs)}"
    yield ""
    yield "A device accepts it"
    roles = Counter(file.role for file in files)
    yield f"  when {roles['sample']} sample files ({manifest.validation.kit}) give the golden outputs:"
    for tolerance in manifest.validation.tolerance:
        yield f"  {tolerance.output} " + (f"within {tolerance.absolute:g}" if tolerance.absolute else "exactly")
    if manifest.fallback:
        yield f"  when it cannot answer: {', then '.join(entry.use for entry in manifest.fallback)}"
    yield ""
    yield "Files"
    width = max(len(file.path) for file in files)
    for file in sorted(files, key=lambda entry: entry.path):
        yield f"  {file.path:<{width}}  {file.role:<8}  {size_text(file.size):>10}  sha256 {file.sha256}"


def size_text(size: int) -> str:
    """Write a number of bytes in the unit that reads best."""
    value = float(size)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("the last unit takes everything")


def _variant(variant: Variant) -> Iterator[str]:
    yield f"  {variant.id}: best for {variant.tier}, {variant.precision}, {size_text(variant.model_file.size)} {variant.format}"
    yield f"    runs on {_machines(variant.targets)}; {variant.runtime.name} {variant.runtime.version}"
    yield f"    may take {_budget(variant.budget)}"


def _machines(targets: Targets) -> str:
    text = f"{' or '.join(targets.arch)} with {' or '.join(targets.accelerators)}"
    if targets.min_memory_bytes:
        text += f", at least {size_text(targets.min_memory_bytes)} of memory"
    if targets.cpu_features:
        text += f", {' and '.join(targets.cpu_features)}"
    return text


def _budget(budget: Budget) -> str:
    power = f" and {budget.power_watts:g} W" if budget.power_watts is not None else ""
    return f"{budget.latency_ms:g} ms, {size_text(budget.memory_bytes)}{power} an inference"


def _tensors(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(
        f"{spec.name} {spec.dtype} [{', '.join('any' if axis < 0 else str(axis) for axis in spec.shape)}]"
        for spec in specs
    )


def _step(step: Step) -> str:
    fields = to_builtins(step)
    name = fields.pop("op")
    names = {*step.reads, *step.writes}
    details = ", ".join(f"{key} {value}" for key, value in fields.items() if value not in names)
    return f"{name}: {', '.join(step.reads)} -> {', '.join(step.writes)}" + (f" ({details})" if details else "")
