import json

import pytest

from edged.bundle.parse import parse_manifest
from edged.publish.review.diff import differences
from tests.fakes.manifests import full_manifest


def manifest(**changes):
    """Return a manifest; changes are values by JSON pointer."""
    value = full_manifest()
    for pointer, new in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in pointer.strip("/").split("/")]
        place = value
        for part in parents:
            place = place[part]
        place[last] = new
    return parse_manifest(json.dumps(value).encode(), source="manifest")


def changes_to(**changes):
    return {
        (c.section, c.subject): (c.before, c.after, c.verdict) for c in differences(manifest(), manifest(**changes))
    }


@pytest.mark.parametrize(
    ("pointer", "value", "place", "words"),
    [
        ("/min_edged", "0.2.0", ("bundle", "needs edged"), ("0.1.0", "0.2.0", None)),
        ("/provenance/supplier", "y", ("bundle", "supplier"), ("x", "y", None)),
        (
            "/fallback",
            [{"use": "smaller-variant", "variant": "toy-1.2.3-fp32-any-b"}, {"use": "previous-version"}],
            ("bundle", "when it cannot answer"),
            ("a smaller variant, then a refusal", "variant fp32-any-b, then the previous version", None),
        ),
        ("/variants/0/tier", "speed", ("variant fp32-any", "tier"), ("quality", "speed", None)),
        ("/variants/0/budget/latency_ms", 4, ("variant fp32-any", "budget: latency"), ("5 ms", "4 ms", None)),
        ("/variants/0/budget/power_watts", None, ("variant fp32-any", "budget: power"), ("1.5 W", None, None)),
        (
            "/variants/0/metrics/0/value",
            0.95,
            ("variant fp32-any", "top-1 accuracy of label, around a circle of 2"),
            ("0.9 on 10 samples", "0.95 on 10 samples", "better"),
        ),
        (
            "/variants/0/metrics/0/value",
            0.85,
            ("variant fp32-any", "top-1 accuracy of label, around a circle of 2"),
            ("0.9 on 10 samples", "0.85 on 10 samples", "worse"),
        ),
        (
            "/variants/0/metrics/0",
            {"metric": "mean_absolute_error", "output": "label", "value": 0.9, "samples": 10},
            ("variant fp32-any", "mean absolute error of label"),
            (None, "0.9 on 10 samples", None),
        ),
        ("/pipeline/outputs/0/shape", [-1, 1], ("apps", "receive label"), ("BYTES [1, 1]", "BYTES [any, 1]", None)),
        (
            "/validation/tolerance/0",
            {"output": "label", "label_set": 0.5},
            ("validation", "tolerance of label"),
            ("exactly", "at least 50 % of the labels in common, in any order", None),
        ),
        (
            "/files/0",
            {"path": "labels.txt", "role": "labels", "sha256": "f" * 64, "size": 9},
            ("file", "labels.txt"),
            ("labels, 10 bytes, sha256 cccccccccccc", "labels, 9 bytes, sha256 ffffffffffff", None),
        ),
    ],
)
def test_a_change_is_told_where_it_is_with_both_values(pointer, value, place, words):
    assert changes_to(**{pointer: value})[place] == words


def test_sizes_that_shrink_are_better():
    value = full_manifest()["variants"][0]["files"][0] | {"size": 9, "path": "models/toy2.onnx"}
    found = changes_to(**{"/variants/0/files": [value], "/variants/1/files": [value]})

    assert found["variant fp32-any", "size"] == ("10 bytes", "9 bytes", "better")
    assert found["bundle", "size of all files"][2] == "better"


def test_nothing_differs_from_itself():
    assert differences(manifest(), manifest()) == []


def test_variants_are_the_same_variant_in_every_version():
    value = full_manifest()
    text = json.dumps(value).replace("1.2.3", "1.3.0")
    found = differences(manifest(), parse_manifest(text.encode(), source="manifest"))

    assert [(c.section, c.subject, c.before, c.after) for c in found] == [("bundle", "version", "1.2.3", "1.3.0")]


def test_a_variant_that_came_is_told_with_all_it_is():
    before = manifest()
    value = full_manifest()
    value["variants"].append(value["variants"][1] | {"id": "toy-1.2.3-int8-any", "precision": "int8"})
    found = differences(before, parse_manifest(json.dumps(value).encode(), source="manifest"))

    assert {c.section for c in found} == {"variant int8-any"}
    assert all(c.before is None for c in found)


def test_steps_are_compared_in_their_order():
    def with_steps(*k):
        value = full_manifest()
        post = value["pipeline"]["post"]
        value["pipeline"]["post"] = [post[0] | {"output": f"p{i}", "input": f"p{i - 1}" if i else "scores"} for i in k]
        value["pipeline"]["outputs"] = [{"name": "scores", "dtype": "FP32", "shape": [1, 3]}]
        value["validation"] = {"kit": "kit/kit.json", "tolerance": [{"output": "scores"}]}
        value["variants"] = [value["variants"][1]]
        return parse_manifest(json.dumps(value).encode(), source="manifest")

    (gone,) = differences(with_steps(0, 1, 2), with_steps(0, 1))
    assert (gone.section, gone.subject, gone.before, gone.after) == (
        "step after the model",
        "3",
        "softmax@1: p1 -> p2",
        None,
    )


@pytest.mark.parametrize(
    ("pointer", "value"), [("/variants/0/session/threads", 3), ("/provenance/making/command", "y")]
)
def test_no_difference_is_silent(pointer, value):
    """Whatever differs between two manifests, somebody who reviews them hears of it."""
    assert changes_to(**{pointer: value})


def test_only_the_order_of_variants_is_still_a_difference():
    value = full_manifest()
    value["variants"].reverse()

    (change,) = differences(manifest(), parse_manifest(json.dumps(value).encode(), source="manifest"))
    assert change.subject == "order or details"
