"""What changed from one bundle to another, for the person who reviews it before it is published. Pure.

Each manifest is told as facts in words, by section and subject; two bundles differ in the facts that differ. Variants are the same variant
when their ids are the same but for the version. A fact that is a number, and better when it is lower or higher, is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from edged.bundle.fallback import fallback_text
from edged.bundle.manifest import Manifest, Variant
from edged.codec import encode_canonical
from edged.files import hash_bytes
from edged.pipeline.steps import Step
from edged.publish.review.words import (
    HIGHER_IS_BETTER,
    execution_text,
    limit_text,
    machines_text,
    metric_name,
    origin_text,
    step_text,
    tensors_text,
    tolerance_text,
    tools_text,
)
from edged.quantities import bytes_text

Verdict = Literal["better", "worse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was."""

    section: str
    subject: str
    before: str | None
    """None where there was nothing."""
    after: str | None
    """None where there is nothing any more."""
    verdict: Verdict | None = None
    """Of numbers of which it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    text: str
    value: float | None = None
    best: Literal["lowest", "highest"] | None = None


_Facts = dict[tuple[str, str], _Fact]


def differences(before: Manifest, after: Manifest) -> list[Change]:
    """Return what changed, in the order of a manifest; empty exactly when the manifests are equal."""
    if before == after:
        return []
    changes = [
        *_changed(_about(before), _about(after)),
        *_changed(_all_variants(before), _all_variants(after)),
        *_changed(_interface(before), _interface(after)),
        *_steps("step before the model", before.pipeline.pre, after.pipeline.pre),
        *_steps("step after the model", before.pipeline.post, after.pipeline.post),
        *_changed(_validation(before), _validation(after)),
        *_changed(_files(before), _files(after)),
    ]
    return changes or [Change(section="bundle", subject="order or details", before="", after="")]


def _changed(before: _Facts, after: _Facts) -> Iterator[Change]:
    for section, subject in dict.fromkeys([*before, *after]):
        old, new = before.get((section, subject)), after.get((section, subject))
        if old != new:
            yield Change(
                section=section,
                subject=subject,
                before=old.text if old else None,
                after=new.text if new else None,
                verdict=_judged(old, new),
            )


def _judged(old: _Fact | None, new: _Fact | None) -> Verdict | None:
    if old is None or new is None or old.value is None or new.value is None or old.value == new.value:
        return None
    if new.best is None:
        return None
    return "better" if (new.value < old.value) == (new.best == "lowest") else "worse"


def _fallbacks(manifest: Manifest) -> str:
    """Say what answers in the model's place; variants are the same in every version."""
    return ", then ".join(map(fallback_text, manifest.fallback)).replace(f"{manifest.name}-{manifest.version}-", "")


def _about(manifest: Manifest) -> _Facts:
    provenance = manifest.provenance
    total = sum(file.size for file in manifest.files_for(manifest.variants))
    facts = {
        "name": manifest.name,
        "version": manifest.version,
        "needs edged": manifest.min_edged,
        "source": provenance.source,
        "licence": provenance.licence,
        "supplier": provenance.supplier,
        "training settings": provenance.training_config_sha256,
        "model signature": manifest.signature,
        "when it cannot answer": _fallbacks(manifest) or None,
    }
    found = {("bundle", subject): _Fact(text=text) for subject, text in facts.items() if text is not None}
    found["bundle", "size of all files"] = _Fact(text=bytes_text(total), value=total, best="lowest")
    if (making := provenance.making) is not None:
        inputs = hash_bytes(encode_canonical(making.inputs))[:12]
        text = f"{making.command} ({tools_text(making.tools)}), inputs {inputs}"
        found["bundle", "built by"] = _Fact(text=text)
    return found


def _all_variants(manifest: Manifest) -> _Facts:
    prefix = f"{manifest.name}-{manifest.version}-"
    return {
        (f"variant {variant.id.removeprefix(prefix)}", subject): fact
        for variant in manifest.variants
        for subject, fact in _variant(variant).items()
    }


def _variant(variant: Variant) -> Mapping[str, _Fact]:
    budget = variant.budget
    texts = {
        "tier": variant.tier,
        "format": variant.format,
        "runs on": machines_text(variant.targets),
        "runtime": f"{variant.runtime.name} {variant.runtime.version} ({', '.join(variant.runtime.providers)})",
        "inputs": tensors_text(variant.inputs),
        "outputs": tensors_text(variant.outputs),
        "executed with": execution_text(variant.session, variant.batching, variant.state),
        "origin": origin_text(variant.origin) if variant.origin else "",
    }
    facts = {subject: _Fact(text=text) for subject, text in texts.items() if text}
    size = sum(file.size for file in variant.files)
    facts["size"] = _Fact(text=bytes_text(size), value=size, best="lowest")
    # A budget is a promise, and neither good nor bad by itself.
    facts["budget: latency"] = _Fact(text=f"{budget.latency_ms:g} ms")
    facts["budget: memory"] = _Fact(text=bytes_text(budget.memory_bytes), value=budget.memory_bytes)
    if budget.power_watts is not None:
        facts["budget: power"] = _Fact(text=f"{budget.power_watts:g} W")
    for tolerance in variant.tolerance:
        facts[f"tolerance of {tolerance.output}"] = _Fact(text=tolerance_text(tolerance))
    for metric in variant.metrics:
        best: Literal["highest", "lowest"] = "highest" if metric.metric in HIGHER_IS_BETTER else "lowest"
        facts[metric_name(metric)] = _Fact(
            text=f"{metric.value:g} on {metric.samples} samples", value=metric.value, best=best
        )
    return facts


def _interface(manifest: Manifest) -> _Facts:
    sent = {("apps", f"send {spec.name}"): _Fact(text=str(spec)) for spec in manifest.pipeline.inputs}
    return sent | {("apps", f"receive {spec.name}"): _Fact(text=str(spec)) for spec in manifest.pipeline.outputs}


def _steps(section: str, before: Sequence[Step], after: Sequence[Step]) -> Iterator[Change]:
    """Find the steps that came, went or changed; the order is what matters, so they are compared like lines of a text."""
    old, new = [step_text(step) for step in before], [step_text(step) for step in after]
    for kind, i, i_end, j, j_end in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for offset in range(max(i_end - i, j_end - j)):
            yield Change(
                section=section,
                subject=str(max(i, j) + offset + 1),
                before=old[i + offset] if i + offset < i_end else None,
                after=new[j + offset] if j + offset < j_end else None,
            )


def _validation(manifest: Manifest) -> _Facts:
    facts = {
        ("validation", f"tolerance of {tolerance.output}"): _Fact(text=tolerance_text(tolerance))
        for tolerance in manifest.validation.tolerance
    }
    facts |= {
        ("validation", f"limit of {metric_name(limit)}"): _Fact(text=limit_text(limit))
        for limit in manifest.validation.metrics
    }
    samples = sum(file.role == "sample" for file in manifest.files)
    facts["validation", "sample files"] = _Fact(text=str(samples), value=samples, best="highest")
    return facts


def _files(manifest: Manifest) -> _Facts:
    """Name files by their paths, in which the version of the bundle says nothing about the file."""
    version = f"{manifest.name}-{manifest.version}-"
    return {
        ("file", file.path.replace(version, f"{manifest.name}-VERSION-")): _Fact(
            text=f"{file.role}, {bytes_text(file.size)}, sha256 {file.sha256[:12]}", value=file.size
        )
        for file in manifest.files_for(manifest.variants)
    }
