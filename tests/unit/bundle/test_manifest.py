import copy
import json

import pytest

from edged.bundle.manifest import CHUNK_BYTES, Manifest
from edged.bundle.parse import parse_manifest
from edged.codec import encode_canonical, encode_readable
from edged.errors import ManifestError
from edged.ids import Version
from tests.fakes.manifests import B, C, D, document, entry, variant


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
    assert "/variants/0/files" in pointers(changed("/variants/0/files", files))


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


def problems(value):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(value if isinstance(value, bytes) else json.dumps(value).encode(), source="manifest.json")
    return {problem.pointer: str(problem) for problem in caught.value.problems}


def test_broken_fields_and_broken_rules_between_others_are_reported_together():
    """People mend a manifest once: a typing mistake in one place does not hide a wrong name in another."""
    value = changed("/sbom", "absent")
    value["variants"] += [variant(id="other"), variant(tier="cheap")]
    value["provenance"]["surprise"] = 1
    value["min_edged"] = "new"

    assert set(problems(value)) == {"/sbom", "/variants/1/id", "/variants/2/tier", "/provenance", "/min_edged"}


@pytest.mark.parametrize("part", ["name", "files", "pipeline", "validation", "variants", "sbom"])
@pytest.mark.parametrize("value", [None, 5, {}, [5]])
def test_a_part_that_cannot_be_read_spares_the_others_what_follows_from_it(part, value):
    found = problems(document(**{part: value}, min_edged="new"))

    assert "/min_edged" in found
    assert all(pointer.startswith((f"/{part}", "/min_edged")) for pointer in found), found


def test_a_key_that_comes_twice_is_refused():
    """Whoever signs reads the one, whoever runs the other."""
    text = json.dumps(document()).replace('"tier": "quality"', '"tier": "speed", "tier": "quality"')

    assert set(problems(text.encode())) == {"/variants/0/tier"}
    assert set(problems(text.replace('"0.1.0"', '"new"').encode())) == {"/variants/0/tier", "/min_edged"}


@pytest.mark.parametrize(
    ("pointer", "value", "advice"),
    [
        ("/variants/0/budget/latency_ms", "200ms", "expected number of milliseconds; write 200, got '200ms'"),
        ("/variants/0/budget/latency_ms", "0.2 s", "write 200,"),
        ("/variants/0/budget/latency_ms", "fast", "expected number of milliseconds, got 'fast'"),
        ("/variants/0/budget/memory_bytes", "128MB", "expected integer of bytes; write 128000000, got"),
        ("/variants/0/budget/memory_bytes", "128 MiB", "write 134217728,"),
        ("/variants/0/budget/power_watts", "1.5W", "write 1.5,"),
        ("/variants/0/targets/min_memory_bytes", "2G", "write 2147483648,"),
        ("/variants/0/targets/cpu_features", ["avx-2"], "did you mean 'avx2'?"),
        ("/variants/0/precision", "int16", "did you mean 'int8'?"),
        ("/pipeline/post/0/op", "soft_max@1", "did you mean 'softmax@1'?"),
        ("/version", "1.2", "expected a semantic version such as 1.4.0"),
        ("/files/0/sha256", "A" * 64, "expected a SHA-256 as 64 lower-case hexadecimal digits"),
        ("/files/0/size", -1, "expected at least 0, got -1"),
    ],
)
def test_an_error_says_what_to_write_instead(pointer, value, advice):
    text = problems(changed(pointer, value))

    assert any(advice in problem for place, problem in text.items() if place.startswith(pointer)), text


@pytest.mark.parametrize(
    ("place", "wrong", "right"),
    [
        ("/variants/0/budget", "latency", "latency_ms"),
        ("/variants/0/budget", "memory", "memory_bytes"),
        ("/variants/0", "targts", "targets"),
        ("/provenance", "license", "licence"),
        ("", "variant", "variants"),
    ],
)
def test_a_key_that_was_nearly_right_is_guessed(place, wrong, right):
    assert f"{wrong!r} was unexpected; did you mean {right!r}?" in problems(changed(f"{place}/{wrong}", 1))[place]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"\xef\xbb\xbf{}", "without a byte order mark"),
        ("{}".encode("utf-16"), "without a byte order mark"),
        (b'{\n  "schema": 1,\n  "name" "toy"\n}', "line 3, column 10"),
        (b'{"schema": NaN}', "NaN, which is no JSON number"),
        (b'{"schema": -Infinity}', "-Infinity, which is no JSON number"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"", "line 1, column 1"),
        (b'{"a": "\xff"}', "utf-8"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(text, found):
    assert found in problems(text)[""]


def test_a_number_above_all_numbers_is_refused():
    assert "/files/0/size" in problems(changed("/files/0/size", 10**30))


@pytest.mark.parametrize(
    ("id_", "arch", "is_right"),
    [
        ("toy-1.2.3-fp32-any", ["amd64", "arm64"], True),
        ("toy-1.2.3-fp32-any-dotprod", ["amd64", "arm64"], True),
        ("toy-1.2.3-fp32-arm64", ["arm64"], True),
        ("toy-1.2.3-fp32-any", ["arm64"], False),
        ("toy-1.2.3-fp32-anything", ["amd64", "arm64"], False),
        ("toy-1.2.3-int8-any", ["amd64", "arm64"], False),
    ],
)
def test_an_id_is_name_version_precision_and_architecture(id_, arch, is_right):
    value = document(variants=[variant(id=id_, targets={"arch": arch})])

    if is_right:
        assert parse(value).variants[0].id == id_
    else:
        assert pointers(value) == {"/variants/0/id"}


def test_files_of_a_variant_are_its_model_and_weights():
    files = [entry("models/m.xml", "model"), entry("models/m.bin", "weights", B), entry("readme", "document", C)]

    assert pointers(changed("/variants/0/files", files)) == {"/variants/0/files/2/role"}


def test_what_runs_a_format_is_fixed():
    assert pointers(changed("/variants/0/format", "tflite")) == {"/variants/0/runtime/name"}


def test_a_signature_is_listed():
    value = document(signature="model.sig")
    assert pointers(value) == {"/signature"}

    value["files"].append(entry("model.sig", "signature"))
    assert parse(value).signature == "model.sig"


def test_no_step_touches_a_state():
    state = {
        "inputs": [{"name": "window", "dtype": "INT32", "shape": [1, 8]}],
        "outputs": [
            {"name": n, "dtype": d, "shape": s} for n, d, s in (("scores", "FP32", [1, 3]), ("next", "INT32", [1, 8]))
        ],
        "state": [{"input": "window", "output": "next"}],
    }

    assert pointers(document(variants=[variant(**state)])) == {"/variants/0/state/0/input"}


@pytest.mark.parametrize("depth", [50, 150, 900, 2_000, 9_000, 50_000])
@pytest.mark.parametrize(
    ("begin", "opening", "closing"),
    [('{"schema":1,"schema":1,"x":', "[", "]"), ('{"name":', "[", "]"), ('{"files":', '[{"a":', ',"a":2}]')],
)
def test_a_document_of_any_depth_is_refused_and_not_tripped_over(depth, begin, opening, closing):
    """Interpreters read to depths at which what looks through a document afterwards has no stack left."""
    text = f"{begin}{opening * depth}1{closing * depth}}}"

    with pytest.raises(ManifestError, match="deep: /"):
        parse_manifest(text.encode(), source="deep")
