"""What is known of a model file that the file itself cannot say: ``MODEL.origin.json`` beside it.

Written by ``edge-publish quantize`` and ``convert``, or by whoever trains models, and read when a bundle is built. It names the file
by its SHA-256, so that it cannot be taken for what was said of an earlier file of the same name.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.bundle.manifest import Metric, Origin, Sha256
from edged.codec import Document, decode_json, encode_readable
from edged.errors import ManifestError, Problem
from edged.files import hash_file, read_limited, replace_durably

SUFFIX: Final = ".origin.json"
MAX_BYTES: Final = 1 << 20


class Sidecar(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Where a model file came from, and how it was found to be."""

    schema: Literal[1]
    sha256: Sha256
    """Of the model file."""
    origin: Origin
    metrics: Annotated[tuple[Metric, ...], msgspec.Meta(max_length=16)] = ()


def sidecar_path(model: Path) -> Path:
    """Return where the sidecar of a model file is."""
    return model.with_name(model.name + SUFFIX)


def read_sidecar(model: Path) -> Sidecar | None:
    """Read what is said of a model file; None where nothing is.

    Raises:
        ManifestError: The sidecar does not follow its type, or is of another file.
        OSError: One of the two cannot be read.
    """
    path = sidecar_path(model)
    if not path.exists():
        return None
    sidecar = decode_json(Sidecar, read_limited(path, max_bytes=MAX_BYTES), source=str(path), error=ManifestError)
    found, _ = hash_file(model)
    if found != sidecar.sha256:
        raise ManifestError(
            str(path),
            [
                Problem(
                    pointer="/sha256", expected=f"expected {found}, the SHA-256 of {model.name}", found=sidecar.sha256
                )
            ],
            hint=f"It is of another file; make {model.name} again, or remove {path.name}.",
        )
    return sidecar


def write_sidecar(model: Path, *, origin: Origin, metrics: tuple[Metric, ...] = ()) -> Path:
    """Write what is known of a model file beside it, replacing what was said before, and return where.

    Raises:
        ManifestError: Something is longer or larger than its type allows.
        OSError: The file cannot be read, or the sidecar not be written.
    """
    digest, _ = hash_file(model)
    path = sidecar_path(model)
    data = encode_readable(Sidecar(schema=1, sha256=digest, origin=origin, metrics=metrics))
    decode_json(Sidecar, data, source=str(path), error=ManifestError)
    replace_durably(path, data)
    return path
