"""Say in words what a manifest says, for the person who has to decide whether to publish it. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from edged.bundle.fallback import fallback_text
from edged.bundle.manifest import Manifest, Provenance, Variant
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import Step
from edged.publish.review.words import (
    budget_text,
    execution_text,
    limit_text,
    machines_text,
    metric_text,
    origin_text,
    step_text,
    tensors_text,
    tolerance_text,
    tools_text,
)
from edged.quantities import bytes_text


def explain(manifest: Manifest) -> Iterator[str]:
    """Yield the lines that describe a bundle that was read by ``edged.bundle.parse``."""
    files = manifest.files_for(manifest.variants)
    yield f"{manifest.name} {manifest.version}: {len(files)} files, {bytes_text(sum(file.size for file in files))}"
    yield from _provenance(manifest.provenance)
    yield f"  needs edged {manifest.min_edged} or newer"
    if manifest.signature is not None:
        yield f"  with the signature of the model's makers in {manifest.signature}; see edge-publish bundle signature"
    yield ""
    yield "Variants (a device fetches only what it can use)"
    for variant in manifest.variants:
        yield from _variant(variant)
    yield ""
    yield "An app"
    yield from _pipeline(manifest)
    yield ""
    yield "A device accepts it"
    yield from _validation(manifest)
    yield ""
    yield "Files"
    width = max(len(file.path) for file in files)
    for file in sorted(files, key=lambda entry: entry.path):
        yield f"  {file.path:<{width}}  {file.role:<9}  {bytes_text(file.size):>10}  sha256 {file.sha256}"


def _provenance(provenance: Provenance) -> Iterator[str]:
    yield f"  from {provenance.source}, licence {provenance.licence}"
    if provenance.supplier is not None:
        yield f"  supplied by {provenance.supplier}"
    if provenance.training_config_sha256 is not None:
        yield f"  trained with settings of sha256 {provenance.training_config_sha256}"
    if provenance.making is not None:
        making = provenance.making
        yield f"  built by {making.command} ({tools_text(making.tools)}) from {len(making.inputs)} files"
        for item in making.inputs:
            yield f"    {item.name}  sha256 {item.sha256}"


def _variant(variant: Variant) -> Iterator[str]:
    size = bytes_text(sum(file.size for file in variant.files))
    yield f"  {variant.id}: best for {variant.tier}, {variant.precision}, {size} {variant.format}"
    providers = "" if variant.format != "onnx" else f" ({', '.join(variant.runtime.providers)})"
    yield f"    runs on {machines_text(variant.targets)}; {variant.runtime.name} {variant.runtime.version}{providers}"
    yield f"    may take {budget_text(variant.budget)}"
    if text := execution_text(variant.session, variant.batching, variant.state):
        yield f"    executed: {text}"
    if variant.format != "onnx":
        yield f"    takes {tensors_text(variant.inputs)}; gives {tensors_text(variant.outputs)}"
        yield "    carried for other runtimes; edged itself runs onnx"
    if variant.origin is not None:
        yield f"    {origin_text(variant.origin)}"
    for metric in variant.metrics:
        yield f"    measured: {metric_text(metric)}"
    for tolerance in variant.tolerance:
        yield f"    may be off by its own measure: {tolerance.output} {tolerance_text(tolerance)}"


def _pipeline(manifest: Manifest) -> Iterator[str]:
    """Follow what an app sends through the steps and the model, with the types at each."""
    pipeline, reference = manifest.pipeline, manifest.variants[0]
    known = {spec.name: spec for spec in pipeline.inputs}
    yield f"  sends    {tensors_text(pipeline.inputs)}"
    yield from _steps("before", pipeline.pre, known)
    yield f"  model    {tensors_text(reference.inputs)} -> {tensors_text(reference.outputs)}"
    known |= {spec.name: spec for spec in reference.outputs}
    yield from _steps("after", pipeline.post, known)
    yield f"  receives {tensors_text(pipeline.outputs)}"


def _steps(when: str, steps: Sequence[Step], known: dict[str, TensorSpec]) -> Iterator[str]:
    for step in steps:
        given = step.gives(known)
        known |= {spec.name: spec for spec in given}
        yield f"  {when:<8} {step_text(step)}"
        yield f"  {'':<8}   gives {tensors_text(given)}"


def _validation(manifest: Manifest) -> Iterator[str]:
    validation = manifest.validation
    roles = Counter(file.role for file in manifest.files)
    yield f"  when the samples of {validation.kit} ({roles['sample']} files) give the golden outputs:"
    for tolerance in validation.tolerance:
        yield f"    {tolerance.output} {tolerance_text(tolerance)}"
    for limit in validation.metrics:
        yield f"  and, against the truth, {limit_text(limit)}"
    yield "  within the budget of the variant it runs"
    if manifest.fallback:
        yield f"  when it cannot answer: {', then '.join(map(fallback_text, manifest.fallback))}"
