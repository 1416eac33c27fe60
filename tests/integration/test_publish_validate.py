"""``edge-publish bundle validate`` through a real worker process."""

import json

import pytest

from edged.publish.main import main
from tests.fakes.bundles import make_bundle, make_recipe


def test_bundle_with_right_golden_outputs_passes(tmp_path, capsys):
    assert main(["bundle", "validate", str(make_bundle(tmp_path))]) == 0

    assert "adder-1.0.0-fp32-any: passed, 4 samples" in capsys.readouterr().out


def test_bundle_with_wrong_golden_outputs_fails_with_code_10_and_every_reason(tmp_path, capsys):
    """The publisher's pipeline stops where a device would: before the bundle is signed."""
    assert main(["bundle", "validate", str(make_bundle(tmp_path, golden_offset=1.0)), "--json"]) == 10
    out, err = capsys.readouterr()
    (verdict,) = json.loads(out)["variants"]

    assert verdict["passed"] is False
    assert [reason.split(",")[0] for reason in verdict["reasons"]] == [
        "sample empty.bin",
        "sample one.bin",
        "sample words.txt",
        "sample high.bin",
    ]
    assert "[validation-failed]" in err


def test_altered_bundle_is_refused_before_it_is_loaded(tmp_path, capsys):
    bundle = make_bundle(tmp_path)
    (bundle / "models/adder-1.0.0-fp32-any.onnx").write_bytes(b"x")

    assert main(["bundle", "validate", str(bundle)]) == 10
    assert "is not what its manifest says" in capsys.readouterr().err


def test_variant_over_its_latency_budget_fails(tmp_path, capsys):
    recipe = make_recipe(tmp_path / "src")
    recipe.write_text(recipe.read_text().replace("latency_ms = 1000.0", "latency_ms = 0.0001"))

    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0
    assert main(["bundle", "validate", str(tmp_path / "adder-1.0.0")]) == 10
    assert "the budget" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "code"), [(["--variant", "other"], 2), (["--timeout", "0"], 2)])
def test_senseless_options_are_refused(tmp_path, options, code):
    assert main(["bundle", "validate", str(make_bundle(tmp_path)), *options]) == code
