"""The description of the API as a document."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edged.api.description.openapi import describe, document
from edged.api.description.operations import OPERATIONS
from edged.api.oip.parameters import read_wishes
from edged.api.oip.schemas import REQUEST_PARAMETERS
from edged.errors import RequestError

JSON_VALUES = st.one_of(
    st.booleans(),
    st.integers(-1, 2),
    st.integers(-(1 << 63), (1 << 64) + 1),
    st.sampled_from([0.5, 1.0, -1.0, 1e300, "", "1", "interactive", "background", "other", "x" * 129]),
)


def test_it_is_an_openapi_document():
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not in Debian")

    validator.validate(json.loads(document()))


def test_names_of_operations_and_routes_are_given_once():
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


def test_equal_code_gives_equal_bytes():
    """Hashes of texts differ from process to process, and with them the order of sets."""
    program = "import sys; from edged.api.description.openapi import document; sys.stdout.buffer.write(document())"
    documents = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert documents == {document()}


def test_every_reference_leads_somewhere():
    value = json.loads(document())

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                yield from references(item)

    for reference in references(value):
        target = value
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_bytes_have_no_schema_and_no_operation_is_without_refusals():
    infer = describe(OPERATIONS)["paths"]["/v2/models/{model}/infer"]["post"]

    assert infer["requestBody"]["content"]["application/octet-stream"] == {}
    assert {"404", "409", "422", "429", "500", "503", "504"} <= infer["responses"].keys()


@pytest.mark.parametrize("name", [name for name in REQUEST_PARAMETERS if not name.startswith("sequence_")])
@given(value=JSON_VALUES)
def test_a_parameter_holds_what_is_described_and_nothing_else(name, value):
    assert was_taken({name: value}) == Draft202012Validator(REQUEST_PARAMETERS[name]).is_valid(value)


@pytest.mark.parametrize("name", [name for name in REQUEST_PARAMETERS if name.startswith("sequence_")])
@given(value=JSON_VALUES)
def test_a_parameter_of_a_sequence_holds_what_is_described_and_nothing_else(name, value):
    parameters = {"sequence_id": 1, name: value}

    assert was_taken(parameters) == Draft202012Validator(REQUEST_PARAMETERS[name]).is_valid(value)


def was_taken(parameters) -> bool:
    try:
        read_wishes(parameters, has_state=True)
    except RequestError:
        return False
    return True
