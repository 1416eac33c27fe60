"""Build a bundle directory from a recipe.

Files are copied into a directory of their own first; everything the manifest says is then read from the copies, so that it cannot
describe anything else. The finished directory appears under its name by one rename. Same recipe and files, same bytes.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs

from edged.bundle.kit import Kit, Sample
from edged.bundle.manifest import MANIFEST_NAME, FileEntry, Manifest, Role, Validation, Variant, parse_manifest
from edged.codec import decode_json, encode_readable
from edged.errors import BundleError, ManifestError, Problem, UsageError
from edged.files import hash_bytes
from edged.onnx.safety import check_model
from edged.publish.blobs import read_content
from edged.publish.onnx import read_tensors
from edged.publish.recipe import Recipe, RecipeVariant, read_recipe
from edged.publish.sbom import SBOM_PATH, make_sbom
from edged.validation.validate import check_kit

KIT_DIRECTORY: Final = "kit"
KIT_PATH: Final = f"{KIT_DIRECTORY}/kit.json"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file to put into the bundle: a copy of ``source``, or ``data`` where that is given."""

    pointer: str
    """The place in the recipe that asks for it."""
    path: str
    role: Role
    source: Path
    data: bytes | None = None


def variant_id(recipe: Recipe, variant: RecipeVariant) -> str:
    """Return NAME-VERSION-PRECISION-ARCH."""
    return f"{recipe.name}-{recipe.version}-{variant.precision}-{variant.arch}"


def build_bundle(recipe_path: Path, out: Path, *, report: Report, built_unix_s: int | None = None) -> Path:
    """Build the bundle a recipe describes.

    Args:
        recipe_path: The recipe; paths in it are relative to it.
        out: Directory in which ``NAME-VERSION`` is made; one built before is replaced.
        report: Told one line for each step.
        built_unix_s: Time for the bill of materials, Unix seconds; None leaves it out.

    Returns:
        The bundle's directory.

    Raises:
        UsageError: The recipe cannot be read, or the place is taken by something that is not a bundle.
        ManifestError: The recipe, the kit, or the two together are wrong; every problem is named.
        UnsafeModelError: A model asks for something no model may do.
        ModelLoadError: ONNX Runtime cannot load a model.
        BundleError: A model takes or gives something other than tensors, or the kit does not fit the pipeline.
    """
    recipe = read_recipe(recipe_path)
    items = _collect(recipe, recipe_path)
    name = f"{recipe.name}-{recipe.version}"
    target = out / name
    if target.exists() and not (target / MANIFEST_NAME).is_file():
        raise UsageError(f"{target} is in the way and is not a bundle", hint="Name another directory with --out.")
    staging = out / f".{name}.new"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        for item in items:
            if item.role != "sample":
                report(f"add {item.path}")
            _stage(item, staging)
        report(f"add {sum(item.role == 'sample' for item in items)} samples")
        entries = {item.path: _entry(item.path, item.role, staging) for item in items}
        manifest = _describe(recipe, entries, staging, report=report, built_unix_s=built_unix_s)
        document = encode_readable(manifest)
        parse_manifest(document, source=str(recipe_path))
        kit = decode_json(Kit, (staging / KIT_PATH).read_bytes(), source=KIT_PATH, error=ManifestError)
        check_kit(kit, manifest, source=str(recipe_path.parent / recipe.validation.kit))
        (staging / MANIFEST_NAME).write_bytes(document)
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    report(f"built {target}")
    return target


def _collect(recipe: Recipe, recipe_path: Path) -> list[Item]:
    """List the files a recipe asks for; problems with any of them are reported together."""
    base = recipe_path.parent
    items = [
        Item(
            pointer=f"/variants/{i}/model", path=_model_path(recipe, variant), role="model", source=base / variant.model
        )
        for i, variant in enumerate(recipe.variants)
    ]
    items += [
        Item(pointer=f"/files/{i}/source", path=file.path, role=file.role, source=base / file.source)
        for i, file in enumerate(recipe.files)
    ]
    problems: list[Problem] = []
    try:
        items += _kit_items(base / recipe.validation.kit)
    except ManifestError as exc:
        problems += exc.problems
    for item in items:
        if item.data is None and not item.source.is_file():
            problems.append(Problem(pointer=item.pointer, expected="expected a file", found=str(item.source)))
    problems += _clashes(items)
    if problems:
        raise ManifestError(str(recipe_path), problems)
    return items


def _kit_items(path: Path) -> Iterator[Item]:
    document = path / "kit.json" if path.is_dir() else path
    pointer = "/validation/kit"
    try:
        data = document.read_bytes()
    except OSError as exc:
        raise ManifestError(
            str(path), [Problem(pointer=pointer, expected="expected a readable kit", found=str(document))]
        ) from exc
    try:
        kit = decode_json(Kit, data, source=str(document), error=ManifestError)
    except ManifestError as exc:
        # The recipe's other problems are listed beside these, so each says which document it is in.
        raise ManifestError(
            str(path),
            [Problem(pointer=f"{document}{p.pointer}", expected=p.expected, found=p.found) for p in exc.problems],
        ) from exc
    rewritten = encode_readable(structs.replace(kit, samples=tuple(_moved(sample) for sample in kit.samples)))
    yield Item(pointer=pointer, path=KIT_PATH, role="kit", source=document, data=rewritten)
    for file in sorted({path for sample in kit.samples for path in sample.files}):
        yield Item(pointer=pointer, path=f"{KIT_DIRECTORY}/{file}", role="sample", source=document.parent / file)


def _moved(sample: Sample) -> Sample:
    """Return a sample whose files are below the bundle's directory for the kit."""
    inputs = tuple(
        item if item.file is None else structs.replace(item, file=f"{KIT_DIRECTORY}/{item.file}")
        for item in sample.inputs
    )
    path = None if sample.input is None else f"{KIT_DIRECTORY}/{sample.input}"
    return structs.replace(sample, input=path, inputs=inputs)


def _clashes(items: list[Item]) -> Iterator[Problem]:
    """Two files cannot have one path, and no path can be a directory of another."""
    taken = {MANIFEST_NAME: "", SBOM_PATH: ""}
    for item in items:
        if item.path in taken:
            yield Problem(
                pointer=item.pointer, expected="expected a path in the bundle that nothing else has", found=item.path
            )
        taken[item.path] = item.pointer
    for item in items:
        if any(str(parent) in taken for parent in Path(item.path).parents):
            yield Problem(
                pointer=item.pointer, expected="expected a path in the bundle that is not below a file", found=item.path
            )


def _stage(item: Item, staging: Path) -> None:
    target = staging / item.path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if item.data is None:
            shutil.copyfile(item.source, target)
        else:
            target.write_bytes(item.data)
    except OSError as exc:
        raise BundleError(f"cannot copy {item.source} to {target}: {exc.strerror}") from exc


def _entry(path: str, role: Role, staging: Path) -> FileEntry:
    content = read_content(staging / path)
    index = None if content.index is None else hash_bytes(content.index)
    return FileEntry(path=path, role=role, sha256=content.digest, size=content.size, index=index)


def _describe(
    recipe: Recipe, entries: dict[str, FileEntry], staging: Path, *, report: Report, built_unix_s: int | None
) -> Manifest:
    provenance = recipe.provenance
    variants = tuple(_variant(recipe, variant, entries, staging, report) for variant in recipe.variants)
    report(f"add {SBOM_PATH}")
    sbom = make_sbom(
        name=recipe.name,
        version=recipe.version,
        licence=provenance.licence,
        source=provenance.source,
        files=list(entries.values()),
        built_unix_s=built_unix_s,
    )
    (staging / SBOM_PATH).write_bytes(sbom)
    shared = [entry for entry in entries.values() if entry.role != "model"]
    shared.append(_entry(SBOM_PATH, "sbom", staging))
    return Manifest(
        schema=1,
        name=recipe.name,
        version=recipe.version,
        min_edged=recipe.min_edged,
        variants=variants,
        files=tuple(sorted(shared, key=lambda entry: entry.path)),
        pipeline=recipe.pipeline,
        validation=Validation(kit=KIT_PATH, tolerance=recipe.validation.tolerance),
        fallback=recipe.fallback,
        sbom=SBOM_PATH,
        provenance=provenance,
    )


def _variant(
    recipe: Recipe, variant: RecipeVariant, entries: dict[str, FileEntry], staging: Path, report: Report
) -> Variant:
    path = _model_path(recipe, variant)
    report(f"read {path}")
    data = (staging / path).read_bytes()
    check_model(data)
    inputs, outputs = read_tensors(data)
    return Variant(
        id=variant_id(recipe, variant),
        tier=variant.tier,
        precision=variant.precision,
        format=variant.format,
        files=(entries[path],),
        targets=variant.targets,
        runtime=variant.runtime,
        inputs=inputs,
        outputs=outputs,
        budget=variant.budget,
        session=variant.session,
        batching=variant.batching,
        state=variant.state,
    )


def _model_path(recipe: Recipe, variant: RecipeVariant) -> str:
    return f"models/{variant_id(recipe, variant)}.{variant.format}"
