import hashlib
import io
import json
import random
import tarfile

import pytest

from edged.bundle.edgeb import find_files, pack, read_packed_manifest, unpack
from edged.codec import encode_readable
from edged.errors import BundleError, DigestMismatchError, EdgedError, ManifestError, StoreError
from edged.files import hash_bytes

FILES = {
    "models/toy.onnx": ("model", b"not really a model" * 100),
    "labels.txt": ("labels", b"yes\nno\n"),
    "kit/kit.json": ("kit", b"{}"),
    "kit/samples/empty": ("sample", b""),
    "kit/samples/" + "x" * 180: ("sample", b"a path longer than a header of 1988 can say"),
    "sbom.cdx.json": ("sbom", b"{}\n"),
}


def manifest_bytes(**changes):
    entries = [
        {"path": p, "role": role, "sha256": hash_bytes(data), "size": len(data)} for p, (role, data) in FILES.items()
    ]
    tensor = {"name": "x", "dtype": "FP32", "shape": [1]}
    variant = {
        "id": "toy-1.0.0-fp32-any",
        "tier": "quality",
        "precision": "fp32",
        "format": "onnx",
        "files": entries[:1],
        "targets": {"arch": ["amd64", "arm64"]},
        "runtime": {"name": "onnxruntime", "version": ">=1.20"},
        "inputs": [tensor],
        "outputs": [tensor],
        "budget": {"latency_ms": 1, "memory_bytes": 1},
    }
    document = {
        "schema": 1,
        "name": "toy",
        "version": "1.0.0",
        "min_edged": "0.1.0",
        "variants": [variant],
        "files": entries[1:],
        "pipeline": {"inputs": [tensor], "outputs": [tensor]},
        "validation": {"kit": "kit/kit.json", "tolerance": [{"output": "x"}]},
        "sbom": "sbom.cdx.json",
        "provenance": {"source": "tests", "licence": "Apache-2.0"},
    }
    return encode_readable(document | changes)


@pytest.fixture
def bundle(tmp_path):
    directory = tmp_path / "toy-1.0.0"
    for path, (_, data) in FILES.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    (directory / "manifest.json").write_bytes(manifest_bytes())
    return directory


@pytest.fixture
def packed(bundle, tmp_path):
    pack(bundle, tmp_path / "toy-1.0.0.edgeb")
    return tmp_path / "toy-1.0.0.edgeb"


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def tar_of(*members):
    """Make an archive by hand: (name, data) or a TarInfo with data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def link(name, kind, target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def ordered(**replaced):
    """The members in their order, some replaced or left out (None)."""
    members = {"manifest.json": manifest_bytes(), **{p: FILES[p][1] for p in sorted(FILES)}}
    return [(name, data) for name, data in (members | replaced).items() if data is not None]


def test_unpacking_gives_back_what_was_packed(bundle, packed, tmp_path):
    manifest = unpack(packed, tmp_path / "out")

    assert manifest.name == "toy"
    assert contents(tmp_path / "out") == contents(bundle)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_same_bundle_gives_same_bytes_whatever_its_files_times_and_modes(bundle, packed, tmp_path):
    for path in bundle.rglob("*"):
        path.chmod(0o700)
    pack(bundle, tmp_path / "again.edgeb")

    assert (tmp_path / "again.edgeb").read_bytes() == packed.read_bytes()


def test_bytes_are_the_same_with_every_python(packed):
    """The archive is part of the contract with other versions of edged; this digest changes only together with the format."""
    assert (
        hashlib.sha256(packed.read_bytes()).hexdigest()
        == "aff5d0ddcd58b3e0355c32eb8087a31ef3a0368a651803ec7ac766d0a2d71e43"
    )


def test_any_tar_program_can_list_it(packed):
    with tarfile.open(packed) as archive:
        members = archive.getmembers()

    assert [m.name for m in members] == ["manifest.json", *sorted(FILES)]
    assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime, m.type) for m in members} == {
        (0o644, 0, 0, "", "", 0, tarfile.REGTYPE)
    }


def test_manifest_can_be_read_alone(packed):
    assert read_packed_manifest(packed).version == "1.0.0"


def test_archive_of_the_same_members_by_hand_is_accepted(tmp_path):
    """What the attacks below differ from: so it is their one difference that is refused."""
    (tmp_path / "x.edgeb").write_bytes(tar_of(*ordered()))

    assert unpack(tmp_path / "x.edgeb", tmp_path / "out").name == "toy"


ATTACKS = {
    "link": [*ordered()[:1], (link("kit/kit.json", tarfile.SYMTYPE), b""), *ordered()[2:]],
    "hard link": [*ordered()[:1], (link("kit/kit.json", tarfile.LNKTYPE, "manifest.json"), b""), *ordered()[2:]],
    "directory": [*ordered()[:1], (link("kit", tarfile.DIRTYPE), b""), *ordered()[1:]],
    "device": [*ordered()[:1], (link("null", tarfile.CHRTYPE), b""), *ordered()[1:]],
    "absolute path": [*ordered()[:1], ("/tmp/x", b"x"), *ordered()[1:]],
    "climbing path": [*ordered()[:1], ("../x", b"x"), *ordered()[1:]],
    "unlisted file at the end": [*ordered(), ("zzz", b"x")],
    "unlisted empty file at the end": [*ordered(), ("zzz", b"")],
    "duplicate": [*ordered()[:2], *ordered()[1:]],
    "second manifest": [*ordered()[:1], *ordered()],
    "other order": [ordered()[0], *reversed(ordered()[1:])],
    "manifest not first": [*ordered()[1:], ordered()[0]],
    "missing file": ordered(**{"labels.txt": None}),
    "missing last file": ordered(**{"sbom.cdx.json": None}),
    "longer file": ordered(**{"labels.txt": b"yes\nno\nmaybe\n"}),
    "shorter file": ordered(**{"labels.txt": b"yes\n"}),
    "no manifest": [],
    "large manifest": ordered(**{"manifest.json": b" " * (1 << 20) + manifest_bytes()}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_anything_but_the_one_archive_is_refused(attack, tmp_path):
    (tmp_path / "x.edgeb").write_bytes(tar_of(*ATTACKS[attack]))

    with pytest.raises(BundleError):
        unpack(tmp_path / "x.edgeb", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x.edgeb"]


def test_refusal_says_what_was_found(tmp_path):
    (tmp_path / "x.edgeb").write_bytes(tar_of(*ATTACKS["link"]))

    with pytest.raises(
        BundleError, match=r"expected kit/kit\.json of 2 bytes, found a symbolic link named 'kit/kit\.json'"
    ):
        unpack(tmp_path / "x.edgeb", tmp_path / "out")


def test_file_with_other_content_of_the_same_size_is_refused(tmp_path):
    (tmp_path / "x.edgeb").write_bytes(tar_of(*ordered(**{"labels.txt": b"no!\nno\n"})))

    with pytest.raises(DigestMismatchError, match=r"labels\.txt"):
        unpack(tmp_path / "x.edgeb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifest_with_a_climbing_path_is_refused(tmp_path):
    bad = json.loads(manifest_bytes())
    bad["files"][0]["path"] = "../labels.txt"
    (tmp_path / "x.edgeb").write_bytes(tar_of(("manifest.json", encode_readable(bad))))

    with pytest.raises(ManifestError, match="/files/0/path"):
        unpack(tmp_path / "x.edgeb", tmp_path / "out")


def test_more_bytes_than_allowed_are_refused_before_anything_is_written(packed, tmp_path):
    with pytest.raises(BundleError, match="are allowed"):
        unpack(packed, tmp_path / "out", max_total_bytes=100)


def test_archive_cut_short_anywhere_is_refused(packed, tmp_path):
    data = packed.read_bytes()
    cut = tmp_path / "cut.edgeb"
    for length in [0, 1, 511, 512, 513, *range(1024, len(data), 997), len(data) - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(EdgedError):
            unpack(cut, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_any_flipped_bit_is_refused(packed, tmp_path):
    """The archive has no byte that does not matter: padding, end and header fields are compared, content is hashed."""
    data = bytearray(packed.read_bytes())
    flipped = tmp_path / "flipped.edgeb"
    manifest_end = 512 + len(manifest_bytes())
    places = [*range(512), *random.Random(1).sample(range(manifest_end, len(data)), 300)]
    for place in places:
        data[place] ^= 1
        flipped.write_bytes(data)
        data[place] ^= 1
        with pytest.raises(BundleError) if place < 512 else pytest.raises(EdgedError):
            unpack(flipped, tmp_path / "out")


@pytest.mark.parametrize("garbage", [b"", b"hello", b"\x00" * 10240, b"\xff" * 2048])
def test_garbage_is_no_packed_bundle(garbage, tmp_path):
    (tmp_path / "x.edgeb").write_bytes(garbage)

    with pytest.raises(BundleError, match="not a packed bundle"):
        read_packed_manifest(tmp_path / "x.edgeb")


def test_existing_directory_is_left_alone(packed, tmp_path):
    (tmp_path / "out").mkdir()

    with pytest.raises(StoreError, match="exists already"):
        unpack(packed, tmp_path / "out")


@pytest.mark.parametrize("change", ["altered", "longer", "shorter", "missing"])
def test_directory_that_is_not_as_its_manifest_says_is_not_packed(bundle, tmp_path, change):
    path = bundle / "labels.txt"
    match change:
        case "altered":
            path.write_bytes(b"no!\nno\n")
        case "longer":
            path.write_bytes(b"yes\nno\nmaybe")
        case "shorter":
            path.write_bytes(b"y")
        case "missing":
            path.unlink()

    with pytest.raises((BundleError, DigestMismatchError), match=r"labels\.txt"):
        pack(bundle, tmp_path / "x.edgeb")
    assert list(tmp_path.glob("*.edgeb")) == []


def test_directory_without_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"it has no manifest\.json"):
        pack(tmp_path, tmp_path / "x.edgeb")


def found_in(path):
    """Return what lies where the files of a packed bundle are said to lie."""
    data = path.read_bytes()
    with path.open("rb") as archive:
        return {entry.path: data[start : start + entry.size] for entry, start in find_files(archive, str(path))}


def test_files_are_found_where_they_lie(packed):
    assert found_in(packed) == {path: data for path, (_, data) in FILES.items()}


@pytest.mark.parametrize("size", [0, 511, 1024])
def test_file_that_is_no_packed_bundle_has_no_files(packed, size):
    packed.write_bytes(packed.read_bytes()[:size])

    with pytest.raises(BundleError):
        found_in(packed)


def test_files_of_an_archive_that_is_cut_are_found_up_to_there(packed):
    """The one in whose middle it ends is not among them, and whoever asks is told that there should be more."""
    data = packed.read_bytes()
    packed.write_bytes(data[: data.index(FILES["models/toy.onnx"][1]) + 5])
    found = []

    with packed.open("rb") as archive, pytest.raises(BundleError, match=r"middle of models/toy\.onnx"):
        found.extend(entry.path for entry, _ in find_files(archive, "cut"))

    assert found == [path for path in sorted(FILES) if path < "models/toy.onnx"]


def test_headers_that_are_not_those_of_the_manifest_are_not_believed(packed):
    packed.write_bytes(tar_of(*ordered(**{"labels.txt": b"another size"})))

    with pytest.raises(BundleError, match=r"expected labels\.txt of 7 bytes"):
        found_in(packed)
