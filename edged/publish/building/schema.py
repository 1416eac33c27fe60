"""The JSON Schemas of the documents that publishers write and read, generated from the types that read them.

``python3 -m edged.publish.building.schema DIR`` writes all of them, which is how the Debian package comes by them; it imports nothing
but types. A schema carries the rules of each field. Those between fields are in ``edged.bundle.parse``, and in what builds and validates.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edged.bundle.kit import Kit
from edged.bundle.manifest import Manifest
from edged.codec import encode_readable, schema_of
from edged.policy.document import PolicyFile
from edged.publish.building.recipe import Recipe

DOCUMENTS: Final[Mapping[str, tuple[type, str]]] = {
    "manifest": (Manifest, "manifest.json of an edged bundle"),
    "recipe": (Recipe, "Recipe of an edged bundle (TOML), from which edge-publish bundle build makes it"),
    "kit": (Kit, "Validation kit of an edged bundle"),
    "policy": (PolicyFile, "Policy of edged (TOML): rules about requests, with their tests"),
}
"""By name: the type, and a title."""
VERSION: Final = 1
"""Of the schemas; the documents' own ``schema`` keys say the same."""


def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document.

    Raises:
        KeyError: There is no such kind.
    """
    type_, title = DOCUMENTS[name]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:edged:schema:{name}:{VERSION}",
        "title": title,
    }
    return head | schema_of(type_)


def file_name(name: str) -> str:
    """Return what the file of a schema is called."""
    return f"{name}.schema.json"


def main(directory: Path) -> None:
    """Write all schemas into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        (directory / file_name(name)).write_bytes(encode_readable(document_schema(name)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
