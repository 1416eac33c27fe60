"""``edge-publish bundle validate`` through a real worker process."""

import json
from xml.etree import ElementTree as ET

import pytest

from edged.bundle.edgeb import pack
from edged.publish.main import main
from tests.fakes.bundles import make_bundle, make_recipe


def test_bundle_with_right_golden_outputs_passes(tmp_path, capsys):
    assert main(["bundle", "validate", str(make_bundle(tmp_path))]) == 0

    out, err = capsys.readouterr()

    assert out.splitlines()[1].startswith("adder-1.0.0-fp32-any  passed  4 of 4 good")
    assert "validate adder-1.0.0-fp32-any" in err


def test_bundle_with_wrong_golden_outputs_fails_with_code_10_and_every_reason(tmp_path, capsys):
    """The publisher's pipeline stops where a device would: before the bundle is signed."""
    assert main(["bundle", "validate", str(make_bundle(tmp_path, golden_offset=1.0)), "--json"]) == 10
    out, err = capsys.readouterr()
    (verdict,) = json.loads(out)["variants"]

    assert verdict["status"] == "failed"
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


def test_a_packed_bundle_is_validated_like_a_directory(tmp_path, capsys):
    bundle = make_bundle(tmp_path)
    pack(bundle, tmp_path / "adder.edgeb")

    assert main(["bundle", "validate", str(tmp_path / "adder.edgeb"), "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["bundle"], document["passed"]) == (1, "adder-1.0.0", True)
    assert document["runtime"].startswith("onnxruntime ")
    assert 0 < document["variants"][0]["memory"]["needed_bytes"] < 32 << 20


def test_continuous_integration_gets_a_report_also_of_a_failure(tmp_path):
    report = tmp_path / "report.xml"

    assert main(["bundle", "validate", str(make_bundle(tmp_path, golden_offset=1.0)), "--junit", str(report)]) == 10

    (suite,) = ET.parse(report).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("adder-1.0.0-fp32-any", "6", "4")


def test_names_of_samples_do_nothing_to_a_terminal(tmp_path, capsys):
    recipe = make_recipe(tmp_path / "src", golden_offset=1.0)
    kit = recipe.parent / "kit/kit.json"
    kit.write_text(kit.read_text().replace('"name": "one.bin"', '"name": "\\u001b[2J\\u0007"'))
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0

    assert main(["bundle", "validate", str(tmp_path / "adder-1.0.0")]) == 10

    out, err = capsys.readouterr()
    assert "sample \\x1b[2J\\x07, output sum" in out
    assert "\x1b" not in out + err


def test_a_weak_kit_is_warned_about_where_people_and_programs_look(tmp_path, capsys):
    recipe = make_recipe(tmp_path / "src")
    recipe.write_text(recipe.read_text().replace("absolute = 0.001", "absolute = 100000.0"))
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0
    capsys.readouterr()

    assert main(["bundle", "validate", str(tmp_path / "adder-1.0.0"), "--json"]) == 0

    out, err = capsys.readouterr()
    few, wide = json.loads(out)["warnings"]
    assert few.startswith("the kit has 4 samples")
    assert "so wide that" in wide
    assert f"warning: {few}\nwarning: {wide}\n" in err


OTHER_MACHINE = """
[[variants]]
model = "adder.onnx"
tier = "quality"
precision = "fp16"
targets = { arch = ["amd64", "arm64"], min_memory_bytes = 1099511627776 }
budget = { latency_ms = 1000.0, memory_bytes = 134217728 }
"""


@pytest.fixture
def for_others(tmp_path):
    """A bundle with a second variant, which needs a TiB of memory."""
    recipe = make_recipe(tmp_path / "src")
    recipe.write_text(recipe.read_text().replace("\n[pipeline]", f"{OTHER_MACHINE}\n[pipeline]"))
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0
    return tmp_path / "adder-1.0.0"


def test_a_variant_for_other_machines_is_listed_as_skipped_with_the_reason(for_others, capsys):
    assert main(["bundle", "validate", str(for_others)]) == 0

    out = capsys.readouterr().out
    assert "adder-1.0.0-fp16-any  skipped" in out
    assert "  needs 1.0 TiB of memory, this machine has " in out


def test_when_there_is_nothing_to_validate_that_is_an_error(for_others, capsys):
    """A pipeline that runs on the wrong machine must not look green."""
    assert main(["bundle", "validate", str(for_others), "--variant", "adder-1.0.0-fp16-any"]) == 1

    assert "no variant of adder 1.0.0 fits this machine" in capsys.readouterr().err
