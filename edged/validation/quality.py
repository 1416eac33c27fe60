"""What makes a validation kit weak evidence: too few samples, golden outputs that are all alike, tolerances that allow any answer. Pure.

A kit can be right in every detail and still let a broken model pass. These are warnings for the publisher, who may have reasons.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edged.bundle.kit import Golden, Sample
from edged.bundle.manifest import Manifest, Tolerance
from edged.pipeline.datatypes import NUMBERS, pack, pack_bytes
from edged.runtime.tensors import Tensor
from edged.validation.comparison import Agreement, compare, tolerances_of

FEWEST: Final = 10
"""Samples from which on a kit says something; more than some fifty only take time on each device."""


def weaknesses(samples: Sequence[Sample], manifest: Manifest) -> Iterator[str]:
    """Find what makes a kit weak.

    Args:
        samples: Of a kit that fits the manifest, with all golden outputs as data.
        manifest: Of its bundle.

    Yields:
        Sentences for people.
    """
    if len(samples) < FEWEST:
        yield f"the kit has {len(samples)} samples; {FEWEST} to 50 say much more about a model"
    unsaid = [name for name in _outputs(manifest) if not any(_golden(sample, name) for sample in samples)]
    for name in unsaid:
        yield f"no sample has a golden value for output {name}, which may be anything then"
    for name in (name for name in _outputs(manifest) if name not in unsaid):
        different = _different([golden for sample in samples if (golden := _golden(sample, name)) is not None])
        if len(different) == 1 and len(samples) > 1:
            yield f"the golden values of output {name} are the same in all samples, so a model that always says so passes"
        if len(different) > 1:
            yield from _too_wide(name, different, manifest)


def _too_wide(name: str, different: Sequence[Golden], manifest: Manifest) -> Iterator[str]:
    """Find tolerances under which each sample's golden value passes for the answer to another sample."""
    common = manifest.validation.tolerance
    places = {"": tolerances_of(common, ())}
    places |= {
        f" of {variant.id}": tolerances_of(common, variant.tolerance)
        for variant in manifest.variants
        if any(tolerance.output == name for tolerance in variant.tolerance)
    }
    for of_whom, tolerances in places.items():
        if _all_pass(different, tolerances):
            yield (
                f"the tolerance{of_whom} for output {name} is so wide that the golden value of any sample passes for that of the next; "
                "nothing can fail it"
            )


def _all_pass(different: Sequence[Golden], tolerances: Mapping[str, Tolerance]) -> bool:
    agreement = Agreement(tolerances)
    # Round the circle: each value is judged once as an answer, to a sample that wants another.
    for golden, answer in zip(different, (*different[1:], different[0]), strict=True):
        sample = Sample(name="one", golden=(golden,))
        outputs = {answer.name: _tensor(answer)}
        if compare(sample, outputs, tolerances):
            return False
        agreement.add(sample, outputs)
    return not agreement.close()


def _different(goldens: Sequence[Golden]) -> list[Golden]:
    """Return the golden tensors without repetitions."""
    return list({(golden.shape, golden.data): golden for golden in goldens}.values())


def _golden(sample: Sample, name: str) -> Golden | None:
    return next((golden for golden in sample.golden if golden.name == name), None)


def _outputs(manifest: Manifest) -> list[str]:
    return [spec.name for spec in manifest.pipeline.outputs]


def _tensor(golden: Golden) -> Tensor:
    if golden.dtype == "BYTES":
        data = pack_bytes([str(text).encode() for text in golden.data])
    else:
        number = float if NUMBERS[golden.dtype].is_float else int
        data = pack(golden.dtype, [number(value) for value in golden.data])
    return Tensor(name=golden.name, dtype=golden.dtype, shape=golden.shape, data=data)
