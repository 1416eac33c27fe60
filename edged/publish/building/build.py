"""Build a bundle directory from a recipe.

Files are copied into a directory of their own first; everything the manifest says is then read from the copies, so that it cannot
describe anything else. Models and steps are tried as a worker prepares them, so that what no device could load is not built. The finished
directory appears under its name by one rename. Same recipe and files, same bytes.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edged.bundle.kit import Kit
from edged.bundle.manifest import MANIFEST_NAME, FileEntry, Manifest, Provenance, Role, Validation, Variant
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json, encode_readable
from edged.errors import BackendError, BundleError, ManifestError, Problem, UsageError
from edged.files import hash_bytes, hash_file
from edged.pipeline.kernels import compile_stage
from edged.pipeline.spec import TensorSpec
from edged.publish.building.collect import KIT_PATH, SIGNATURE_PATH, Collection, Item, VariantFiles, collect
from edged.publish.building.making import describe_making
from edged.publish.building.model_signature import check_signature, read_signature
from edged.publish.building.recipe import ONNX_RUNTIME, Recipe, RecipeVariant, read_recipe
from edged.publish.building.sbom import SBOM_PATH, make_sbom
from edged.publish.building.sidecar import Sidecar, read_sidecar
from edged.publish.formats import describe
from edged.publish.repository.blobs import read_content
from edged.publish.secrets import refuse_secrets
from edged.quantities import bytes_text
from edged.validation.fit import check_kit
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.graphs import Graphs

Report = Callable[[str], None]
GIB: Final = 1 << 30


def build_bundle(
    recipe_path: Path,
    out: Path,
    *,
    report: Report,
    built_unix_s: int | None = None,
    allowed_secrets: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Build the bundle a recipe describes.

    Args:
        recipe_path: The recipe; paths in it are relative to it.
        out: Directory in which ``NAME-VERSION`` is made; one built before is replaced.
        report: Told one line for each step.
        built_unix_s: Time for the bill of materials, Unix seconds; None leaves it out.
        allowed_secrets: Reasons by the fingerprints of findings that are no secrets; see ``edged.publish.secrets``.

    Returns:
        The bundle's directory.

    Raises:
        UsageError: The recipe cannot be read, or the place is taken by something that is not a bundle.
        ManifestError: The recipe, the kit, or the two together are wrong; every problem is named.
        UnsafeModelError: A model asks for something no model may do.
        ModelLoadError: ONNX Runtime cannot load a model.
        SecretFoundError: Something in a file looks like a secret.
        BundleError: A model takes or gives something other than tensors, or the kit does not fit the pipeline.
    """
    recipe = read_recipe(recipe_path)
    files = collect(recipe, recipe_path)
    name = f"{recipe.name}-{recipe.version}"
    target = out / name
    if target.exists() and not (target / MANIFEST_NAME).is_file():
        raise UsageError(f"{target} is in the way and is not a bundle", hint="Name another directory with --out.")
    staging = out / f".{name}.new"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _stage(files.items, staging, report)
        manifest = _describe(recipe, recipe_path, files, staging, report=report, built_unix_s=built_unix_s)
        document = encode_readable(manifest)
        parse_manifest(document, source=str(recipe_path))
        _try_out(recipe, recipe_path, manifest, staging, report)
        (staging / MANIFEST_NAME).write_bytes(document)
        refuse_secrets(staging, manifest, report=report, allowed=allowed_secrets)
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    report(f"built {target}")
    return target


def _stage(items: Sequence[Item], staging: Path, report: Report) -> None:
    """Copy the files."""
    for item in items:
        if item.role != "sample":
            report(f"add {item.path}")
        target = staging / item.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if item.data is None:
                shutil.copyfile(item.source, target)
            else:
                target.write_bytes(item.data)
        except OSError as exc:
            raise BundleError(f"cannot copy {item.source} to {target}: {exc.strerror}") from exc
    report(f"add {sum(item.role == 'sample' for item in items)} samples")


def _entry(path: str, role: Role, staging: Path) -> FileEntry:
    content = read_content(staging / path)
    index = None if content.index is None else hash_bytes(content.index)
    return FileEntry(path=path, role=role, sha256=content.digest, size=content.size, index=index)


def _describe(
    recipe: Recipe, recipe_path: Path, files: Collection, staging: Path, *, report: Report, built_unix_s: int | None
) -> Manifest:
    """Say everything about the copies that the manifest says."""
    provenance = _provenance(recipe, recipe_path, files)
    variants = _variants(recipe, recipe_path.parent, files.variants, staging, report)
    shared = [_entry(item.path, item.role, staging) for item in files.shared]
    report(f"add {SBOM_PATH}")
    sbom = make_sbom(
        name=recipe.name,
        version=recipe.version,
        provenance=provenance,
        variants=variants,
        files=shared,
        tools=provenance.making.tools if provenance.making else {},
        built_unix_s=built_unix_s,
    )
    (staging / SBOM_PATH).write_bytes(sbom)
    shared.append(_entry(SBOM_PATH, "sbom", staging))
    return Manifest(
        schema=1,
        name=recipe.name,
        version=recipe.version,
        min_edged=recipe.min_edged,
        variants=variants,
        files=tuple(sorted(shared, key=lambda entry: entry.path)),
        pipeline=recipe.pipeline,
        validation=Validation(kit=KIT_PATH, tolerance=recipe.validation.tolerance, metrics=recipe.validation.metrics),
        fallback=recipe.fallback,
        sbom=SBOM_PATH,
        signature=None if recipe.signature is None else SIGNATURE_PATH,
        provenance=provenance,
    )


def _provenance(recipe: Recipe, recipe_path: Path, files: Collection) -> Provenance:
    given = recipe.provenance
    training = given.training_config_sha256
    if given.training_config is not None:
        training, _ = hash_file(recipe_path.parent / given.training_config)
    return Provenance(
        source=given.source,
        licence=given.licence,
        supplier=given.supplier,
        training_config_sha256=training,
        making=describe_making(recipe, recipe_path, files),
    )


def _variants(
    recipe: Recipe, base: Path, files: Sequence[VariantFiles], staging: Path, report: Report
) -> tuple[Variant, ...]:
    """Describe the variants by their copies; what a file does not say, the first ONNX model says.

    Raises:
        ManifestError: Nobody says it.
    """
    described = []
    for own, variant in zip(files, recipe.variants, strict=True):
        report(f"read {own.path}")
        if (least := variant.targets.min_memory_bytes) and not least % GIB:
            report(f"note: {own.id} asks for {bytes_text(least)} of memory; machines sold with that much report less")
        described.append(describe(staging / own.path, variant.format))
    reference = next((d for d, v in zip(described, recipe.variants, strict=True) if v.format == "onnx"), None)
    made = []
    problems = []
    for i, (own, variant, found) in enumerate(zip(files, recipe.variants, described, strict=True)):
        inputs = variant.inputs or found.inputs or (reference and reference.inputs)
        outputs = variant.outputs or found.outputs or (reference and reference.outputs)
        if not inputs or not outputs:
            problems.append(
                Problem(
                    pointer=f"/variants/{i}/inputs",
                    expected=f"expected inputs and outputs, which {variant.model} does not say",
                )
            )
            continue
        source = base / variant.model
        made.append(
            _variant(variant, own, inputs, outputs, staging, read_sidecar(source) if source.is_file() else None)
        )
    if problems:
        raise ManifestError("the recipe", problems)
    return tuple(made)


def _variant(
    variant: RecipeVariant,
    own: VariantFiles,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    staging: Path,
    sidecar: Sidecar | None,
) -> Variant:
    return Variant(
        id=own.id,
        tier=variant.tier,
        precision=variant.precision,
        format=variant.format,
        files=tuple(_entry(item.path, item.role, staging) for item in own.items),
        targets=variant.targets,
        runtime=variant.runtime or ONNX_RUNTIME,
        inputs=inputs,
        outputs=outputs,
        budget=variant.budget,
        session=variant.session,
        batching=variant.batching,
        state=variant.state,
        tolerance=variant.tolerance,
        metrics=sidecar.metrics if sidecar else (),
        origin=sidecar.origin if sidecar else None,
    )


def _try_out(recipe: Recipe, recipe_path: Path, manifest: Manifest, staging: Path, report: Report) -> None:
    """Do with the copies what devices will: read the kit, prepare the steps. And see that the signature is about these models."""
    kit = decode_json(Kit, (staging / KIT_PATH).read_bytes(), source=KIT_PATH, error=ManifestError)
    check_kit(kit, manifest, source=str(recipe_path.parent / recipe.validation.kit))
    graphs = Graphs(OnnxRuntime())
    for kind, steps in (("pre", manifest.pipeline.pre), ("post", manifest.pipeline.post)):
        for i, step in enumerate(steps):
            if step.files:
                report(f"prepare {', '.join(step.files)}")
            contents = {path: (staging / path).read_bytes() for path in step.files}
            try:
                compile_stage([step], contents, graphs.load)
            except (BundleError, BackendError) as exc:
                where = f"/pipeline/{kind}/{i}"
                raise type(exc)(f"{recipe_path}: {where}: {exc.message}", hint=exc.hint) from exc
    if manifest.signature is not None:
        path = staging / manifest.signature
        models = [file.sha256 for variant in manifest.variants for file in variant.files]
        check_signature(read_signature(path), models, source=str(recipe_path.parent / (recipe.signature or "")))
