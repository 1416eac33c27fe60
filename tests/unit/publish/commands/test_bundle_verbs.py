"""``bundle match``, ``diff``, ``show`` and ``schema`` as commands: what they print, and their exit codes."""

import json
import shutil

import pytest
from jsonschema import Draft202012Validator

from edged.bundle.edgeb import pack
from edged.publish.building.schema import DOCUMENTS, document_schema
from edged.publish.building.schema import main as write_schemas
from edged.publish.main import main
from edged.select.machine import Machine
from tests.fakes.bundles import make_bundle
from tests.fakes.pipes import piped

PI = """
arch = "arm64"
memory_bytes = 3977248768
cpu_features = ["neon"]
runtimes = { onnxruntime = "1.21.0" }
"""


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_match_says_what_a_machine_runs(adder, tmp_path, capsys):
    (tmp_path / "pi.toml").write_text(PI)

    assert main(["bundle", "match", str(adder), "--machine", str(tmp_path / "pi.toml")]) == 0
    assert lines(capsys) == [
        "adder-1.0.0-fp32-any: fits this machine, first by tier (quality) and precision (fp32)",
    ]


def test_match_reads_a_description_that_another_command_writes(adder):
    with piped(PI.encode()) as path:
        assert main(["bundle", "match", str(adder), "--machine", str(path)]) == 0


def test_match_says_why_nothing_fits(adder, tmp_path, capsys):
    (tmp_path / "old.toml").write_text(PI.replace("1.21.0", "1.16.3").replace("arm64", "armhf"))

    assert main(["bundle", "match", str(adder), "--machine", str(tmp_path / "old.toml")]) == 1
    err = capsys.readouterr().err
    assert "built for amd64 and arm64, this machine is armhf" in err
    assert "needs onnxruntime >=1.20,<2, this machine has 1.16.3" in err


def test_match_prints_a_machine_that_match_reads(adder, tmp_path, capsys):
    assert main(["bundle", "match", str(adder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (tmp_path / "this.json").write_text(json.dumps(printed["machine"]))

    assert main(["bundle", "match", str(adder), "--machine", str(tmp_path / "this.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == printed
    assert printed["variant"] == "adder-1.0.0-fp32-any"
    assert printed["machine"].keys() == set(Machine.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("m.toml", 'arch = "arm64"', 1, "expected a key 'memory_bytes'"),
        ("m.toml", PI + 'memory = "4 GB"', 1, "did you mean 'memory_bytes'?"),
        ("m.toml", PI.replace("3977248768", '"4 GB"'), 1, "write 4000000000"),
        ("m.toml", PI.replace("neon", "asimd"), 1, "expected one of amx"),
        ("m.toml", "= 5", 1, "expected a TOML document"),
        ("m.json", "{", 1, "expected a JSON document"),
        ("m.toml", None, 2, "cannot read"),
    ],
)
def test_what_describes_no_machine_is_refused(adder, tmp_path, capsys, name, text, code, words):
    if text is not None:
        (tmp_path / name).write_text(text)

    assert main(["bundle", "match", str(adder), "--machine", str(tmp_path / name)]) == code
    assert words in capsys.readouterr().err


def test_diff_of_the_same_bundle_is_code_0(adder, tmp_path, capsys):
    pack(adder, tmp_path / "adder.edgeb")

    assert main(["bundle", "diff", str(adder), str(tmp_path / "adder.edgeb")]) == 0
    assert lines(capsys) == ["no differences"]
    assert main(["bundle", "diff", str(adder), str(adder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_diff_of_two_bundles_is_code_1_and_tells_each_change(adder, tmp_path, capsys):
    other = make_bundle(tmp_path, version="1.1.0", more=2.0)

    assert main(["bundle", "diff", str(adder), str(other)]) == 1
    printed = lines(capsys)
    assert "  ~ version: 1.0.0 -> 1.1.0" in printed
    assert any(line.startswith("  ~ models/adder-VERSION-fp32-any.onnx: model, 395 bytes, sha256") for line in printed)
    assert main(["bundle", "diff", str(adder), str(other), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert (document["from"], document["to"]) == (
        {"name": "adder", "version": "1.0.0"},
        {"name": "adder", "version": "1.1.0"},
    )
    assert {
        "section": "bundle", "subject": "version", "before": "1.0.0", "after": "1.1.0", "verdict": None,
    } in document["changes"]  # fmt: skip


@pytest.mark.parametrize("verb", [["show"], ["match"], ["diff", "BUNDLE"]])
def test_trouble_is_neither_0_nor_1(adder, tmp_path, verb):
    """A script that asks diff whether bundles differ must not take trouble for an answer."""
    arguments = [str(adder) if word == "BUNDLE" else word for word in verb]
    (tmp_path / "manifest.json").write_text("{}")

    assert main(["bundle", *arguments, str(tmp_path / "absent")]) == 2
    assert main(["bundle", *arguments, str(tmp_path)]) == 10


@pytest.mark.parametrize("verb", ["show", "diff"])
def test_what_a_bundle_calls_itself_cannot_steer_the_terminal(adder, tmp_path, capsys, verb):
    hostile = shutil.copytree(adder, tmp_path / "bundle")
    manifest = json.loads((hostile / "manifest.json").read_text())
    manifest["provenance"]["source"] = "harmless\x1b[2J\u202egnihtyreve"
    (hostile / "manifest.json").write_text(json.dumps(manifest))
    more = [str(adder)] if verb == "diff" else []

    main(["bundle", verb, *more, str(hostile)])
    out = capsys.readouterr().out
    assert "harmless\\x1b[2J\\u202egnihtyreve" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schema_is_printed_as_the_package_ships_it(name, tmp_path, capsys):
    assert main(["bundle", "schema", name]) == 0
    printed = capsys.readouterr().out
    write_schemas(tmp_path / "schema")

    assert (tmp_path / f"schema/{name}.schema.json").read_text() == printed
    assert json.loads(printed) == json.loads(json.dumps(document_schema(name)))
    assert json.loads(printed)["$id"] == f"urn:edged:schema:{name}:1"


def test_manifest_that_was_built_is_valid_under_the_printed_schema(adder, capsys):
    assert main(["bundle", "schema", "manifest"]) == 0
    schema = json.loads(capsys.readouterr().out)

    Draft202012Validator(schema).validate(json.loads((adder / "manifest.json").read_text()))


@pytest.mark.parametrize("verb", ["init", "match", "diff", "schema"])
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["bundle", verb, "--help"])

    assert caught.value.code == 0
    assert f"edge-publish bundle {verb}" in capsys.readouterr().out
