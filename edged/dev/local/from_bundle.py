"""Takes a bundle as ``edge-publish bundle build`` makes it, under a version of its own: nobody has signed it, and it may be built anew."""

from pathlib import Path

from msgspec import structs

from edged.bundle.edgeb import unpack
from edged.bundle.fallback import SmallerVariant
from edged.bundle.manifest import MANIFEST_NAME, Manifest
from edged.bundle.parse import parse_manifest
from edged.codec import encode_readable
from edged.ids import Version
from edged.onnx.safety import check_model


def bundle_from_packed(packed: Path, directory: Path, *, version: Version) -> Manifest:
    """Unpack a bundle.

    Args:
        packed: As one file.
        directory: Of the bundle; must not exist.
        version: That it gets.

    Returns:
        Its manifest, which has that version.

    Raises:
        EdgedError: It is no bundle, it has a model that no device would load, or its version is too long for what is added to it.
    """
    manifest = renamed(unpack(packed, directory), version)
    for variant in manifest.variants:
        if variant.format == "onnx":
            check_model((directory / variant.model_file.path).read_bytes())
    document = encode_readable(manifest)
    parse_manifest(document, source=str(packed))
    (directory / MANIFEST_NAME).write_bytes(document)
    return manifest


def renamed(manifest: Manifest, version: Version) -> Manifest:
    """Return a manifest with another version, which ids of variants have in them, too."""
    before, after = (f"{manifest.name}-{each}-" for each in (manifest.version, version))

    def id_of(variant: str) -> str:
        return after + variant.removeprefix(before)

    return structs.replace(
        manifest,
        version=str(version),
        variants=tuple(structs.replace(variant, id=id_of(variant.id)) for variant in manifest.variants),
        fallback=tuple(
            structs.replace(rule, variant=id_of(rule.variant))
            if isinstance(rule, SmallerVariant) and rule.variant is not None
            else rule
            for rule in manifest.fallback
        ),
    )
