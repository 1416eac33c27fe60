"""Reads an OpenSSF model signature (github.com/ossf/model-signing-spec, version 1.0) that a model came with.

It is a Sigstore bundle: a DSSE envelope around an in-toto statement that lists the files of the model as its makers signed them. It travels
with the bundle for those who know the makers. Devices do not read it: what they trust is TUF.

1. The file has the form: bundle, envelope, statement, list of files; the statement's own digest is that of the list.
2. It is about this model: where files are listed one by one with SHA-256, at least one of the bundle's model files is among them. Variants
   that were made later, by quantization for instance, cannot be.
3. A signature by a bare key can be verified with the key alone (ECDSA on the NIST curves). One by a certificate or by Sigstore needs
   the roots of others: the ``model_signing`` program does that.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edged.codec import decode_json
from edged.errors import BundleError, ManifestError, SignatureInvalidError, UsageError

MAX_SIGNATURE_BYTES: Final = 16 << 20
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"

Method = Literal["key", "certificate", "sigstore"]
_HINT: Final = "Take the signature as it was made: model_signing sign."
_HASHES: Final[dict[str, type[HashAlgorithm]]] = {"secp256r1": SHA256, "secp384r1": SHA384, "secp521r1": SHA512}
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of a document that others define and extend, so unknown keys are passed over."""


class _Signature(_Struct, frozen=True, kw_only=True):
    sig: str


class _Envelope(_Struct, frozen=True, kw_only=True):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: Annotated[tuple[_Signature, ...], msgspec.Meta(min_length=1, max_length=1)]


class _Material(_Struct, frozen=True, kw_only=True):
    public_key: dict[str, Any] | None = None
    x509_certificate_chain: dict[str, Any] | None = msgspec.field(default=None, name="x509CertificateChain")
    certificate: dict[str, Any] | None = None


class _Bundle(_Struct, frozen=True, kw_only=True):
    media_type: Annotated[str, msgspec.Meta(pattern=r"^application/vnd\.dev\.sigstore\.bundle")]
    verification_material: _Material
    dsse_envelope: _Envelope


class _Subject(_Struct, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    digest: dict[str, str]


class Resource(_Struct, frozen=True, kw_only=True):
    """One of the files that were signed."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    algorithm: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    digest: Annotated[str, msgspec.Meta(min_length=32, max_length=256)]


class _Predicate(_Struct, frozen=True, kw_only=True):
    serialization: dict[str, Any]
    resources: Annotated[tuple[Resource, ...], msgspec.Meta(min_length=1)]


class _Statement(_Struct, frozen=True, kw_only=True):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[tuple[_Subject, ...], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: Literal["https://model_signing/signature/v1.0"]
    predicate: _Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSignature:
    """A signature that has the form of one; whether it is genuine was not asked yet."""

    method: Method
    subject: str
    """What its makers call the model."""
    resources: Sequence[Resource]
    signed: bytes
    """What the signature is over: the envelope's pre-authentication encoding."""
    signature: bytes

    @property
    def is_comparable(self) -> bool:
        """Whether it lists whole files with SHA-256, the digest that bundles use."""
        return all(resource.algorithm == "sha256" for resource in self.resources)

    def covers(self, sha256: str) -> bool:
        """Tell whether a file with this digest was signed."""
        return any(resource.algorithm == "sha256" and resource.digest == sha256 for resource in self.resources)


def read_signature(path: Path) -> ModelSignature:
    """Read a signature file; see ``parse_signature`` for what is raised beside OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_SIGNATURE_BYTES + 1)
    if len(data) > MAX_SIGNATURE_BYTES:
        raise BundleError(f"{path} is larger than {MAX_SIGNATURE_BYTES} bytes", hint=_HINT)
    return parse_signature(data, source=str(path))


def parse_signature(data: bytes, *, source: str) -> ModelSignature:
    """Take a signature file apart.

    Args:
        data: The file.
        source: What to call it in errors.

    Raises:
        ManifestError: It is not a Sigstore bundle with an envelope, or its payload is not the statement of a model signature.
        BundleError: What it says contradicts itself.
    """
    bundle = decode_json(_Bundle, data, source=source, error=ManifestError)
    envelope = bundle.dsse_envelope
    payload = _decoded(envelope.payload, f"{source}: /dsseEnvelope/payload")
    statement = decode_json(_Statement, payload, source=f"{source}: /dsseEnvelope/payload", error=ManifestError)
    resources = statement.predicate.resources
    digest = hashlib.sha256()
    for resource in resources:
        if not _HEX.fullmatch(resource.digest):
            raise BundleError(f"{source}: the digest of {resource.name[:200]!r} is not hexadecimal", hint=_HINT)
        digest.update(bytes.fromhex(resource.digest))
    if statement.subject[0].digest.get("sha256") != digest.hexdigest():
        raise BundleError(f"{source}: its subject's digest is not that of the files it lists", hint=_HINT)
    return ModelSignature(
        method=_method(bundle.verification_material, source),
        subject=statement.subject[0].name,
        resources=resources,
        signed=_encoding(envelope.payload_type, payload),
        signature=_decoded(envelope.signatures[0].sig, f"{source}: /dsseEnvelope/signatures/0/sig"),
    )


def check_signature(signature: ModelSignature, models: Collection[str], *, source: str) -> None:
    """Make sure that a signature is about one of a bundle's models, as far as it can be compared.

    Args:
        signature: That came with the model.
        models: SHA-256 of the model files.
        source: What to call the signature in errors.

    Raises:
        BundleError: None of them was signed.
    """
    if signature.is_comparable and not any(signature.covers(digest) for digest in models):
        raise BundleError(
            f"{source} signs {len(signature.resources)} files, and no model of this bundle is among them",
            hint="Use the signature that came with the model file, or leave it out.",
        )


def verify_signature(signature: ModelSignature, key: bytes, *, source: str) -> None:
    """Verify a signature that was made by a bare key.

    Args:
        signature: That came with the model.
        key: The makers' public key, PEM.
        source: What to call the signature in errors.

    Raises:
        UsageError: The key cannot be read, or is of a kind that model signatures do not use.
        BundleError: The signature was made with a certificate or by Sigstore.
        SignatureInvalidError: This key did not make it.
    """
    if signature.method != "key":
        raise BundleError(
            f"{source} is a signature by {signature.method}, which a key alone cannot verify",
            hint=f"Use: model_signing verify {signature.method}.",
        )
    try:
        public = load_pem_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise UsageError("the key of the model signature is no public key in PEM") from exc
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in _HASHES:
        raise UsageError("the key of the model signature is not on one of the curves P-256, P-384 and P-521")
    try:
        public.verify(signature.signature, signature.signed, ec.ECDSA(_HASHES[public.curve.name]()))
    except InvalidSignature as exc:
        raise SignatureInvalidError(
            f"{source} was not made by this key", hint="Ask the model's makers for it."
        ) from exc


def _method(material: _Material, source: str) -> Method:
    given: dict[Method, object] = {
        "key": material.public_key,
        "certificate": material.x509_certificate_chain,
        "sigstore": material.certificate,
    }
    methods = [method for method, value in given.items() if value is not None]
    if len(methods) != 1:
        raise BundleError(
            f"{source}: /verificationMaterial has {len(methods)} ways to verify it, expected one", hint=_HINT
        )
    return methods[0]


def _encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what DSSE signs (its protocol, "PAE")."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BundleError(f"{where} is not base64", hint=_HINT) from exc
