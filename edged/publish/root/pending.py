"""Root metadata that waits for signatures, in a directory beside the repository: ``NAME.pending/``.

Holders of root keys need not be in one room. ``N.root.json`` says what is to be signed; each holder signs a copy of it anywhere, with no
network, and hands back a small file that ends in ``.sig``. Putting these files into the directory is all it takes: a signature that is
not good for exactly these bytes by a key this root names is refused, so they may travel by any way.

The directory is outside the repository because a host offers everything in there, and nothing of this is published before it is whole.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature, Signer
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from edged.codec import Document, decode_json, encode_readable
from edged.errors import SignatureInvalidError, TrustError, UsageError
from edged.files import hash_bytes, read_limited, replace_durably, sync_directory

SIGNATURE_SUFFIX: Final = ".sig"
MAX_ROOT_BYTES: Final = 1 << 20
MAX_SIGNATURE_BYTES: Final = 1 << 14
_SERIALIZER: Final = JSONSerializer(compact=True)
_ROOT_NAME: Final = re.compile(r"[1-9][0-9]{0,8}\.root\.json")


class RootSignature(Document, frozen=True, kw_only=True):
    """What the holder of a root key hands back."""

    schema: Literal[1]
    root_sha256: str
    """Of the file that was signed, so that a signature of another root is told from a broken one."""
    keyid: str
    sig: str


def parse_root(data: bytes, path: Path) -> Metadata[Root]:
    """Read root metadata, signed or not.

    Raises:
        TrustError: It is not root metadata.
    """
    try:
        metadata: Metadata[Root] = Metadata.from_bytes(data)
    except DeserializationError as exc:
        raise TrustError(f"{path} is not TUF metadata", hint="Copy the file again.") from exc
    if not isinstance(metadata.signed, Root):
        raise TrustError(f"{path} is not root metadata", hint="The file to sign is named N.root.json.")
    return metadata


def read_root_file(path: Path) -> tuple[bytes, Metadata[Root]]:
    """Read a file of root metadata, as bytes and parsed.

    Raises:
        UsageError: There is no such file.
        TrustError: It is not root metadata.
        StoreError: It is too large for it.
        OSError: It cannot be read.
    """
    try:
        data = read_limited(path, max_bytes=MAX_ROOT_BYTES)
    except FileNotFoundError as exc:
        raise UsageError(f"there is no file {path}", hint="The file to sign is named N.root.json.") from exc
    return data, parse_root(data, path)


def sign_root_file(path: Path, signer: Signer, target: Path | None = None) -> Path:
    """Sign a copy of the pending root with one key, and return the file to hand back.

    Args:
        path: The copy.
        signer: Its key must be one that this root names.
        target: Where the signature goes; beside ``path``, by a name of its own, when not given.

    Raises:
        UsageError: This root does not name the key; or as ``read_root_file``.
        OSError: The signature cannot be written.
    """
    data, metadata = read_root_file(path)
    target = target or path.parent / signature_name(metadata.signed, signer.public_key.keyid)
    replace_durably(target, encode_readable(make_signature(data, metadata, signer)))
    return target


def signature_name(root: Root, keyid: str) -> str:
    """Return the name of a signature's file: readable, and another for each key."""
    return f"{root.version}.root.{keyid[:16]}{SIGNATURE_SUFFIX}"


def make_signature(data: bytes, metadata: Metadata[Root], signer: Signer) -> RootSignature:
    """Sign root metadata with one of the keys that it names.

    Raises:
        UsageError: It does not name this key.
    """
    keyid = signer.public_key.keyid
    if keyid not in metadata.signed.roles[Root.type].keyids:
        raise UsageError(
            f"the key {keyid} is none of the root keys in version {metadata.signed.version} of the root",
            hint="Use the key whose ID this root shows: edge-publish root show FILE.",
        )
    return RootSignature(
        schema=1, root_sha256=hash_bytes(data), keyid=keyid, sig=signer.sign(metadata.signed_bytes).signature
    )


@dataclass(frozen=True, slots=True)
class PendingRoot:
    """The directory beside one repository."""

    directory: Path

    @classmethod
    def beside(cls, repository: Path) -> "PendingRoot":
        """Return the place for a repository, whether anything is pending or not."""
        place = repository.resolve()
        return cls(place.with_name(f"{place.name}.pending"))

    def begin(self, root: Root) -> Path:
        """Write unsigned root metadata for holders to sign, and return the file."""
        self.make_directory()
        path = self.directory / f"{root.version}.root.json"
        replace_durably(path, Metadata(root).to_bytes(_SERIALIZER))
        return path

    def make_directory(self) -> None:
        """Make the directory if it is not there."""
        if not self.directory.is_dir():
            self.directory.mkdir(mode=0o700, parents=True)
            sync_directory(self.directory.parent)

    def path(self) -> Path | None:
        """Return the file to sign, or None when no root is pending.

        Raises:
            TrustError: There are several.
        """
        if not self.directory.is_dir():
            return None
        found = sorted(p for p in self.directory.iterdir() if _ROOT_NAME.fullmatch(p.name))
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise TrustError(f"{self.directory} holds more than one root: {names}", hint="Remove all but the newest.")
        return found[0] if found else None

    def sign(self, signer: Signer) -> None:
        """Add the signature of a key that is here."""
        path = self.path()
        if path is None:
            raise AssertionError("only a root that was begun is signed")
        sign_root_file(path, signer)

    def read(self) -> Metadata[Root] | None:
        """Return the pending root with every signature that was handed in, or None when no root is pending.

        Raises:
            SignatureInvalidError: A file in the directory is not a good signature of this root by one of its keys.
            DocumentError: A file is not a signature at all.
            TrustError: The root cannot be read, or there are several.
        """
        path = self.path()
        if path is None:
            return None
        data, metadata = read_root_file(path)
        metadata.signatures.clear()
        for file in sorted(self.directory.glob(f"*{SIGNATURE_SUFFIX}")):
            document = decode_json(RootSignature, read_limited(file, max_bytes=MAX_SIGNATURE_BYTES), source=str(file))
            if reason := _fault(document, data, metadata):
                hint = f"Remove it, and have {path.name} signed again."
                raise SignatureInvalidError(f"{file} is no signature of {path}: {reason}", hint=hint)
            metadata.signatures[document.keyid] = Signature(document.keyid, document.sig)
        return metadata

    def clear(self) -> None:
        """Remove everything: the root was published, or is given up."""
        shutil.rmtree(self.directory, ignore_errors=True)


def to_bytes(metadata: Metadata[Root]) -> bytes:
    """Return the file of a signed root."""
    return metadata.to_bytes(_SERIALIZER)


def _fault(document: RootSignature, data: bytes, metadata: Metadata[Root]) -> str:
    if document.root_sha256 != hash_bytes(data):
        return "it was made for another file"
    root = metadata.signed
    if document.keyid not in root.roles[Root.type].keyids:
        return "its key is none of the root keys"
    try:
        root.keys[document.keyid].verify_signature(Signature(document.keyid, document.sig), metadata.signed_bytes)
    except (UnverifiedSignatureError, VerificationError, UnsupportedAlgorithm, ValueError):
        return "it does not fit the key it names"
    return ""
