"""Read a manifest: every field by its type first, then the rules between fields; all problems of both kinds at once.

A document of which only parts follow their types is checked all the same: each rule looks at the parts it is about, where those can be
read. What is said about them then holds whatever becomes of the others.

The rules between fields:

1. No key comes twice in an object: readers differ in which of them they take.
2. A path is one content, below no other file, not the manifest's own name; a file above one chunk has a chunk index.
3. What names a file of the bundle names one that is listed, with the role it has to have.
4. Variants have different ids, of name, version, precision and architecture; one model file each; the runtime of their format.
5. Tolerances and metrics are of outputs that there are.
6. Steps, models and what apps are promised fit together (``edged.pipeline.pipeline``).
7. Batching and state fit the tensors they are about.
8. Rules for when the model cannot answer can be obeyed (``edged.bundle.fallback``).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, get_type_hints

import msgspec

from edged.bundle.fallback import Fallback
from edged.bundle.fallback import misfits as fallback_misfits
from edged.bundle.manifest import (
    CHUNK_BYTES,
    MANIFEST_NAME,
    RUNTIMES,
    FileEntry,
    Manifest,
    Metric,
    MetricLimit,
    Role,
    Tolerance,
    Validation,
    Variant,
)
from edged.codec import decode_json, is_too_deep, repeated_keys
from edged.errors import ManifestError, Problem
from edged.pipeline.pipeline import Pipeline, misfits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What of a manifest could be read; None is a part that could not, or that is not there."""

    name: str | None
    version: str | None
    files: tuple[FileEntry, ...] | None
    pipeline: Pipeline | None
    validation: Validation | None
    sbom: str | None
    signature: str | None
    fallback: tuple[Fallback, ...] | None
    variants: tuple[Variant | None, ...]
    """At their places."""


def parse_manifest(data: bytes, *, source: str) -> Manifest:
    """Read a manifest and check the rules between its fields.

    Args:
        data: The document.
        source: What to call it in errors.

    Raises:
        ManifestError: With every problem found.
    """
    try:
        manifest = decode_json(Manifest, data, source=source, error=ManifestError)
    except ManifestError as exc:
        value = _object_in(data)
        if value is None:
            raise
        problems = [*exc.problems, *repeated_keys(data), *_problems_between(_readable_parts(value))]
        raise ManifestError(source, list(dict.fromkeys(problems))) from exc
    parts = _Parts(**{name: getattr(manifest, name) for name in _Parts.__slots__})
    # Variants share the pipeline, and so its problems.
    if problems := list(dict.fromkeys([*repeated_keys(data), *_problems_between(parts)])):
        raise ManifestError(source, problems)
    return manifest


def _object_in(data: bytes) -> dict[str, Any] | None:
    """Return the object that some bytes are in JSON; None when they are not, or one that is nested too deep to be looked through."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not is_too_deep(value) else None


def _readable_parts(value: dict[str, Any]) -> _Parts:
    variants = value.get("variants")
    return _Parts(
        **{name: _read(_types()[name], value.get(name)) for name in _Parts.__slots__ if name != "variants"},
        variants=tuple(_read(Variant, item) for item in variants) if isinstance(variants, list) else (),
    )


@cache
def _types() -> Mapping[str, Any]:
    return get_type_hints(Manifest, include_extras=True)


def _read(type_: Any, value: object) -> Any:
    """Read one part; None where it does not follow its type, which is another problem and named already."""
    try:
        return msgspec.convert(value, type=type_)
    except msgspec.ValidationError:
        return None


def _problems_between(parts: _Parts) -> Iterator[Problem]:
    yield from _paths_agree(parts)
    if parts.files is not None:
        yield from _named_files(parts, {entry.path: entry for entry in parts.files})
    if parts.pipeline is not None and parts.validation is not None:
        outputs = {spec.name for spec in parts.pipeline.outputs}
        yield from _of_outputs("/validation/tolerance", parts.validation.tolerance, outputs)
        yield from _of_outputs("/validation/metrics", parts.validation.metrics, outputs)
    yield from fallback_misfits(
        parts.fallback or (),
        outputs=None if parts.pipeline is None else parts.pipeline.outputs,
        variants=[variant.id for variant in parts.variants if variant] if all(parts.variants) else None,
    )
    ids: set[str] = set()
    for i, variant in enumerate(parts.variants):
        if variant is None:
            continue
        where = f"/variants/{i}"
        if parts.name is not None and parts.version is not None:
            yield from _id_says_what_it_is(f"{parts.name}-{parts.version}", variant, where)
        if variant.id in ids:
            yield Problem(pointer=f"{where}/id", expected="expected an id no other variant has", found=variant.id)
        ids.add(variant.id)
        yield from _is_whole(variant, where)
        if parts.pipeline is not None:
            outputs = {spec.name for spec in parts.pipeline.outputs}
            yield from _of_outputs(f"{where}/tolerance", variant.tolerance, outputs)
            yield from _of_outputs(f"{where}/metrics", variant.metrics, outputs)
            yield from misfits(parts.pipeline, variant.inputs, variant.outputs, where)
            yield from _states_are_left_alone(parts.pipeline, variant, where)
        yield from _batching_fits(variant, where)
        yield from _states_fit(variant, where)


def _named_files(parts: _Parts, shared: dict[str, FileEntry]) -> Iterator[Problem]:
    """Whatever names a file of the bundle names one that is listed."""
    if parts.sbom is not None:
        yield from _listed("/sbom", parts.sbom, "sbom", shared)
    if parts.signature is not None:
        yield from _listed("/signature", parts.signature, "signature", shared)
    if parts.validation is not None:
        yield from _listed("/validation/kit", parts.validation.kit, "kit", shared)
    if parts.pipeline is None:
        return
    for kind, steps in (("pre", parts.pipeline.pre), ("post", parts.pipeline.post)):
        for i, step in enumerate(steps):
            for key, role in step.FILES.items():
                if (path := getattr(step, key)) is not None:
                    yield from _listed(f"/pipeline/{kind}/{i}/{key}", path, role, shared)


def _id_says_what_it_is(bundle: str, variant: Variant, where: str) -> Iterator[Problem]:
    """An id is NAME-VERSION-PRECISION-ARCH, and may go on after another dash where that is not enough to tell variants apart."""
    arch = variant.targets.arch[0] if len(variant.targets.arch) == 1 else "any"
    expected = f"{bundle}-{variant.precision}-{arch}"
    if variant.id != expected and not variant.id.startswith(f"{expected}-"):
        yield Problem(pointer=f"{where}/id", expected=f"expected {expected}", found=variant.id)


def _is_whole(variant: Variant, where: str) -> Iterator[Problem]:
    if sum(file.role == "model" for file in variant.files) != 1:
        yield Problem(pointer=f"{where}/files", expected="expected exactly one file with role model")
    for i, file in enumerate(variant.files):
        if file.role not in {"model", "weights"}:
            yield Problem(pointer=f"{where}/files/{i}/role", expected="expected model or weights", found=file.role)
    if variant.runtime.name != RUNTIMES[variant.format]:
        yield Problem(
            pointer=f"{where}/runtime/name",
            expected=f"expected {RUNTIMES[variant.format]}, which runs {variant.format}",
            found=variant.runtime.name,
        )


def _paths_agree(parts: _Parts) -> Iterator[Problem]:
    """One path means one content, no path is also a directory of another, and none takes the manifest's own name."""
    seen: dict[str, str] = {MANIFEST_NAME: ""}
    places = [(f"/files/{i}", entry) for i, entry in enumerate(parts.files or ())]
    for v, variant in enumerate(parts.variants):
        places += [(f"/variants/{v}/files/{i}", entry) for i, entry in enumerate(variant.files if variant else ())]
    for where, entry in places:
        if seen.setdefault(entry.path, entry.sha256) != entry.sha256:
            yield Problem(pointer=f"{where}/path", expected="expected a path no other content has", found=entry.path)
        if (entry.index is not None) != (entry.size > CHUNK_BYTES):
            yield Problem(
                pointer=f"{where}/index", expected=f"expected an index exactly when size is above {CHUNK_BYTES}"
            )
    for where, entry in places:
        if any(str(parent) in seen for parent in PurePosixPath(entry.path).parents):
            yield Problem(
                pointer=f"{where}/path", expected="expected a path that is not below another file", found=entry.path
            )


def _of_outputs(where: str, items: Sequence[Tolerance | MetricLimit | Metric], outputs: set[str]) -> Iterator[Problem]:
    for i, item in enumerate(items):
        if item.output not in outputs:
            yield Problem(pointer=f"{where}/{i}/output", expected=_one_of(outputs), found=item.output)


def _batching_fits(variant: Variant, where: str) -> Iterator[Problem]:
    """Requests can share a run only where every tensor of the model is rows of any number; states belong to one request."""
    if variant.batching is None:
        return
    if variant.state:
        yield Problem(pointer=f"{where}/batching", expected="expected no batching beside state")
    for kind, specs in (("inputs", variant.inputs), ("outputs", variant.outputs)):
        for i, spec in enumerate(specs):
            if spec.shape[:1] != (-1,):
                yield Problem(
                    pointer=f"{where}/{kind}/{i}/shape",
                    expected="expected -1 as first axis, because of batching",
                    found=str(list(spec.shape)),
                )


def _states_fit(variant: Variant, where: str) -> Iterator[Problem]:
    inputs = {spec.name: spec for spec in variant.inputs}
    outputs = {spec.name: spec for spec in variant.outputs}
    seen: set[str] = set()
    for i, state in enumerate(variant.state):
        source, target = outputs.get(state.output), inputs.get(state.input)
        if target is None or state.input in seen:
            yield Problem(
                pointer=f"{where}/state/{i}/input", expected=f"{_one_of(set(inputs))}, each once", found=state.input
            )
        if source is None:
            yield Problem(pointer=f"{where}/state/{i}/output", expected=_one_of(set(outputs)), found=state.output)
        if source and target and (source.dtype, len(source.shape)) != (target.dtype, len(target.shape)):
            yield Problem(
                pointer=f"{where}/state/{i}",
                expected="expected an output and an input of one datatype and rank",
                found=f"{source.dtype} {list(source.shape)} and {target.dtype} {list(target.shape)}",
            )
        if target and target.dtype == "BYTES":
            yield Problem(pointer=f"{where}/state/{i}/input", expected="expected a tensor of numbers", found="BYTES")
        seen.add(state.input)


def _states_are_left_alone(pipeline: Pipeline, variant: Variant, where: str) -> Iterator[Problem]:
    """States come from apps or from their sequence as they are: no step reads or writes one."""
    touched = pipeline.touched
    for i, state in enumerate(variant.state):
        if state.input in touched:
            yield Problem(
                pointer=f"{where}/state/{i}/input",
                expected="expected an input that no step reads or writes",
                found=state.input,
            )


def _listed(pointer: str, path: str, role: Role, shared: dict[str, FileEntry]) -> Iterator[Problem]:
    entry = shared.get(path)
    if entry is None or entry.role != role:
        yield Problem(pointer=pointer, expected=f"expected a path listed in /files with role {role}", found=path)


def _one_of(names: set[str]) -> str:
    return "expected one of " + ", ".join(sorted(names))
