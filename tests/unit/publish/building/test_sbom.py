"""The bill of materials names every part with its digest, follows CycloneDX's own schema, and has the same bytes with every library."""

import json
import uuid
from pathlib import Path

import pytest
from cyclonedx.exception import MissingOptionalDependencyException
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edged.bundle.manifest import Budget, FileEntry, Metric, Origin, Provenance, Runtime, Targets, Variant
from edged.pipeline.spec import TensorSpec
from edged.publish.building.sbom import make_sbom

GOLDEN = Path(__file__).parents[3] / "golden" / "sbom" / "toy.cdx.json"
FILES = [
    FileEntry(path="labels.txt", role="labels", sha256="b" * 64, size=3),
    FileEntry(path="kit/kit.json", role="kit", sha256="c" * 64, size=3),
    FileEntry(path="kit/one.png", role="sample", sha256="d" * 64, size=3),
]
PROVENANCE = Provenance(source="made for tests", licence="Apache-2.0 OR MIT", supplier="Example Instruments")
TOOLS = {"onnxruntime": "1.21.0", "edged": "0.1.0", "onnx": "1.17.0"}


def variant(precision, digest, *more, **options):
    return Variant(
        id=f"toy-1.0.0-{precision}-any",
        tier="quality",
        precision=precision,
        format="onnx",
        files=(FileEntry(path=f"models/toy-{precision}.onnx", role="model", sha256=digest, size=10), *more),
        targets=Targets(arch=("amd64", "arm64")),
        runtime=Runtime(name="onnxruntime", version=">=1.20"),
        inputs=(TensorSpec(name="image", dtype="FP32", shape=(-1, 1, 128, 128)),),
        outputs=(TensorSpec(name="angle", dtype="FP32", shape=(-1, 1)),),
        budget=Budget(latency_ms=5, memory_bytes=1 << 20),
        **options,
    )


METRIC = Metric(metric="mean_absolute_error", output="angle", value=1.8612345678, samples=3000, period=360)
WEIGHTS = FileEntry(path="models/toy.bin", role="weights", sha256="9" * 64, size=10)
VARIANTS = [
    variant("fp32", "a" * 64, WEIGHTS, metrics=(METRIC,), origin=Origin(method="exported")),
    variant("int8", "e" * 64, origin=Origin(method="quantized-static", made_from="a" * 64)),
    variant("fp16", "f" * 64, origin=Origin(method="distilled", made_from="0" * 64)),
]


def sbom(**changes):
    values = {
        "name": "toy",
        "version": "1.0.0",
        "provenance": PROVENANCE,
        "variants": VARIANTS,
        "files": FILES,
        "tools": TOOLS,
    }
    return make_sbom(**values | changes)


def components(data=None):
    return {c["bom-ref"]: c for c in json.loads(data or sbom())["components"]}


def test_each_variant_is_a_machine_learning_model_with_hash_licence_and_supplier():
    model = components()["variant:toy-1.0.0-fp32-any"]

    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert model["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert model["supplier"] == {"name": "Example Instruments"}
    assert {p["name"]: p["value"] for p in model["properties"]}["edged:path"] == "models/toy-fp32.onnx"


def test_the_model_card_says_what_goes_in_what_comes_out_and_how_good_it_was():
    card = components()["variant:toy-1.0.0-fp32-any"]["modelCard"]

    assert card["modelParameters"] == {
        "datasets": [{"ref": "file:kit/kit.json"}],
        "inputs": [{"format": "image FP32 [any, 1, 128, 128]"}],
        "outputs": [{"format": "angle FP32 [any, 1]"}],
    }
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "mean_absolute_error", "value": "1.86123", "slice": "output angle, 3000 samples, period 360"}
    ]
    assert "quantitativeAnalysis" not in components()["variant:toy-1.0.0-int8-any"]["modelCard"]


def test_a_variant_names_the_one_it_was_made_from():
    pedigree = components()["variant:toy-1.0.0-int8-any"]["pedigree"]

    assert pedigree["notes"] == "quantized-static"
    assert [(a["name"], a["hashes"][0]["content"]) for a in pedigree["ancestors"]] == [("toy-1.0.0-fp32-any", "a" * 64)]


def test_an_ancestor_that_is_not_in_the_bundle_is_named_by_its_digest():
    (ancestor,) = components()["variant:toy-1.0.0-fp16-any"]["pedigree"]["ancestors"]

    assert ancestor["name"] == "sha256:" + "0" * 64


def test_files_are_components_of_their_kind():
    found = components()

    assert found["file:labels.txt"]["type"] == "file"
    assert found["file:models/toy.bin"]["hashes"] == [{"alg": "SHA-256", "content": "9" * 64}]
    for path in ("kit/kit.json", "kit/one.png"):
        assert found[f"file:{path}"]["type"] == "data"
        assert found[f"file:{path}"]["data"][0]["classification"] == "public"


def test_document_says_what_it_describes_and_what_made_it():
    document = json.loads(sbom())

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "toy"
    assert [(t["name"], t["version"]) for t in document["metadata"]["tools"]["components"]] == sorted(TOOLS.items())


def test_bundle_depends_on_all_and_a_variant_on_what_lies_beside_it():
    depends = {d["ref"]: d.get("dependsOn", []) for d in json.loads(sbom())["dependencies"]}

    assert depends["bundle:toy@1.0.0"] == sorted(components())
    assert depends["variant:toy-1.0.0-fp32-any"] == ["file:models/toy.bin"]


def test_same_files_give_same_bytes_in_any_order():
    assert sbom() == sbom(files=FILES[::-1], tools=dict(reversed(TOOLS.items())))


def test_bytes_are_the_same_with_every_version_of_the_library():
    """The golden file was made once and is compared wherever the tests run; to renew it, write ``sbom()`` there."""
    assert sbom(built_unix_s=1_700_000_000) == GOLDEN.read_bytes()


def test_serial_number_follows_the_content():
    """A bill of materials for other content is another document, so it must not share the number."""
    others = ({}, {"version": "1.0.1"}, {"files": FILES[:2]}, {"variants": VARIANTS[:1]}, {"tools": {}})
    serials = {json.loads(sbom(**other))["serialNumber"] for other in others}

    assert len(serials) == len(others)
    assert all(uuid.UUID(serial.removeprefix("urn:uuid:")).version == 5 for serial in serials)


def test_time_is_absent_or_the_one_given():
    assert "timestamp" not in json.loads(sbom())["metadata"]
    assert json.loads(sbom(built_unix_s=0))["metadata"]["timestamp"].startswith("1970-01-01T00:00:00")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"built_unix_s": 1},
        {"tools": {}},
        {"files": []},
        {"variants": VARIANTS[:1], "provenance": Provenance(source="s", licence="MIT")},
    ],
)
def test_document_follows_the_schema_of_cyclonedx(changes):
    try:
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom(**changes).decode())
    except MissingOptionalDependencyException as exc:
        pytest.skip(f"cyclonedx-lib cannot validate here: {exc}")
    assert problem is None


def test_the_schema_would_notice_a_wrong_model_card():
    """The validation above would be worth nothing if the parts that are added by hand were not looked at."""
    wrong = sbom().replace(b'"performanceMetrics"', b'"performance"')
    try:
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(wrong.decode())
    except MissingOptionalDependencyException as exc:
        pytest.skip(f"cyclonedx-lib cannot validate here: {exc}")
    assert problem is not None
