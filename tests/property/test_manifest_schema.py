"""The published JSON Schemas and the types that read the documents say the same about every field.

But for one thing: to JSON Schema 5.0 is an integer, to the types it is not.
"""

import copy
import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edged.bundle.kit import Kit
from edged.bundle.manifest import Manifest
from edged.policy.document import PolicyFile
from edged.publish.building.recipe import Recipe
from edged.publish.building.schema import DOCUMENTS, document_schema
from tests.fakes.manifests import every_fallback, full_manifest

GOLDEN = Path(__file__).parents[1] / "golden/bundle/sources"


def recipe():
    return tomllib.loads((GOLDEN / "recipe.toml").read_text())


def kit():
    value = json.loads((GOLDEN / "kit/kit.json").read_text())
    value["samples"].append(
        {
            "name": "b",
            "inputs": [{"name": "x", "shape": [1], "data": [1]}, {"name": "y", "shape": [1], "file": "y.bin"}],
            "golden": [{"name": "sum", "dtype": "FP32", "shape": [1], "file": "g.bin"}],
        }
    )
    return value


def manifest():
    """Return a manifest with every key but those of steps, which the recipe has, too; each makes all the others slower."""
    value = full_manifest()
    value["pipeline"] |= {"pre": [], "post": []}
    value["fallback"] = every_fallback()
    return value


def policy():
    """Return a policy with every key."""
    then = {
        "variants": ["int8", "*"],
        "max_latency_ms": 150.0,
        "max_watts": 4.0,
        "max_joules": 0.5,
        "scale": 0.5,
        "max_concurrent": 1,
        "max_rate_per_s": 30.0,
        "frequency_share": 0.5,
        "defer_s": 60.0,
        "offload": "prefer",
        "deny": "no",
    }
    when = [{"thermal": ">= serious", "throttled": True, "idle_s": 5, "link": ["wifi"]}, {"battery_percent": "< 5"}]
    measured = {"int8": {"latency_ms": 5.0, "watts": 2.0, "joules": 0.01}}
    expect = {"rule": "hot", "action": "run", "variant": "int8", "scale": 0.5, "retry_after_s": 60.0}
    return {
        "schema": 1,
        "name": "site",
        "description": "For this site.",
        "dwell_s": 30.0,
        "rule": [{"name": "hot", "description": "It is hot.", "when": when, "then": then}],
        "test": [
            {
                "name": "hot",
                "given": {"thermal": "serious"},
                "variants": ["int8"],
                "measured": measured,
                "expect": expect,
            }
        ],
    }


KINDS = {
    "manifest": (Manifest, manifest()),
    "recipe": (Recipe, recipe()),
    "kit": (Kit, kit()),
    "policy": (PolicyFile, policy()),
}
VALIDATORS = {name: Draft202012Validator(document_schema(name)) for name in KINDS}
REMOVE = object()
VALUES = [
    REMOVE, None, True, 0, -1, 1, 1.5, 10**10, 10**30, 2**44 + 1, -0.5, 1e308, "", "x", "X y", "a" * 600, "0" * 64, "1.0.0", "1.0", "../x",
    "x\n", "fp32", "softmax@1", [], [1], ["x"], {}, {"x": 1}, [[]], [{}],
]  # fmt: skip
FRACTIONS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())


def places(value, at=()):
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from places(child, (*at, key))


def kinds_of_places(value):
    """Yield one place of each kind: all entries of a list are alike, except for the steps of a pipeline."""
    seen = set()
    for at in places(value):
        kind = tuple("*" if isinstance(key, int) and "pipeline" not in at else key for key in at)
        if kind not in seen:
            seen.add(kind)
            yield at


def mutated(value, at, replacement):
    if not at:
        return None if replacement is REMOVE else replacement
    result = copy.deepcopy(value)
    parent = result
    for key in at[:-1]:
        parent = parent[key]
    if replacement is REMOVE:
        del parent[at[-1]]
    else:
        parent[at[-1]] = replacement
    return result


def is_read(type_, value):
    try:
        msgspec.json.decode(json.dumps(value).encode(), type=type_)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return False
    return True


def test_every_kind_of_document_is_here():
    assert KINDS.keys() == DOCUMENTS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_a_schema_and_accepts_what_is_right(kind):
    Draft202012Validator.check_schema(document_schema(kind))
    type_, value = KINDS[kind]

    assert is_read(type_, value)
    assert list(VALIDATORS[kind].iter_errors(value)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_type_and_schema_agree_about_every_field(kind):
    """Every value of every field is replaced, left out, or joined by one more: both accept what comes out, or both refuse it."""
    type_, value = KINDS[kind]
    for at in kinds_of_places(value):
        for replacement in VALUES:
            changed = mutated(value, at, replacement)
            assert is_read(type_, changed) == VALIDATORS[kind].is_valid(changed), (at, replacement)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40)
def test_type_and_schema_agree_about_fields_changed_together(kind, data):
    type_, value = KINDS[kind]
    everywhere = list(places(value))[1:]
    anything = st.sampled_from(VALUES[1:]) | st.text(max_size=5) | st.integers() | FRACTIONS
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from(everywhere))
        try:
            value = mutated(value, at, data.draw(anything))
        except (KeyError, IndexError, TypeError):
            continue  # it went with what was changed before

    assert is_read(type_, value) == VALIDATORS[kind].is_valid(value)
