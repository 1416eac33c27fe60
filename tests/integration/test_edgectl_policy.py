"""edgectl policy: pages, JSON and exit codes; against a real socket where a daemon is asked, and without one where none is."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from edged.cli import edgectl
from edged.sense.context import Level
from tests.fakes.policies import SITE, PolicyWorld, policy_routes
from tests.fakes.raw_http import running

POLICIES = Path(__file__).resolve().parents[2] / "policies"
NOBODY = "/nonexistent/edged.sock"


@pytest.fixture
def world(tmp_path):
    return PolicyWorld(tmp_path)


@pytest.fixture
async def server(tmp_path, world):
    """The administrators' socket."""
    with world.report() as report:
        async with running(tmp_path / "admin", routes=policy_routes(report)) as server:
            yield server


async def edge(server, *args):
    """Run edgectl beside the server's loop."""
    return await asyncio.to_thread(edgectl.main, ["--socket", str(server.path), "policy", *args])


def offline(*args):
    """Run edgectl where no daemon is."""
    try:
        return edgectl.main(["--socket", NOBODY, "policy", *args])
    except SystemExit as exc:
        return exc.code


async def test_show_lists_policies_rules_and_what_is_decided(server, world, capsys):
    world.contexts.become(thermal=Level.SERIOUS)

    assert await edge(server, "show") == 0

    page = capsys.readouterr().out
    assert f"local     site      1 rule  {world.config.file}" in page
    assert "0  local     hot       thermal >= serious -> variant int8" in page
    assert "2  built-in  run-best  always -> run" in page
    assert "echo  interactive  run int8  by hot (local)" in page
    assert "Regulatory mode: standard" in page


async def test_show_has_overrides_while_there_are_any(server, capsys):
    await edge(server, "override", "echo", "--deny", "under repair", "--for", "90m", "--reason", "the fan is broken")
    assert capsys.readouterr().out == "echo: deny: under repair, for 1 h 30 min\n"

    await edge(server, "show")
    assert "echo  deny: under repair  for another 1 h 30 min  operator" in capsys.readouterr().out

    assert await edge(server, "override", "--clear") == 0
    assert capsys.readouterr().out == "echo is up to the policy again\n"
    assert await edge(server, "override", "--clear", "echo") == 7


async def test_show_names_what_was_refused(tmp_path, world, capsys):
    world.write("name = ")
    with world.report() as report:
        async with running(tmp_path / "admin", routes=policy_routes(report)) as server:
            assert await edge(server, "show") == 0

    page = capsys.readouterr().out
    assert "Refused, so that the last good one stays in force:\n" in page
    assert "local.toml: file: expected TOML" in page


async def test_documents_are_those_of_the_api(server, capsys):
    for args, key in ((["show"], "rules"), (["explain"], "explanations")):
        assert await edge(server, *args, "--json") == 0
        assert key in json.loads(capsys.readouterr().out)


async def test_explain_goes_through_the_rules_until_one_decides(server, capsys):
    assert await edge(server, "explain", "--set", "thermal=serious", "--request", "background") == 0

    page = capsys.readouterr().out
    assert page.startswith("echo, background: run int8\n  rule hot (local) applies: thermal is serious (>= serious)\n")
    assert "=>  local     hot       thermal is serious (>= serious)" in page
    assert "    packaged  hot       not asked" in page
    assert "echo-1.0.0-fp32-any  the rule does not name it" in page


async def test_explain_says_what_each_rule_lacks_on_this_device(server, world, capsys):
    world.contexts.become(thermal=Level.FAIR)

    assert await edge(server, "explain", "--model", "echo") == 0

    assert "no  local     hot       thermal is fair (not >= serious)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("explain", "--model", "nobody"), 5, "no model nobody"),
        (("explain", "--set", "thermal=hot"), 2, "expected nominal, fair, serious or critical"),
        (("explain", "--variants", "int8"), 2, "goes with --file"),
        (("override", "nobody", "--deny", "x", "--for", "1h", "--reason", "x"), 5, "no model nobody"),
        (("override", "echo", "--variant", "int4", "--for", "1h", "--reason", "x"), 2, "got int4"),
        (("override", "echo", "--variant", "int8", "--for", "1h"), 2, "--reason"),
        (("override", "echo", "--variant", "int8", "--reason", "x"), 2, "--for"),
        (("override", "--deny", "x", "--for", "1h", "--reason", "x"), 2, "needs a model"),
    ],
)
async def test_what_cannot_be_done_says_why(server, capsys, args, code, words):
    assert await edge(server, *args) == code
    assert words in capsys.readouterr().err


def test_the_policies_that_come_with_edged_pass_without_a_daemon(capsys):
    files = sorted(map(str, POLICIES.glob("*.toml")))

    assert offline("test", *files) == 0

    assert capsys.readouterr().out.count(" passed\n") == len(files)


def test_a_test_that_fails_says_what_was_decided_and_why(tmp_path, capsys):
    (tmp_path / "site.toml").write_text(SITE.replace('variant = "int8" }\n', 'variant = "fp32" }\n'))

    assert offline("test", str(tmp_path / "site.toml")) == 1

    page = capsys.readouterr().out
    assert "FAIL  run, by hot  hot: int8\n          variant: expected fp32, got int8\n" in page
    assert "rule hot (local) applies: thermal is serious (>= serious)" in page
    assert "0 of 1 test passed" in page


def test_a_file_that_is_no_policy_fails_and_the_others_are_tested(tmp_path, capsys):
    (tmp_path / "bad.toml").write_text(SITE.replace("thermal = ", "heat = "))

    assert offline("test", str(tmp_path / "bad.toml"), str(POLICIES / "default.toml"), str(tmp_path / "missing")) == 1

    printed = capsys.readouterr()
    assert 'bad.toml: rule "hot": when.0.heat' in printed.err or 'rule "hot": when.heat' in printed.err
    assert "missing: file: expected a readable file, got No such file or directory" in printed.err
    assert "policy default" in printed.out


def test_the_name_of_a_file_that_is_no_utf_8_is_an_escape_in_the_document(tmp_path, capsys):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.toml")
    Path(path).write_text(SITE)

    assert offline("test", "--json", path, f"{path}.missing") == 1

    files = json.loads(capsys.readouterr().out)["files"]
    assert [one["file"] for one in files] == [rf"{tmp_path}/caf\udce9.toml", rf"{tmp_path}/caf\udce9.toml.missing"]


def test_cases_are_there_for_programs(tmp_path, capsys):
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "bad.toml").write_text("schema = 2")

    assert offline("test", "--json", str(tmp_path / "site.toml"), str(tmp_path / "bad.toml")) == 1

    good, bad = json.loads(capsys.readouterr().out)["files"]
    assert [(case["name"], case["passed"], case["rule"]) for case in good["tests"]] == [("hot: int8", True, "hot")]
    assert bad["problems"]


def test_a_file_is_explained_without_a_daemon(capsys):
    file = str(POLICIES / "battery.toml")

    assert offline("explain", "--file", file, "--set", "power=battery:15", "--variants", "fp32,int8") == 0

    page = capsys.readouterr().out
    assert page.startswith("made-up, interactive: run int8, scale 0.5\n")
    assert "fp16" not in page.partition("rules:")[0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--set", "thermal=hot"), "expected nominal"),
        (("--variants", "int7"), "did you mean int8?"),
        (("--variants", ""), "--variants: expected fp32"),
        (("--variants", "int8,int8"), "each precision once"),
        (("--set", "thermal"), "is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_explained_offline_says_why(capsys, args, words):
    assert offline("explain", "--file", str(POLICIES / "battery.toml"), *args) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ("8d", "longer than 7d"),
        ("169h", "longer than 7d"),
        ("0s", "no time at all"),
        ("2", "2h or 1d"),
        ("1w", "2h or 1d"),
    ],
)
def test_an_override_has_an_end_within_a_week(capsys, span, words):
    assert offline("override", "echo", "--variant", "int8", "--for", span, "--reason", "x") == 2
    assert words in capsys.readouterr().err


def test_callers_are_not_sent_away_for_longer_than_the_daemon_takes(capsys):
    assert offline("override", "echo", "--defer", "25h", "--for", "2d", "--reason", "x") == 2
    assert "longer than 1d" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--variant", "int8", "--deny", "x"], ["--clear", "--defer", "5m"], []])
def test_an_override_does_one_thing(args):
    assert offline("override", "echo", *args, "--for", "1h", "--reason", "x") == 2
