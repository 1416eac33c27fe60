"""The bill of materials of a bundle: CycloneDX 1.6, with the model files as machine-learning-model components.

The same bundle gives the same bytes: references are paths, the serial number is derived from the content, and the time is that of
SOURCE_DATE_EPOCH (reproducible-builds.org) or absent.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from edged.bundle.manifest import FileEntry, Role
from edged.codec import encode_canonical, encode_readable
from edged.files import hash_bytes

SBOM_PATH: Final = "sbom.cdx.json"
# Made once for this purpose; a name-based UUID (RFC 9562, version 5) needs a namespace of its own.
_NAMESPACE: Final = UUID("3e1f2f5c-9a4e-4f0b-8a57-51f6e2a1f8d3")
_KINDS: Final[dict[Role, ComponentType]] = {
    "model": ComponentType.MACHINE_LEARNING_MODEL,
    "kit": ComponentType.DATA,
    "sample": ComponentType.DATA,
}


def make_sbom(
    *, name: str, version: str, licence: str, source: str, files: Sequence[FileEntry], built_unix_s: int | None = None
) -> bytes:
    """List every file of a bundle but the manifest and this list itself, which the manifest pins.

    Args:
        name: The model's name.
        version: The bundle's version.
        licence: The model's licence, an SPDX expression.
        source: Where the model came from.
        files: The files.
        built_unix_s: When it was built, Unix seconds; None leaves the time out.
    """
    entries = sorted(files, key=lambda entry: entry.path)
    content = hash_bytes(encode_canonical([name, version, licence, source, entries]))
    bundle = Component(
        name=name,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"bundle:{name}@{version}",
        description=source,
        licenses=[LicenseExpression(licence)],
    )
    built = datetime.fromtimestamp(built_unix_s or 0, tz=UTC)
    bom = Bom(
        serial_number=uuid5(_NAMESPACE, content),
        metadata=BomMetaData(component=bundle, timestamp=built),
        components=[_component(entry, version, licence) for entry in entries],
    )
    bom.register_dependency(bundle, bom.components)
    document = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    if built_unix_s is None:
        del document["metadata"]["timestamp"]
    return encode_readable(document)


def _component(entry: FileEntry, version: str, licence: str) -> Component:
    return Component(
        name=entry.path,
        version=version,
        type=_KINDS.get(entry.role, ComponentType.FILE),
        bom_ref=f"file:{entry.path}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.sha256)],
        licenses=[LicenseExpression(licence)] if entry.role == "model" else [],
    )
