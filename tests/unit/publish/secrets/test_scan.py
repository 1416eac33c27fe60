"""Secrets are found by their form in every kind of file, and nothing that is shown tells them."""

import gzip
import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.bundle.edgeb import read_manifest
from edged.bundle.parse import parse_manifest
from edged.codec import encode_readable
from edged.errors import BundleError, SecretFoundError
from edged.files import hash_bytes
from edged.publish.secrets import refuse_secrets, scan, scan_directory
from edged.publish.secrets.randomness import entropy
from tests.fakes.bundles import adder_model, onnx
from tests.fakes.plain_manifests import OTHERS, manifest_document
from tests.fakes.secrets import CERTAIN, HEX, IN_TEXT, WORD, draw


@pytest.fixture
def bundle(tmp_path):
    """Write a bundle of these files and scan it."""

    def write(files, **roles):
        for path, data in {**{path: data for path, (_, data) in OTHERS.items()}, **files}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
        document = manifest_document({path: (roles.get(path, "document"), data) for path, data in files.items()})
        (tmp_path / "manifest.json").write_bytes(encode_readable(document))
        return tmp_path, parse_manifest(encode_readable(document), source="manifest.json")

    return write


def scan_stream(data):
    return list(scan._scan_stream(io.BytesIO(data).read, "file", hash_bytes(data), frozenset(), is_signature=False))


def refuse(directory, manifest, allowed=None):
    """Return what was reported."""
    lines = []
    refuse_secrets(directory, manifest, report=lines.append, allowed=allowed or {})
    return lines


@pytest.mark.parametrize("name", CERTAIN)
def test_certain_forms_are_found_in_text_with_place_and_line(name):
    rule, secret = CERTAIN[name]
    before = "first line\nsecond line: "

    (finding,) = scan_stream(f"{before}{secret}\nlast line\n".encode())

    assert (finding.rule, finding.line) == (rule, 2)
    assert len(before) <= finding.offset < len(before) + len(secret)


@pytest.mark.parametrize("name", CERTAIN)
def test_certain_forms_are_found_in_a_models_metadata(name):
    """Between texts in a model there are lengths and tags, which may look like letters: here J before, r after."""
    rule, secret = CERTAIN[name]
    model = onnx.load_from_string(adder_model())
    for key, value in (("author", "nobody"), ("note", secret), ("more", "text")):
        model.metadata_props.add(key=key, value=value)
    data = model.SerializeToString()

    (finding,) = scan_stream(data)

    assert (finding.rule, finding.line) == (rule, None)
    assert 0 <= finding.offset - data.index(secret.encode()) < len(secret)
    (finding,) = scan_stream(b"\x00\x01J" + secret.encode() + b"r\x01\x00")
    assert finding.rule == rule


@pytest.mark.parametrize("name", IN_TEXT)
def test_what_a_text_says_is_found_in_text_only(name):
    rule, secret = IN_TEXT[name]

    (finding,) = scan_stream(f"one\ntwo\n{secret}\n".encode())

    assert (finding.rule, finding.line) == (rule, 3)
    assert scan_stream(b"\x00\x01" + secret.encode()) == []


@pytest.mark.parametrize("name", [*CERTAIN, *IN_TEXT])
def test_nothing_that_is_shown_tells_the_secret(name):
    """Of the secret itself no six characters in a row appear; a prefix that all secrets of its kind have may."""
    _, secret = (CERTAIN | IN_TEXT)[name]

    (finding,) = scan_stream(f"x\n{secret}\n".encode())

    shown = f"{finding} {finding.fingerprint}"
    tail = secret.strip().removesuffix("git.example.org/models.git")[-16:]
    assert not any(tail[i : i + 6] in shown for i in range(len(tail) - 5) if "KEY" not in tail)


ORDINARY = {
    "stand-ins": 'password = "<your password>"\nPASSWORD=${DB_PASSWORD}\nsecret: changeme\napi_key = os.environ["KEY"]\n'
    "password: string\ntoken_secret = get_secret(name)\nhttps://user:$TOKEN@example.org/ passwd=********\n",
    "tokenizer": '{"unk_token": "[UNK]", "pad_token": "<pad>", "eos_token": "</s>", "token": "internationalization"}',
    "digests": f"sha256:{draw(HEX, 64)}\nsha1 = {draw(HEX, 40)}\nhttps://example.org/x/commit/{draw(HEX, 40)}\nmd5 {draw(HEX, 32)}",
    "certificate": "-----BEGIN CERTIFICATE-----\n"
    + "\n".join(draw(WORD + "+/", 64, seed) for seed in range(5))
    + "\n-----END CERTIFICATE-----\n",
    "data": f'<image href="data:image/png;base64,{draw(WORD, 4000)}"/>',
    "words": "urn:uuid:3e1f2f5c-9a4e-4f0b-8a57-51f6e2a1f8d3 models/gauge-reader-1.0.0-fp32-any/kit/samples/a_long_name.png\n"
    "thisIsTheVeryLongNameOfAMethodInSomeLanguage THIS_IS_A_CONSTANT_WITH_MANY_MANY_WORDS_IN_IT\n",
    "numbers": ", ".join(str(number * 0.37) for number in range(200)),
    "alphabets": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/ 0123456789abcdef0123456789abcdef",
    "ports": "http://localhost:8080/a@b redis://cache:6379/0 ssh://git@example.org/models.git",
    "scales": "layer8_conv2d_transpose_weights_of_the_decoder_block hf_hub_download_with_a_long_list_of_words",
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_texts_pass(name):
    assert scan_stream(ORDINARY[name].encode()) == []


def test_weights_of_every_kind_pass():
    """Floats, integers around nought, and integers that all look like letters."""
    source = np.random.default_rng(1)
    for weights in (
        source.normal(0, 0.02, 1 << 18).astype(np.float32),
        source.normal(0, 0.5, 1 << 18).astype(np.float16),
        np.clip(source.normal(0, 40, 1 << 20), -127, 127).astype(np.int8),
        np.clip(source.normal(90, 12, 1 << 20), 0, 255).astype(np.uint8),
    ):
        assert scan_stream(b"\x00" + weights.tobytes()) == []


@settings(max_examples=40)
@given(st.integers(0, 2), st.integers(-300, 300), st.booleans())
def test_no_edge_of_a_window_hides_or_doubles_a_secret(block, shift, is_text):
    """Windows of a megabyte; a secret anywhere around their edges is found once, where it is."""
    _, secret = CERTAIN["github"]
    filler = b"plain words \n" if is_text else b"\x00\x01\x02\xff"
    at = max(0, block * scan.BLOCK_BYTES + shift)
    size = at + 2 * len(secret)
    data = bytearray((filler * (size // len(filler) + 1))[:size])
    data[at : at + len(secret)] = secret.encode()
    if at:
        data[at - 1 : at] = b" "
    data[at + len(secret) : at + len(secret) + 1] = b" "

    (finding,) = scan_stream(bytes(data))

    assert finding.offset == at
    if is_text:
        assert finding.line == data.count(b"\n", 0, at) + 1


def test_data_around_the_edges_of_windows_does_not_look_random():
    """A long block of encoded data is data in every window, also where only its end is in sight."""
    for shift in (0, 10, 100):
        data = b"x" * (scan.BLOCK_BYTES - 50 - shift) + b" " + draw(WORD, 20_000).encode() + b" end"
        assert scan_stream(data) == []


def test_every_file_is_scanned_and_all_findings_come_at_once(bundle):
    directory, manifest = bundle(
        {"a.env": CERTAIN["github"][1].encode(), "b/c.bin": b"\0" + CERTAIN["pkcs8"][1].encode(), "fine.txt": b"fine"}
    )

    with pytest.raises(SecretFoundError) as caught:
        refuse(directory, manifest)

    assert "a.env, byte 0, line 1" in caught.value.message
    assert "b/c.bin, byte 1:" in caught.value.message
    assert len(caught.value.facts["findings"]) == 2
    assert caught.value.hint


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_texts_in_utf_16_are_read(bundle, encoding):
    """What PowerShell writes when output goes to a file."""
    before = "\ufeffone\ntwo "
    directory, manifest = bundle({"notes.env": (before + IN_TEXT["env"][1] + "\r\n").encode(encoding)})

    (finding,) = scan_directory(directory, manifest)

    assert (finding.rule, finding.line) == ("password", 2)
    assert 0 <= finding.offset - len(before.encode(encoding)) <= 2 * len("DB_")


def test_the_manifest_itself_is_scanned(tmp_path, bundle):
    directory, manifest = bundle({"fine.txt": b"fine"})
    document = encode_readable(manifest).replace(b"made for tests", CERTAIN["hugging face"][1].encode())
    (directory / "manifest.json").write_bytes(document)

    (finding,) = scan_directory(directory, manifest)

    assert (finding.path, finding.rule) == ("manifest.json", "huggingface-token")


def test_digests_that_the_manifest_names_are_expected_anywhere(bundle):
    """They stand in the bill of materials and in other documents; any other digest without a word that says so is a find."""
    other = b"something else"
    directory, manifest = bundle({"x.bin": b"\0", "list.txt": hash_bytes(b"\0").encode()})
    assert scan_directory(directory, manifest) == []

    directory, manifest = bundle({"x.bin": b"\0", "list.txt": hash_bytes(other).encode()})
    assert [finding.rule for finding in scan_directory(directory, manifest)] == ["random"]


def test_a_signature_is_random_by_its_nature(bundle):
    data = IN_TEXT["base64"][1].encode()
    directory, manifest = bundle({"model.sig": data}, **{"model.sig": "signature"})
    assert scan_directory(directory, manifest) == []

    directory, manifest = bundle({"model.sig": CERTAIN["rsa"][1].encode()}, **{"model.sig": "signature"})
    assert [finding.rule for finding in scan_directory(directory, manifest)] == ["private-key"]


def test_a_finding_can_be_allowed_in_that_very_place_of_that_very_file(bundle):
    secret = CERTAIN["jwt"][1].encode()
    directory, manifest = bundle({"sample.txt": secret})
    (finding,) = scan_directory(directory, manifest)
    allowed = {finding.fingerprint: "a sample for the classifier"}

    assert refuse(directory, manifest, allowed) == [f"allowed, a sample for the classifier: {finding}"]

    directory, manifest = bundle({"sample.txt": secret + b" and more"})
    with pytest.raises(SecretFoundError):
        refuse(directory, manifest, allowed)
    directory, manifest = bundle({"sample.txt": b"harmless now"})
    with pytest.raises(BundleError, match="no finding has this fingerprint"):
        refuse(directory, manifest, allowed)


def zipped(members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_zip_files_are_looked_into(bundle, compression):
    data = zipped({"fine.txt": b"fine", "inner/.env": IN_TEXT["env"][1]}, compression=compression)
    directory, manifest = bundle({"model.mlpackage.zip": data})

    (finding,) = scan_directory(directory, manifest)

    assert (finding.path, finding.rule) == ("model.mlpackage.zip!inner/.env", "password")


def test_gzip_files_are_looked_into(bundle):
    directory, manifest = bundle({"notes.gz": gzip.compress(b"\n" + CERTAIN["npm"][1].encode())})

    (finding,) = scan_directory(directory, manifest)

    assert (finding.path, finding.line) == ("notes.gz!", 2)


def closed_archives():
    whole = zipped({"a": os.urandom(5000), "b": b"b"})
    encrypted = bytearray(zipped({"a": b"a"}))
    for at in (encrypted.index(b"PK\x03\x04") + 6, encrypted.index(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    damaged = bytearray(whole)
    damaged[100] ^= 1
    lying = bytearray(whole)
    end = lying.rindex(b"PK\x05\x06")
    lying[end + 12 : end + 16] = b"\xff\xff\xff\xff"
    return {
        "cut": whole[:-30],
        "without end": whole[:200],
        "encrypted": bytes(encrypted),
        "damaged": bytes(damaged),
        "with a list of 4 GiB": bytes(lying),
        "cut gzip": gzip.compress(b"x" * 1000)[:-9],
        "bad gzip": b"\x1f\x8b\x08" + b"\xff" * 50,
        "large bomb": None,
    }


@pytest.mark.parametrize("name", closed_archives())
def test_an_archive_that_cannot_be_looked_through_is_a_finding(bundle, name, monkeypatch):
    monkeypatch.setattr("edged.publish.secrets.archives.MAX_TOTAL_BYTES", 1 << 20)
    data = closed_archives()[name] or gzip.compress(bytes(2 << 20))
    directory, manifest = bundle({"x.zip": data})

    (finding,) = scan_directory(directory, manifest)

    assert finding.rule == "closed-archive"
    assert finding.excerpt


def test_a_list_of_members_that_says_it_is_huge_is_not_read(bundle):
    data = closed_archives()["with a list of 4 GiB"]
    directory, manifest = bundle({"x.zip": data})

    assert [f.excerpt for f in scan_directory(directory, manifest)] == ["its list of members has 4294967295 bytes"]


def test_too_many_members_are_a_finding(bundle, monkeypatch):
    monkeypatch.setattr("edged.publish.secrets.archives.MAX_MEMBERS", 10)
    directory, manifest = bundle({"x.zip": zipped({str(i): b"" for i in range(11)})})

    assert [finding.excerpt for finding in scan_directory(directory, manifest)] == ["it has 11 members"]


def test_a_missing_file_is_a_clear_error(bundle):
    directory, manifest = bundle({"a.txt": b"a"})
    (directory / "a.txt").unlink()

    with pytest.raises(BundleError, match=r"cannot read .*a\.txt"):
        scan_directory(directory, manifest)


def test_a_built_bundle_passes(adder):
    _, manifest = read_manifest(adder)

    assert scan_directory(adder, manifest) == []


def test_endless_findings_end(bundle, monkeypatch):
    monkeypatch.setattr(scan, "MAX_FINDINGS", 30)
    directory, manifest = bundle({"a.txt": (CERTAIN["github"][1] + "\n").encode() * 1000})

    with pytest.raises(SecretFoundError, match=r"and 10 more$") as caught:
        refuse(directory, manifest)
    assert len(caught.value.message) < 4000


@given(st.binary(max_size=300))
def test_any_bytes_can_be_scanned(data):
    scan_stream(data)
    scan_stream(b"words and " + data)


def test_entropy_is_shannons():
    assert entropy(b"aaaa") == 0
    assert entropy(b"abcd") == 2
    assert entropy(bytes(range(256))) == 8
