"""Model signatures made by the reference implementation are read and verified; anything else is refused in clear words."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import BundleError, EdgedError, SignatureInvalidError, UsageError
from edged.publish.building.model_signature import check_signature, parse_signature, verify_signature
from tests.golden.model_signature.facts import MODEL

GOLDEN = Path(__file__).parents[3] / "golden" / "model_signature"
REAL = (GOLDEN / "model.sig").read_bytes()
KEY = (GOLDEN / "key.pub").read_bytes()


def read(data):
    return parse_signature(data, source="model.sig")


def statement(**changes):
    """The statement of the real signature, changed."""
    return json.loads(base64.b64decode(json.loads(REAL)["dsseEnvelope"]["payload"])) | changes


def signature(payload=None, **changes):
    """A signature file whose envelope has this statement."""
    document = json.loads(REAL)
    if payload is not None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        document["dsseEnvelope"]["payload"] = base64.b64encode(data).decode()
    return json.dumps(document | changes).encode()


def listing(*resources, **changes):
    """A statement about these files, with the digest that goes with them."""
    digest = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    predicate = {"serialization": {"method": "files"}, "resources": list(resources)}
    return statement(subject=[{"name": "toy", "digest": {"sha256": digest}}], predicate=predicate) | changes


def resource(name="m.onnx", algorithm="sha256", digest="ab" * 32):
    return {"name": name, "algorithm": algorithm, "digest": digest}


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_signature_by_the_reference_implementation_is_read():
    found = read(REAL)

    assert (found.method, found.subject) == ("key", "toy")
    assert [r.name for r in found.resources] == ["README.md", "toy.onnx"]
    assert found.covers(hashlib.sha256(MODEL).hexdigest())


def test_a_signature_by_the_reference_implementation_is_verified():
    verify_signature(read(REAL), KEY, source="model.sig")


def test_one_byte_more_is_another_model():
    changed = read(signature(listing(resource(), resource("b", digest="cd" * 32))))

    with pytest.raises(SignatureInvalidError, match="not made by this key"):
        verify_signature(changed, KEY, source="model.sig")


def test_a_signature_with_another_curve_is_verified():
    key = ec.generate_private_key(ec.SECP384R1())
    found = read(signature(listing(resource())))
    document = json.loads(signature(listing(resource())))
    document["dsseEnvelope"]["signatures"] = [
        {"sig": base64.b64encode(key.sign(found.signed, ec.ECDSA(SHA384()))).decode(), "keyid": ""}
    ]
    mine = read(json.dumps(document).encode())

    verify_signature(mine, public_pem(key), source="model.sig")
    with pytest.raises(SignatureInvalidError):
        verify_signature(mine, KEY, source="model.sig")


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"not a key",
        KEY[:60],
        public_pem(ed25519.Ed25519PrivateKey.generate()),
        public_pem(ec.generate_private_key(ec.SECP256K1())),
    ],
    ids=["nothing", "words", "cut", "ed25519", "other curve"],
)
def test_a_key_of_another_kind_is_a_mistake_of_the_caller(key):
    with pytest.raises(UsageError):
        verify_signature(read(REAL), key, source="model.sig")


@pytest.mark.parametrize(("name", "method"), [("certificate", "sigstore"), ("x509CertificateChain", "certificate")])
def test_signatures_that_need_the_roots_of_others_are_read_and_not_verified(name, method):
    found = read(signature(verificationMaterial={name: {}, "tlogEntries": []}))

    assert found.method == method
    with pytest.raises(BundleError, match="a key alone cannot verify") as caught:
        verify_signature(found, KEY, source="model.sig")
    assert f"model_signing verify {method}" in caught.value.hint


def test_a_signature_has_to_be_about_a_model_of_the_bundle():
    found = read(REAL)
    signed = hashlib.sha256(MODEL).hexdigest()

    check_signature(found, ["0" * 64, signed], source="model.sig")
    with pytest.raises(BundleError, match="signs 2 files, and no model of this bundle is among them"):
        check_signature(found, ["0" * 64], source="model.sig")


def test_files_that_were_hashed_in_another_way_cannot_be_compared():
    found = read(signature(listing(resource(algorithm="blake2b", digest="ab" * 64))))

    check_signature(found, ["0" * 64], source="model.sig")
    assert not found.covers("ab" * 64)


WRONG = {
    "nothing": b"",
    "text": b"signature",
    "list": b"[]",
    "empty": b"{}",
    "deep": b"[" * 100_000,
    "binary": bytes(range(256)),
    "lone surrogate": b'{"mediaType": "\\ud800"}',
    "two copies of everything": REAL + REAL,
    "other media type": signature(mediaType="text/plain"),
    "no way to verify": signature(verificationMaterial={}),
    "two ways to verify": signature(verificationMaterial={"publicKey": {}, "certificate": {}}),
    "payload of no base64": REAL.replace(b'"payload":"', b'"payload":"*'),
    "signature of no base64": json.dumps(
        json.loads(REAL) | {"dsseEnvelope": json.loads(REAL)["dsseEnvelope"] | {"signatures": [{"sig": "*"}]}}
    ).encode(),
    "no signature": json.dumps(
        json.loads(REAL) | {"dsseEnvelope": json.loads(REAL)["dsseEnvelope"] | {"signatures": []}}
    ).encode(),
    "payload of no JSON": signature(b"hello"),
    "another payload type": REAL.replace(b"vnd.in-toto+json", b"octet-stream"),
    "another statement": signature(statement(_type="https://in-toto.io/Statement/v0.1")),
    "another predicate": signature(statement(predicateType="https://slsa.dev/provenance/v1")),
    "no subject": signature(statement(subject=[])),
    "two subjects": signature(statement(subject=statement()["subject"] * 2)),
    "another digest": signature(statement(subject=[{"name": "toy", "digest": {"sha256": "0" * 64}}])),
    "no digest": signature(statement(subject=[{"name": "toy", "digest": {}}])),
    "no files": signature(listing()),
    "odd digest": signature(statement(predicate={"serialization": {}, "resources": [resource(digest="a" * 63)]})),
    "upper case": signature(statement(predicate={"serialization": {}, "resources": [resource(digest="AB" * 32)]})),
    "words as digest": signature(statement(predicate={"serialization": {}, "resources": [resource(digest="x" * 64)]})),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_model_signature_is_refused_with_its_name(name):
    with pytest.raises(BundleError, match=r"model\.sig") as caught:
        read(WRONG[name])
    assert len(caught.value.message) < 4000


@given(st.data())
def test_damaged_signatures_are_refused_or_differ(data):
    damaged = bytearray(REAL)
    damaged[data.draw(st.integers(0, len(REAL) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(damaged))
        verify_signature(found, KEY, source="model.sig")
    except EdgedError:
        return
    assert found.signed == read(REAL).signed
