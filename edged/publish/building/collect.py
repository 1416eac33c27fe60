"""Which files a recipe asks for, and where each of them goes in the bundle; what is wrong with them is told all at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs

from edged.bundle.kit import KIT_NAME, Kit
from edged.bundle.manifest import MANIFEST_NAME, Role
from edged.codec import decode_json, encode_readable, repeated_keys
from edged.errors import BundleError, ManifestError, Problem
from edged.publish.building.naming import same_names, variant_ids
from edged.publish.building.recipe import Recipe, RecipeVariant
from edged.publish.building.sbom import SBOM_PATH
from edged.publish.formats import ModelFile, describe

KIT_DIRECTORY: Final = "kit"
KIT_PATH: Final = f"{KIT_DIRECTORY}/{KIT_NAME}"
SIGNATURE_PATH: Final = "model.sig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file to put into the bundle: a copy of ``source``, or ``data`` where that is given."""

    pointer: str
    """The place in the recipe that asks for it."""
    path: str
    role: Role
    source: Path
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFiles:
    """The files of one variant."""

    id: str
    path: str
    """What the runtime is given: the model's file, or the directory that it is."""
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The files of a bundle, without those that building makes."""

    variants: tuple[VariantFiles, ...]
    """In the recipe's order."""
    shared: tuple[Item, ...]

    @property
    def items(self) -> Sequence[Item]:
        """All of them."""
        return [*(item for variant in self.variants for item in variant.items), *self.shared]


def collect(recipe: Recipe, recipe_path: Path) -> Collection:
    """List the files a recipe asks for.

    Raises:
        ManifestError: Files are missing, are not what they should be, or have one place; every problem is named.
    """
    base = recipe_path.parent
    alike = list(same_names(recipe))
    problems = [*_contradictions(recipe), *alike]
    variants = []
    for i, (id_, variant) in enumerate(zip(variant_ids(recipe), recipe.variants, strict=True)):
        try:
            variants.append(_variant_files(id_, variant, base, f"/variants/{i}/model"))
        except BundleError as exc:
            problems.append(Problem(pointer=f"/variants/{i}/model", expected=exc.message))
    shared = [
        Item(pointer=f"/files/{i}/source", path=file.path, role=file.role, source=base / file.source)
        for i, file in enumerate(recipe.files)
    ]
    if recipe.signature is not None:
        source = base / recipe.signature
        shared.append(Item(pointer="/signature", path=SIGNATURE_PATH, role="signature", source=source))
    try:
        shared += _kit_items(base / recipe.validation.kit)
    except ManifestError as exc:
        problems += exc.problems
    found = Collection(variants=tuple(variants), shared=tuple(shared))
    for item in found.items:
        if item.data is None and not _is_file(item.source):
            problems.append(Problem(pointer=item.pointer, expected="expected a file", found=str(item.source)))
    if not alike:  # else their files have one place, which says nothing new
        problems += _clashes(found.items)
    if problems:
        raise ManifestError(str(recipe_path), list(dict.fromkeys(problems)))
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system takes
        return False


def _contradictions(recipe: Recipe) -> Iterator[Problem]:
    """Check the rules between the fields of a recipe that its manifest would not have."""
    for i, variant in enumerate(recipe.variants):
        where = f"/variants/{i}"
        if variant.format != "onnx" and variant.runtime is None:
            yield Problem(
                pointer=f"{where}/runtime", expected=f"expected the versions that run format {variant.format}"
            )
        if variant.format == "onnx" and (variant.inputs or variant.outputs):
            yield Problem(
                pointer=f"{where}/{'inputs' if variant.inputs else 'outputs'}",
                expected="expected none, because an ONNX model says itself which tensors it has",
            )
    if recipe.provenance.training_config and recipe.provenance.training_config_sha256:
        yield Problem(
            pointer="/provenance/training_config_sha256", expected="expected either this or training_config, not both"
        )


def _variant_files(id_: str, variant: RecipeVariant, base: Path, pointer: str) -> VariantFiles:
    source = base / variant.model
    # That an ONNX model is one is found out from its copy, once; a missing file is found by the caller.
    if variant.format == "onnx" or not source.exists():
        files: Sequence[ModelFile] = [ModelFile(source=source, name=f".{variant.format}", role="model")]
    else:
        files = describe(source, variant.format).files
    items = [
        Item(pointer=pointer, path=f"models/{id_}{file.name}", role=file.role, source=file.source) for file in files
    ]
    return VariantFiles(id=id_, path=f"models/{id_}{files[0].name.partition('/')[0]}", items=tuple(items))


def _kit_items(path: Path) -> Iterator[Item]:
    document = kit_document(path)
    pointer = "/validation/kit"
    try:
        data = document.read_bytes()
    except OSError as exc:
        raise ManifestError(
            str(path), [Problem(pointer=pointer, expected="expected a readable kit", found=str(document))]
        ) from exc
    try:
        kit = decode_json(Kit, data, source=str(document), error=ManifestError)
        if problems := repeated_keys(data):
            raise ManifestError(str(document), problems)  # noqa: TRY301 - told like the others
    except ManifestError as exc:
        # The recipe's other problems are listed beside these, so each says which document it is in.
        raise ManifestError(
            str(path),
            [Problem(pointer=f"{document}{p.pointer}", expected=p.expected, found=p.found) for p in exc.problems],
        ) from exc
    rewritten = encode_readable(
        structs.replace(kit, samples=tuple(sample.below(KIT_DIRECTORY) for sample in kit.samples))
    )
    yield Item(pointer=pointer, path=KIT_PATH, role="kit", source=document, data=rewritten)
    for file in sorted({path for sample in kit.samples for path in sample.files}):
        yield Item(pointer=pointer, path=f"{KIT_DIRECTORY}/{file}", role="sample", source=document.parent / file)


def kit_document(path: Path) -> Path:
    """Return the kit's document, which a recipe may name by its directory."""
    return path / KIT_NAME if path.is_dir() else path


def _clashes(items: Sequence[Item]) -> Iterator[Problem]:
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
