import copy
import json

import pytest

from edged.bundle.manifest import CHUNK_BYTES, Manifest, parse_manifest
from edged.codec import encode_canonical, encode_readable
from edged.errors import ManifestError
from edged.ids import Version

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def entry(path, role, sha256=A, size=10, index=None):
    return {"path": path, "role": role, "sha256": sha256, "size": size, "index": index}


def variant(**changes):
    return {
        "id": "toy-1.2.3-fp32-any",
        "tier": "quality",
        "precision": "fp32",
        "format": "onnx",
        "files": [entry("models/toy.onnx", "model", B)],
        "targets": {"arch": ["amd64", "arm64"]},
        "runtime": {"name": "onnxruntime", "version": ">=1.20,<2"},
        "inputs": [{"name": "window", "dtype": "INT32", "shape": [1, 8]}],
        "outputs": [{"name": "scores", "dtype": "FP32", "shape": [1, 3]}],
        "budget": {"latency_ms": 5.0, "memory_bytes": 1000},
    } | changes


def document(**changes):
    return {
        "schema": 1,
        "name": "toy",
        "version": "1.2.3",
        "min_edged": "0.1.0",
        "variants": [variant()],
        "files": [entry("labels.txt", "labels", C), entry("kit/kit.json", "kit", D), entry("sbom.cdx.json", "sbom")],
        "pipeline": {
            "inputs": [{"name": "file", "dtype": "BYTES", "shape": [1]}],
            "pre": [
                {
                    "op": "bytes_window@1",
                    "input": "file",
                    "output": "window",
                    "begin": 4,
                    "end": 4,
                    "block": 64,
                    "padding": 0,
                }
            ],
            "post": [
                {"op": "softmax@1", "input": "scores", "output": "probabilities"},
                {"op": "top_k@1", "input": "probabilities", "values": "confidence", "indices": "index", "k": 1},
                {"op": "labels@1", "input": "index", "output": "label", "file": "labels.txt"},
            ],
            "outputs": [{"name": "label", "dtype": "BYTES", "shape": [1, 1]}],
        },
        "validation": {"kit": "kit/kit.json", "tolerance": [{"output": "label"}]},
        "sbom": "sbom.cdx.json",
        "provenance": {"source": "made for tests", "licence": "Apache-2.0"},
    } | changes


def parse(value):
    return parse_manifest(json.dumps(value).encode(), source="manifest.json")


def pointers(value):
    with pytest.raises(ManifestError) as caught:
        parse(value)
    return {problem.pointer for problem in caught.value.problems}


def changed(pointer, value):
    """Return the document with the value at a JSON pointer replaced."""
    result = copy.deepcopy(document())
    *parents, last = pointer.strip("/").split("/")
    place = result
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[int(last) if isinstance(place, list) else last] = value
    return result


def test_a_right_manifest_is_read():
    manifest = parse(document())

    assert manifest.model == "toy"
    assert manifest.semver == Version(1, 2, 3)
    assert manifest.variants[0].model_file.path == "models/toy.onnx"
    assert manifest.file("labels.txt").digest == C
    assert [file.path for file in manifest.files_for(manifest.variants)] == [
        "labels.txt", "kit/kit.json", "sbom.cdx.json", "models/toy.onnx"
    ]  # fmt: skip


def test_a_manifest_reads_back_as_it_was_written():
    manifest = parse(document())

    for encode in (encode_canonical, encode_readable):
        assert parse_manifest(encode(manifest), source="x") == manifest


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/.",
        "",
        "a//b",
        "a/",
        "a\\b",
        "a b",
        "a\nb",
        "a\x00b",
        "é",
        "x" * 256,
        "manifest.json",
    ],
)
def test_paths_stay_below_the_bundle(path):
    """A path from a manifest is joined to a directory on the device; it must not lead out of it or take the manifest's name."""
    assert any(pointer.startswith("/files/0") for pointer in pointers(changed("/files/0/path", path)))


@pytest.mark.parametrize("path", ["a", "a.b", "kit/a..b", "kit/...", "a-b_c+d", ".hidden"])
def test_ordinary_paths_are_allowed(path):
    value = changed("/files/0/path", path)
    value["pipeline"]["post"][2]["file"] = path

    assert parse(value).files[0].path == path


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/schema", 2),
        ("/name", "Toy"),
        ("/version", "1.2"),
        ("/min_edged", "new"),
        ("/variants", []),
        ("/variants/0/id", "toy-1.2.4-fp32-any"),
        ("/variants/0/tier", "cheap"),
        ("/variants/0/precision", "fp8"),
        ("/variants/0/format", "pickle"),
        ("/variants/0/files", []),
        ("/variants/0/targets/arch", []),
        ("/variants/0/targets/arch/0", "mips"),
        ("/variants/0/runtime/version", "any"),
        ("/variants/0/inputs", []),
        ("/variants/0/inputs/0/name", "other"),
        ("/variants/0/inputs/0/shape/0", -2),
        ("/variants/0/inputs/0/dtype", "STRING"),
        ("/variants/0/budget/latency_ms", 0),
        ("/files/0/sha256", "A" * 64),
        ("/files/0/size", -1),
        ("/files/0/role", "program"),
        ("/pipeline/pre/0/input", "nothing"),
        ("/pipeline/pre/0/begin", 0),
        ("/pipeline/post/0/input", "nothing"),
        ("/pipeline/post/2/file", "kit/kit.json"),
        ("/pipeline/post/2/file", "absent.txt"),
        ("/pipeline/outputs/0/name", "nothing"),
        ("/validation/kit", "labels.txt"),
        ("/validation/tolerance", []),
        ("/validation/tolerance/0/output", "scores"),
        ("/sbom", "labels.txt"),
        ("/provenance/licence", ""),
    ],
)
def test_each_rule_points_at_its_place(pointer, value):
    found = pointers(changed(pointer, value))

    assert any(place == pointer or pointer.startswith(place + "/") for place in found), found


@pytest.mark.parametrize("op", ["python@1", "bytes_window@2", "load_library@1"])
def test_a_bundle_cannot_name_other_steps(op):
    """Pre- and post-processing are data: only steps that edged knows exist."""
    assert any(p.startswith("/pipeline/pre/0") for p in pointers(changed("/pipeline/pre/0/op", op)))


def test_unknown_keys_are_refused_everywhere():
    for pointer in ("", "/variants/0", "/files/0", "/pipeline", "/pipeline/pre/0", "/provenance"):
        value = changed(f"{pointer}/surprise", 1)
        assert pointers(value) == {pointer}


def test_all_broken_rules_between_fields_are_reported_together():
    value = changed("/sbom", "absent")
    value["validation"]["kit"] = "absent"
    value["variants"][0]["id"] = "other"

    assert pointers(value) == {"/sbom", "/validation/kit", "/variants/0/id"}


def test_variants_have_different_ids():
    assert pointers(changed("/variants", [variant(), variant()])) == {"/variants/1/id"}


def test_variants_may_share_a_file():
    int8 = variant(id="toy-1.2.3-int8-any", precision="int8")
    manifest = parse(document(variants=[variant(), int8]))

    assert len(manifest.files_for(manifest.variants)) == 4


def test_one_path_means_one_content():
    int8 = variant(id="toy-1.2.3-int8-any", precision="int8", files=[entry("models/toy.onnx", "model", C)])

    assert pointers(document(variants=[variant(), int8])) == {"/variants/1/files/0/path"}


def test_no_file_is_also_a_directory():
    value = changed("/files/0/path", "models")
    value["pipeline"]["post"][2]["file"] = "models"

    assert pointers(value) == {"/variants/0/files/0/path"}


@pytest.mark.parametrize("files", [[entry("a", "labels")], [entry("a", "model"), entry("b", "model")]])
def test_each_variant_has_one_model_file(files):
    assert pointers(changed("/variants/0/files", files)) == {"/variants/0/files"}


@pytest.mark.parametrize(
    ("size", "index", "is_right"),
    [(CHUNK_BYTES, None, True), (CHUNK_BYTES + 1, D, True), (CHUNK_BYTES, D, False), (CHUNK_BYTES + 1, None, False)],
)
def test_files_larger_than_one_chunk_and_no_others_have_an_index(size, index, is_right):
    value = changed("/variants/0/files/0", entry("models/toy.onnx", "model", B, size, index))

    if is_right:
        assert parse(value)
    else:
        assert pointers(value) == {"/variants/0/files/0/index"}


def test_a_step_reads_only_what_was_written_before_it():
    value = document()
    value["pipeline"]["post"].reverse()

    assert {"/pipeline/post/0/input", "/pipeline/post/1/input"} <= pointers(value)


def test_the_type_is_immutable():
    manifest = parse(document())

    with pytest.raises(AttributeError):
        manifest.name = "other"
    assert isinstance(manifest, Manifest)


@pytest.mark.parametrize(
    "pointer",
    [
        "/name",
        "/version",
        "/min_edged",
        "/files/0/path",
        "/files/0/sha256",
        "/variants/0/id",
        "/variants/0/runtime/version",
    ],
)
def test_no_name_ends_in_a_line_break(pointer):
    """``$`` in a Python expression also matches before a final line break; names become paths, so they must not carry one."""
    value = document()
    place = value
    for part in pointer.strip("/").split("/"):
        place = place[int(part)] if isinstance(place, list) else place[part]

    assert pointers(changed(pointer, f"{place}\n"))


@pytest.mark.parametrize("place", ["budget", "tolerance"])
def test_limits_without_a_limit_are_refused(place):
    """1e400 is read as infinity, which every model keeps within."""
    data = document()
    if place == "budget":
        data["variants"][0]["budget"]["latency_ms"] = 2e9
    else:
        data["validation"]["tolerance"][0]["absolute"] = 2e9

    with pytest.raises(ManifestError, match="1000000000"):
        parse_manifest(json.dumps(data).encode(), source="manifest")
