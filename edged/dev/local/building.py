"""The process that makes a bundle of one model and puts it into the store; ``edged dev`` starts it once for each change.

What came of it is a document on standard output. A model that is the newest local version already is not made again.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edged.bundle.edgeb import SUFFIX, read_packed_manifest
from edged.bundle.manifest import Manifest
from edged.cli.exits import run_command
from edged.codec import Document, encode_canonical
from edged.dev.local.examples import write_example
from edged.dev.local.from_bundle import bundle_from_packed, renamed
from edged.dev.local.placing import newest_manifest, put, remove_old, versions_of
from edged.dev.local.versions import FIRST, is_local_of, local_version, next_number
from edged.errors import BackendError, BundleError, DocumentError, UsageError
from edged.files import hash_file
from edged.ids import ModelName
from edged.store.layout import StoreLayout

MODULE: Final = "edged.dev.local.building"
_HINT: Final = "Export it with the standard's operators (ai.onnx, ai.onnx.ml), of a version that this ONNX Runtime has."


class Built(Document, frozen=True, kw_only=True):
    """What is in the store now."""

    version: str
    commands: tuple[str, ...]
    """That ask the model."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make one bundle."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="Make a bundle of a developer's model.")
    parser.add_argument("model", type=ModelName, help="its name")
    parser.add_argument("copy", type=Path, help="of the file, which is used up")
    parser.add_argument("source", help="what the developer calls the file")
    for name in ("--place", "--store", "--in-use", "--socket"):
        parser.add_argument(name, type=Path, required=True)
    arguments = parser.parse_args(argv)
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    layout, model = StoreLayout(arguments.store), arguments.model
    directory = arguments.place / f"{model}.new"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        manifest = _unchanged(layout, model, arguments.copy) or _make(layout, model, arguments, directory)
    except DocumentError as exc:
        # It names what it is about: a file inside, or the copy, of which the developer knows nothing.
        source = exc.source.replace(str(arguments.copy), arguments.source)
        raise type(exc)(source, exc.problems, hint=exc.hint) from exc
    except (BundleError, BackendError) as exc:
        raise type(exc)(f"{arguments.source}: {exc.message}", hint=exc.hint or _HINT) from exc
    finally:
        arguments.copy.unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)  # what was put into the store is here no more
    bundle = layout.bundle(model, manifest.semver)
    commands = write_example(bundle, manifest, place=arguments.place, socket=arguments.socket)
    remove_old(layout, model, in_use=arguments.in_use)
    sys.stdout.write(encode_canonical(Built(version=manifest.version, commands=tuple(commands))).decode())


def _unchanged(layout: StoreLayout, model: ModelName, copy: Path) -> Manifest | None:
    """Return the manifest of the newest local version if that is what would be made now."""
    last = newest_manifest(layout, model)
    if last is None:
        return None
    if copy.suffix == SUFFIX:
        given = read_packed_manifest(copy)
        is_same = renamed(given, last.semver) == last and is_local_of(last.semver, given.semver)
    else:
        from edged.dev.local.from_onnx import made_by  # noqa: PLC0415 - see _make

        is_same = last.provenance.supplier == made_by() and last.variants[0].model_file.digest == hash_file(copy)[0]
    return last if is_same else None


def _make(layout: StoreLayout, model: ModelName, arguments: argparse.Namespace, directory: Path) -> Manifest:
    number = next_number(versions_of(layout, model))
    if arguments.copy.suffix == SUFFIX:
        given = read_packed_manifest(arguments.copy)
        if given.name != model:
            raise UsageError(
                f"{arguments.source} is a bundle of model {given.name}", hint=f"Say --model {given.name}=... for it."
            )
        manifest = bundle_from_packed(arguments.copy, directory, version=local_version(given.semver, number))
    else:
        # Imported here: the runtime takes half a second to load.
        from edged.dev.local.from_onnx import bundle_from_onnx  # noqa: PLC0415 - see above

        version = local_version(FIRST, number)
        manifest = bundle_from_onnx(arguments.copy, directory, name=model, version=version, source=arguments.source)
    put(directory, layout, manifest)
    return manifest


if __name__ == "__main__":
    sys.exit(main())
