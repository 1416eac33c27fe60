import json
import uuid

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edged.bundle.manifest import FileEntry
from edged.publish.sbom import make_sbom

FILES = [
    FileEntry(path="models/toy.onnx", role="model", sha256="a" * 64, size=10),
    FileEntry(path="labels.txt", role="labels", sha256="b" * 64, size=3),
    FileEntry(path="kit/kit.json", role="kit", sha256="c" * 64, size=3),
]


def sbom(files=FILES, **changes):
    values = {"name": "toy", "version": "1.0.0", "licence": "Apache-2.0 OR MIT", "source": "made for tests"} | changes
    return make_sbom(files=files, **values)


def test_model_is_a_machine_learning_component_with_hash_and_licence():
    components = {c["name"]: c for c in json.loads(sbom())["components"]}

    assert components["models/toy.onnx"]["type"] == "machine-learning-model"
    assert components["models/toy.onnx"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert components["models/toy.onnx"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert components["labels.txt"]["type"] == "file"
    assert components["kit/kit.json"]["type"] == "data"


def test_document_says_what_it_describes():
    document = json.loads(sbom())

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == "toy"
    assert document["metadata"]["component"]["type"] == "machine-learning-model"


def test_same_files_give_same_bytes_in_any_order():
    assert sbom() == sbom(files=FILES[::-1])


def test_serial_number_follows_the_content():
    """A bill of materials for other content is another document, so it must not share the number."""
    serials = {json.loads(data)["serialNumber"] for data in (sbom(), sbom(version="1.0.1"), sbom(files=FILES[:2]))}

    assert len(serials) == 3
    assert all(uuid.UUID(serial.removeprefix("urn:uuid:")).version == 5 for serial in serials)


def test_time_is_absent_or_the_one_given():
    assert "timestamp" not in json.loads(sbom())["metadata"]
    assert json.loads(sbom(built_unix_s=0))["metadata"]["timestamp"].startswith("1970-01-01T00:00:00")


def test_document_follows_the_schema_of_cyclonedx():
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom().decode()) is None
