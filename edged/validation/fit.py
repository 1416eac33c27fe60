"""Whether a kit fits the bundle it is in, so that it can be run and judged; every mistake at once. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from edged.bundle.kit import Kit, Sample, mistake, mistake_in_inputs
from edged.bundle.manifest import Manifest
from edged.errors import BundleError
from edged.pipeline.spec import TensorSpec
from edged.validation.comparison import mistake_in_tolerance

MAX_SHOWN: Final = 20
"""Most mistakes that one error names: a kit of a thousand samples tends to have the same one a thousand times."""


def check_kit(kit: Kit, manifest: Manifest, *, source: str) -> None:
    """Check that a kit can be run on a bundle's pipeline, and that its golden data are tensors of the pipeline's outputs.

    Also that the manifest's tolerances and limits can be applied to those outputs.

    Raises:
        BundleError: It is not so; ``source`` is what the kit is called in the message, which names every mistake.
    """
    outputs = {spec.name: spec for spec in manifest.pipeline.outputs}
    mistakes = [f"{source}: {text}" for text in islice(_in_samples(kit, manifest, outputs), MAX_SHOWN + 1)]
    mistakes += _in_rules(kit, manifest, outputs)
    if len(mistakes) > MAX_SHOWN:
        mistakes[MAX_SHOWN:] = ["and more"]
    if mistakes:
        raise BundleError("; ".join(mistakes), hint="Correct the kit, or the recipe it is for, and build again.")


def _in_samples(kit: Kit, manifest: Manifest, outputs: Mapping[str, TensorSpec]) -> Iterator[str]:
    # A file the manifest does not list is not verified, and so not evidence.
    listed = {entry.path for entry in manifest.files if entry.role == "sample"}
    names: set[str] = set()
    for sample in kit.samples:
        if sample.name in names:
            yield f"{sample.name} is there twice; give each sample a name of its own"
        names.add(sample.name)
        if reason := mistake_in_inputs(sample, manifest.pipeline.inputs):
            yield f"{sample.name} {reason}"
        for path in sample.files:
            if path not in listed:
                yield f"{sample.name}: {path} is not listed in the manifest with role sample"
        yield from _in_answers(sample, outputs)


def _in_answers(sample: Sample, outputs: Mapping[str, TensorSpec]) -> Iterator[str]:
    for kind, items in (("golden", sample.golden), ("truth", sample.truth)):
        for item in items:
            if item.name not in outputs:
                yield f"{sample.name}: the pipeline has no output {item.name}"
            elif reason := mistake(item, outputs[item.name].dtype):
                yield f"{sample.name}: {kind} {item.name}: {reason}"
            elif kind == "truth" and item.file is not None:
                yield f"{sample.name}: truth {item.name} is in a file; give it as data"


def _in_rules(kit: Kit, manifest: Manifest, outputs: Mapping[str, TensorSpec]) -> Sequence[str]:
    """Check that tolerances and limits ask for what can be judged; ``edged.bundle.parse`` has found that their outputs exist."""
    found = []
    places = {"/validation/tolerance": manifest.validation.tolerance}
    places |= {f"/variants/{i}/tolerance": variant.tolerance for i, variant in enumerate(manifest.variants)}
    for where, tolerances in places.items():
        seen: set[str] = set()
        for i, tolerance in enumerate(tolerances):
            if tolerance.output in seen:
                found.append(f"{where}/{i}: {tolerance.output} has a tolerance already; put them together")
            seen.add(tolerance.output)
            if reason := mistake_in_tolerance(tolerance, outputs[tolerance.output]):
                found.append(f"{where}/{i}: {tolerance.output}: {reason}")
    known = {item.name for sample in kit.samples for item in sample.truth}
    for i, limit in enumerate(manifest.validation.metrics):
        where = f"/validation/metrics/{i}"
        if limit.output not in known:
            found.append(f"{where}: no sample has a truth for {limit.output}, so {limit.metric} cannot be measured")
        if limit.at_most is None and limit.at_least is None:
            found.append(f"{where}: expected at_most or at_least; without either it limits nothing")
    return found
