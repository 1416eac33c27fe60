import json

import pytest

from edged.bundle.kit import Kit
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json
from edged.errors import BundleError
from edged.validation.fit import MAX_SHOWN, check_kit
from tests.fakes.manifests import D, document, entry

GOLDEN = {"name": "label", "dtype": "BYTES", "shape": [1, 1], "data": ["cat"]}


def check(*samples, **validation):
    value = document()
    value["files"].append(entry("kit/a.bin", "sample", D))
    value["validation"] |= validation
    kit = {"schema": 1, "reference": "x", "samples": samples}
    manifest = parse_manifest(json.dumps(value).encode(), source="manifest")
    check_kit(decode_json(Kit, json.dumps(kit).encode(), source="kit"), manifest, source="kit.json")


def sample(name="a", **changes):
    return {"name": name, "input": "kit/a.bin", "golden": [GOLDEN]} | changes


def test_a_kit_that_fits_is_accepted():
    check(sample(), sample("b"))


def test_every_mistake_is_named_at_once():
    """People mend a kit once."""
    with pytest.raises(BundleError) as caught:
        check(
            sample(),
            sample(),
            sample("b", input="kit/b.bin"),
            sample("c", golden=[GOLDEN | {"name": "width"}, GOLDEN | {"dtype": "INT64", "data": [1]}]),
            sample("d", inputs=[], input=None),
            metrics=[{"metric": "label_accuracy", "output": "label"}],
        )

    for words in (
        "kit.json: a is there twice",
        "kit.json: b: kit/b.bin is not listed",
        "kit.json: c: the pipeline has no output width",
        "kit.json: c: golden label: is INT64, the pipeline gives BYTES",
        "kit.json: d has to have either input or inputs",
        "/validation/metrics/0: no sample has a truth for label",
        "/validation/metrics/0: expected at_most or at_least",
    ):
        assert words in caught.value.message


def test_the_same_mistake_a_thousand_times_is_not_a_thousand_lines():
    with pytest.raises(BundleError, match=r"; and more$") as caught:
        check(*(sample(f"s{i}", input="kit/b.bin") for i in range(1000)))

    assert caught.value.message.count("is not listed") == MAX_SHOWN
