import json

import pytest

from edged.bundle.manifest import Tolerance
from edged.bundle.parse import parse_manifest
from edged.publish.review.explain import explain
from edged.publish.review.words import tolerance_text
from tests.fakes.manifests import full_manifest


def lines_of(value):
    return list(explain(parse_manifest(json.dumps(value).encode(), source="manifest")))


def test_everything_a_manifest_says_is_explained():
    text = "\n".join(lines_of(full_manifest()))

    for words in (
        "from made for tests, licence Apache-2.0",
        "supplied by x",
        f"trained with settings of sha256 {'c' * 64}",
        "built by x (edged 1.0.0) from 1 files",
        f"a  sha256 {'a' * 64}",
        "with the signature of the model's makers in model.sig",
        "toy-1.2.3-fp32-any: best for quality, fp32, 10 bytes onnx",
        "runs on amd64 or arm64 with cpu, at least 1 bytes of memory, avx2; onnxruntime >=1.20 (CPUExecutionProvider)",
        "may take 5 ms, 1000 bytes and 1.5 W an inference",
        "executed: 2 threads, spinning",
        f"distilled from a larger model, made from sha256 {'b' * 64}; x (edged 1.0.0)",
        "measured: top-1 accuracy of label, around a circle of 2: 0.9 on 10 samples",
        "may be off by its own measure: label each element within 0.1 + 0.1 of its size",
        "and, against the truth, label accuracy of label: at least 0.5",
        "when it cannot answer: a smaller variant, then a refusal",
    ):
        assert words in text, words


def test_types_are_shown_after_each_step():
    lines = lines_of(full_manifest())
    start = lines.index("An app")

    assert [" ".join(line.split()) for line in lines[start + 1 : start + 12]] == [
        "sends file BYTES [1]",
        "before bytes_window@1: file -> window (begin 4, end 4, block 64, padding 0)",
        "gives window INT32 [1, 8]",
        "model window INT32 [1, 8] -> scores FP32 [1, 3]",
        "after softmax@1: scores -> probabilities",
        "gives probabilities FP32 [1, 3]",
        "after top_k@1: probabilities -> confidence, index (k 1)",
        "gives confidence FP32 [1, 1], index INT64 [1, 1]",
        "after labels@1: index -> label (file labels.txt)",
        "gives label BYTES [1, 1]",
        "receives label BYTES [1, 1]",
    ]


def test_alternates_are_shown_with_what_runs_them():
    value = full_manifest()
    value["variants"][1] |= {
        "id": "toy-1.2.3-fp32-any-tflite",
        "format": "tflite",
        "runtime": {"name": "litert", "version": ">=1.0"},
    }
    text = "\n".join(lines_of(value))

    assert "litert >=1.0" in text
    assert "carried for other runtimes; edged itself runs onnx" in text


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        ({}, "exactly"),
        ({"absolute": 0.5}, "each element within 0.5"),
        ({"relative": 0.01}, "each element within 0.01 of its size"),
        ({"absolute": 2, "period": 360}, "each element within 2, the shorter way round a circle of 360"),
        ({"cosine": 0.99}, "each row with a cosine similarity of at least 0.99"),
        ({"top_1": 0.98}, "the largest element in its place in at least 98 % of all rows"),
        ({"absolute": 0.0}, "each element within 0"),
    ],
)
def test_tolerances_are_said_in_words(tolerance, words):
    assert tolerance_text(Tolerance(output="y", **tolerance)) == words
