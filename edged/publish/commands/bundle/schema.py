"""``edge-publish bundle schema``: print the JSON Schema of a manifest, a recipe, a kit or a policy."""

import argparse
import sys

from edged.codec import encode_readable
from edged.publish.building.schema import DOCUMENTS, document_schema
from edged.publish.commands.options.verb import Verbs, add_verb

TEXT = """\
Print the JSON Schema (2020-12) of a document, as editors and other tools use it; the package has the same in /usr/share/edged/schema. It
says what each field may be. How fields have to fit together is checked by bundle build and bundle validate.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "schema",
        summary="print the JSON Schema of a manifest, a recipe, a kit or a policy",
        text=TEXT,
        example="edge-publish bundle schema recipe > recipe.schema.json",
    )
    parser.add_argument("document", choices=sorted(DOCUMENTS), help="which document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the schema."""
    sys.stdout.write(encode_readable(document_schema(args.document)).decode())
