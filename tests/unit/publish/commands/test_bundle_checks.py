"""``bundle build``, ``scan`` and ``signature`` as commands: what they print, what they refuse, what they let pass and say so."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.bundle.edgeb import pack, read_manifest
from edged.publish.building.model_signature import parse_signature
from edged.publish.main import main
from tests.fakes.bundles import adder_model, make_bundle, make_recipe
from tests.fakes.secrets import CERTAIN

SIGNATURES = Path(__file__).parents[3] / "golden" / "model_signature"
SECRET = CERTAIN["github"][1]


@pytest.fixture
def leaky(tmp_path):
    """The recipe of a bundle with a token in one of its samples."""
    recipe = make_recipe(tmp_path / "sources")
    (tmp_path / "sources/kit/samples/words.txt").write_text(f"token: {SECRET}\n")
    return recipe


def build(recipe, tmp_path, *more):
    return main(["bundle", "build", str(recipe), "--out", str(tmp_path / "out"), *more])


def visible(directory):
    return {path for path in directory.rglob("*") if not path.name.startswith(".")}


def fingerprint(text):
    return text.partition(" [")[2].partition("]")[0]


def test_a_bundle_with_a_secret_is_not_built(leaky, tmp_path, capsys):
    assert build(leaky, tmp_path) == 10

    err = capsys.readouterr().err
    assert "kit/samples/words.txt, byte 7, line 1: a token of GitHub" in err
    assert SECRET[:8] not in err
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_secret_is_allowed_by_its_fingerprint_with_a_reason_that_is_shown(leaky, tmp_path, capsys):
    build(leaky, tmp_path)
    mark = fingerprint(capsys.readouterr().err)

    assert build(leaky, tmp_path, "--allow-secret", f"{mark}=made up for a test") == 0
    assert "allowed, made up for a test: kit/samples/words.txt" in capsys.readouterr().err

    directory = str(tmp_path / "out/adder-1.0.0")
    assert main(["bundle", "scan", directory]) == 10
    assert main(["bundle", "scan", directory, "--allow-secret", f"{mark}=as above"]) == 0


def test_a_bundle_with_a_secret_is_not_published(leaky, tmp_path, capsys):
    """Not even one that was built with leave: whoever signs has to give it, too."""
    build(leaky, tmp_path)
    leave = ("--allow-secret", f"{fingerprint(capsys.readouterr().err)}=made up for a test")
    build(leaky, tmp_path, *leave)
    repo, keys = str(tmp_path / "repo"), str(tmp_path / "keys")
    assert main(["init", repo, "--keys", keys]) == 0
    publish = ["publish", str(tmp_path / "out/adder-1.0.0"), "--repo", repo, "--keys", keys]
    files = visible(tmp_path / "repo")
    capsys.readouterr()

    assert main(publish) == 10
    assert "a token of GitHub" in capsys.readouterr().err
    assert visible(tmp_path / "repo") == files

    assert main([*publish, *leave]) == 0
    assert "allowed, made up for a test" in capsys.readouterr().err


@pytest.mark.parametrize(
    "setting", ["words", "0123456789abcdef", "0123456789abcdef=", "0123456789abcdef= ", "0123=why"]
)
def test_allowing_needs_a_fingerprint_and_a_reason(setting, adder, capsys):
    assert main(["bundle", "scan", str(adder), "--allow-secret", setting]) == 2


def test_allowing_what_was_not_found_is_an_error(adder, capsys):
    """The file has changed since, and so has what is in it."""
    assert main(["bundle", "scan", str(adder), "--allow-secret", "0123456789abcdef=once"]) == 10
    assert "no finding has this fingerprint" in capsys.readouterr().err


def test_scan_says_that_nothing_was_found_packed_or_not(adder, tmp_path, capsys):
    pack(adder, tmp_path / "x.edgeb")

    for bundle in (adder, tmp_path / "x.edgeb"):
        assert main(["bundle", "scan", str(bundle)]) == 0
        assert capsys.readouterr().out == "adder 1.0.0: nothing that looks like a secret\n"


def test_scan_as_json_names_place_and_fingerprint(leaky, tmp_path, capsys):
    build(leaky, tmp_path)
    mark = fingerprint(capsys.readouterr().err)
    build(leaky, tmp_path, "--allow-secret", f"{mark}=test")
    capsys.readouterr()

    assert main(["bundle", "scan", str(tmp_path / "out/adder-1.0.0"), "--json"]) == 10
    document = json.loads(capsys.readouterr().out)

    (finding,) = document["findings"]
    assert (document["schema"], finding["fingerprint"], finding["rule"]) == (1, mark, "github-token")
    assert (finding["path"], finding["offset"], finding["line"], finding["allowed"]) == (
        "kit/samples/words.txt",
        7,
        1,
        None,
    )


def with_signature(tmp_path, data):
    """A recipe that names a signature with this content."""
    recipe = make_recipe(tmp_path / "sources")
    recipe.write_text(recipe.read_text().replace('version = "1.0.0"', 'version = "1.0.0"\nsignature = "model.sig"', 1))
    (tmp_path / "sources/model.sig").write_text(data)
    return recipe


def test_a_signature_of_another_model_is_not_built_in(tmp_path, capsys):
    recipe = with_signature(tmp_path, (SIGNATURES / "model.sig").read_text())

    assert build(recipe, tmp_path) == 10
    assert "no model of this bundle is among them" in capsys.readouterr().err


def sign(document, digest, key):
    """Make the reference implementation's signature one of a model with this digest, by this key."""
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["resources"] = [{"name": "adder.onnx", "algorithm": "sha256", "digest": digest}]
    statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(bytes.fromhex(digest)).hexdigest()
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    over = parse_signature(json.dumps(document).encode(), source="model.sig").signed
    envelope["signatures"] = [{"sig": base64.b64encode(key.sign(over, ec.ECDSA(SHA256()))).decode()}]
    return json.dumps(document)


@pytest.fixture
def carrying(tmp_path):
    """A bundle with a signature of its own model; the makers' key lies in ``key.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    document = json.loads((SIGNATURES / "model.sig").read_text())
    recipe = with_signature(tmp_path, sign(document, hashlib.sha256(adder_model()).hexdigest(), key))
    assert build(recipe, tmp_path) == 0
    return tmp_path / "out/adder-1.0.0"


def test_a_signature_is_carried_and_explained(carrying, capsys):
    capsys.readouterr()
    _, manifest = read_manifest(carrying)

    assert manifest.signature == "model.sig"
    assert manifest.file("model.sig").role == "signature"
    assert main(["bundle", "signature", str(carrying)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "model.sig: signature by key of 'toy', files: 1; not verified: no --key",
        "  adder-1.0.0-fp32-any: signed",
    ]
    assert main(["bundle", "show", str(carrying)]) == 0
    assert "model.sig" in capsys.readouterr().out


def test_a_signature_is_verified_with_the_makers_key_packed_or_not(carrying, tmp_path, capsys):
    pack(carrying, tmp_path / "x.edgeb")
    for bundle in (carrying, tmp_path / "x.edgeb"):
        capsys.readouterr()
        assert main(["bundle", "signature", str(bundle), "--key", str(tmp_path / "key.pub"), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["verified"], document["covered"]) == (True, ["adder-1.0.0-fp32-any"])


def test_another_key_fails_verification(carrying, tmp_path, capsys):
    assert main(["bundle", "signature", str(carrying), "--key", str(SIGNATURES / "key.pub")]) == 10
    assert "was not made by this key" in capsys.readouterr().err
    assert main(["bundle", "signature", str(carrying), "--key", str(tmp_path / "none.pub")]) == 2


def test_a_bundle_without_a_signature_says_so(tmp_path, capsys):
    bundle = make_bundle(tmp_path)

    assert main(["bundle", "signature", str(bundle)]) == 10
    assert "carries no model signature" in capsys.readouterr().err
