"""Rules for when a model cannot answer: what a manifest may say, and what it says in words."""

import json

import pytest

from edged.bundle.fallback import Constant, PreviousVersion, Refuse, SmallerVariant, fallback_text
from edged.bundle.parse import parse_manifest
from edged.errors import ManifestError
from tests.fakes.manifests import document, every_fallback, variant

UNKNOWN = {"name": "label", "dtype": "BYTES", "shape": [1, 1], "data": ["unknown"]}


def parse(*rules, **changes):
    return parse_manifest(json.dumps(document(fallback=rules, **changes)).encode(), source="manifest.json")


def constant(**changes):
    return {"use": "constant", "outputs": [UNKNOWN | changes]}


def problems(*rules, **changes):
    with pytest.raises(ManifestError) as caught:
        parse(*rules, **changes)
    return {problem.pointer: str(problem) for problem in caught.value.problems}


def test_rules_are_read_in_order():
    value = every_fallback()
    rules = parse(*value, variants=[variant(), variant(id="toy-1.2.3-fp32-any-b")]).fallback

    assert [type(rule) for rule in rules] == [SmallerVariant, PreviousVersion, Constant, Refuse]
    assert (rules[0].variant, rules[2].outputs[0].data) == ("toy-1.2.3-fp32-any-b", ("unknown",))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dtype": "FP32", "data": [0.5]}, "/fallback/0/outputs/0"),
        ({"shape": [1]}, "/fallback/0/outputs/0"),
        ({"shape": [2, 1], "data": ["a", "b"]}, "/fallback/0/outputs/0"),
        ({"data": []}, "/fallback/0/outputs/0/data"),
        ({"data": ["a", "b"]}, "/fallback/0/outputs/0/data"),
        ({"data": [1]}, "/fallback/0/outputs/0/data/0"),
        ({"name": "other"}, "/fallback/0/outputs/0/name"),
    ],
)
def test_constant_that_is_no_output_of_the_pipeline_is_a_mistake(changes, pointer):
    assert pointer in problems(constant(**changes))


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("BOOL", True, True),
        ("BOOL", 1, False),
        ("UINT8", 255, True),
        ("UINT8", 256, False),
        ("UINT8", 1.0, False),
        ("UINT8", True, False),
        ("INT64", -(2**63), True),
        ("UINT64", 2**64 - 1, True),
        ("FP16", 65504, True),
        ("FP16", 1e6, False),
        ("FP32", 1, True),
        ("FP32", "1", False),
    ],
)
def test_values_are_of_their_datatype(dtype, value, fits):
    pipeline = document()["pipeline"]
    spec = {"name": "scores", "dtype": dtype, "shape": [1, 3]}
    bare = {"inputs": pipeline["inputs"], "pre": pipeline["pre"], "outputs": [spec]}
    outputs = [{"name": "scores", "dtype": dtype, "shape": [1, 3], "data": [value] * 3}]
    rule = {"use": "constant", "outputs": outputs}
    kit = {"kit": "kit/kit.json", "tolerance": [{"output": "scores"}]}
    variants = [variant(outputs=[spec])]

    if fits:
        assert parse(rule, pipeline=bare, validation=kit, variants=variants).fallback[0].outputs[0].data == (value,) * 3
    else:
        assert "/fallback/0/outputs/0/data/0" in problems(rule, pipeline=bare, validation=kit, variants=variants)


def test_all_outputs_of_a_constant_are_needed_each_once():
    outputs = [UNKNOWN, UNKNOWN]
    assert "/fallback/0/outputs/1/name" in problems({"use": "constant", "outputs": outputs})
    assert "/fallback/0/outputs" in problems(constant(name="other"))


def test_variant_has_to_be_one_of_the_manifest():
    found = problems({"use": "smaller-variant", "variant": "toy-9.9.9-int8-any"})

    assert "toy-1.2.3-fp32-any" in found["/fallback/0/variant"]


def test_rules_after_a_refusal_are_a_mistake_because_nothing_reaches_them():
    assert set(problems({"use": "refuse"}, {"use": "previous-version"})) == {"/fallback/0"}


@pytest.mark.parametrize(
    "rule",
    [{"use": "guess"}, {"use": "constant"}, {"use": "refuse", "variant": "x"}, {"use": "constant", "outputs": []}, {}],
)
def test_what_is_no_rule_is_a_mistake(rule):
    assert problems(rule)


def test_words_say_what_answers():
    rules = parse({"use": "smaller-variant"}, {"use": "previous-version"}, constant(), {"use": "refuse"}).fallback

    assert [fallback_text(rule) for rule in rules] == [
        "a smaller variant",
        "the previous version",
        "a constant (label [unknown])",
        "a refusal",
    ]
