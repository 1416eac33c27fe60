"""How a bundle was built, as it says itself: enough to build it again and to see that it is the same.

Only what shapes the bytes is recorded, so that the same recipe and files give the same bytes on every machine: edged's version, the
command without the places that machine has, and the digest of each file that went in. Samples of the kit are left out: they come into the
bundle as they are, and the manifest has their digests.
"""

from pathlib import Path

from edged import __version__
from edged.bundle.manifest import Ingredient, Making
from edged.files import hash_file
from edged.publish.building.collect import Collection, kit_document
from edged.publish.building.recipe import Recipe
from edged.publish.building.sidecar import sidecar_path


def describe_making(recipe: Recipe, recipe_path: Path, files: Collection) -> Making:
    """Describe how the bundle of a recipe is built.

    Args:
        recipe: What is built.
        recipe_path: Where it was read.
        files: What it asks for.

    Raises:
        OSError: A file cannot be read.
    """
    base = recipe_path.parent
    named = [recipe_path.name, *(file.source for file in recipe.files), *(variant.model for variant in recipe.variants)]
    named += [text for text in (recipe.signature, recipe.provenance.training_config) if text is not None]
    sources = {text: base / text for text in named}
    sources |= {str(sidecar_path(Path(text))): sidecar_path(path) for text, path in sources.items()}
    for variant, own in zip(recipe.variants, files.variants, strict=True):
        model = Path(variant.model)  # a directory, or one of several files beside each other
        for item in own.items:
            sources[str(model.parent / item.source.relative_to((base / model).parent))] = item.source
    kit = Path(recipe.validation.kit)
    document = kit_document(base / kit)
    sources[str(kit if document == base / kit else kit / document.name)] = document
    found = {
        Ingredient(name=_shown(text), sha256=hash_file(path)[0]) for text, path in sources.items() if path.is_file()
    }
    return Making(
        tools={"edged": __version__},
        command=f"edge-publish bundle build {recipe_path.name}",
        inputs=tuple(sorted(found, key=lambda item: (item.name, item.sha256))),
    )


def _shown(text: str) -> str:
    """Return what a file is called in the recipe, without where it lies on this machine."""
    path = Path(text)
    return (path.name if path.is_absolute() else path.as_posix())[-255:]
