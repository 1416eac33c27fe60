"""The verbs for a fleet as commands: what they print, for people and for programs, and how they end."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from edged.publish.keys.directory import Keyring
from edged.publish.main import main
from edged.publish.repository.operations import init_repository, publish_bundle
from tests.fakes.bundles import make_bundle
from tests.fakes.pipes import piped
from tests.fakes.policies import SITE as RULES

ROLLOUT_HEAD = ["MODEL", "EVERYONE", "NEXT", "PERCENT", "SINCE", "SOAK LEFT", "WHO", "FLAG", "STATE"]


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch):
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE", raising=False)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    place = tmp_path_factory.mktemp("published")
    keys = Keyring(directory=place / "keys")
    init_repository(place / "repo", keys, now=datetime.now(UTC), root_count=1, root_threshold=1)
    for version, rollout in (("1.0.0", True), ("1.1.0", False)):
        bundle = make_bundle(place / "bundles", version=version)
        publish_bundle(place / "repo", bundle, keys, now=datetime.now(UTC), rollout=rollout)
    return place


@pytest.fixture
def place(published, tmp_path, monkeypatch):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(place, capsys):
    """Run a verb; gives its exit code and what it printed."""

    def run(*arguments, keys=True):
        capsys.readouterr()
        code = main([*arguments, "--repo", "repo", *(("--keys", "keys") if keys else ())])
        return code, capsys.readouterr().out.splitlines()

    return run


def table(lines):
    """The rows of a table by the columns of its heading."""
    starts = [lines[0].index(title) for title in ROLLOUT_HEAD]
    ends = [*starts[1:], None]
    return [
        {title: line[start:end].strip() for title, start, end in zip(ROLLOUT_HEAD, starts, ends, strict=True)}
        for line in lines[1:]
        if not line.startswith(" ")
    ]


def status(run):
    code, lines = run("rollout", "status", keys=False)
    assert code == 0
    [row] = table(lines)
    return row, [line.strip() for line in lines if line.startswith(" ")]


def test_a_rollout_from_its_start_to_its_end(run):
    assert run("rollout", "start", "adder", "1.1.0", "--percent", "1") == (0, ["adder: 1.1.0 goes to 1 % of everybody"])
    row, notes = status(run)
    assert (row["EVERYONE"], row["NEXT"], row["PERCENT"], row["STATE"]) == ("1.0.0", "1.1.0", "1 %", "going")
    assert row["SOAK LEFT"] in {"1 d 0 h", "23 h 59 min"}
    assert notes == []

    assert run("rollout", "advance", "adder")[0] == 8
    for percent in (10, 25, 50, 100):
        assert run("rollout", "advance", "adder", "--now") == (0, [f"adder: 1.1.0 is at {percent} %"])
    assert run("rollout", "advance", "adder", "--now") == (0, ["adder: 1.1.0 is the version for everyone"])
    row, _ = status(run)
    assert (row["EVERYONE"], row["NEXT"], row["STATE"]) == ("1.1.0", "-", "done")
    assert run("rollout", "advance", "adder", "--now")[0] == 7


def test_halted_pinned_and_floored_is_seen_at_a_glance(run):
    run("rollout", "start", "adder", "1.1.0", "--label", "region=eu,us", "--arch", "arm64", "--flag", "go")
    assert run("rollout", "halt", "adder", "--reason", "too slow") == (0, ["adder: the rollout is halted"])
    assert run("rollout", "pin", "adder", "1.0.0", "--label", "site=lab", "--reason", "under test")[0] == 0
    assert run("rollout", "floor", "adder", "1.0.0")[0] == 0
    row, notes = status(run)

    assert (row["WHO"], row["FLAG"], row["STATE"], row["SOAK LEFT"]) == (
        "region=eu,us arch=arm64",
        "go",
        "HALTED",
        "-",
    )
    assert notes == [
        "1.1.0 is halted: too slow",
        "pinned to 1.0.0: site=lab: under test",
        "no version below 1.0.0 runs",
    ]
    assert run("rollout", "advance", "adder", "--now")[0] == 2
    assert run("rollout", "resume", "adder") == (0, ["adder: the rollout goes on"])
    assert run("rollout", "halt", "adder", "--reason", "wrong", "--back") == (0, ["adder: the rollout is taken back"])
    assert status(run)[0]["STATE"] == "TAKEN BACK"
    assert run("rollout", "unpin", "adder", "--label", "site=lab")[0] == 0
    assert run("rollout", "unpin", "adder", "--label", "site=lab")[0] == 7


def test_rollout_can_ask_for_a_shadow_run(run):
    assert run("rollout", "start", "adder", "1.1.0", "--shadow", "0.05") == (
        0,
        ["adder: 1.1.0 goes to 1 % of everybody, after a shadow run with 5 % of the requests"],
    )
    _, lines = run("rollout", "status", keys=False)
    assert "  1.1.0 runs in the shadow first, with 5 % of the requests" in lines
    _, lines = run("rollout", "status", "--json", keys=False)
    assert json.loads("".join(lines))["models"][0]["next"]["shadow"] == 0.05


def test_status_for_programs(run):
    run("rollout", "start", "adder", "1.1.0", "--soak", "2h", "--id", "draw-2")
    run("stop", "adder", "--reason", "wrong sums")
    code, lines = run("rollout", "status", "--json", keys=False)
    document = json.loads("\n".join(lines))
    [model] = document["models"]

    assert (code, document["schema"], model["model"], model["version"]) == (0, 1, "adder", "1.0.0")
    assert model["published"] == ["1.0.0", "1.1.0"]
    assert model["stop"]["reason"] == "wrong sums"
    assert model["next"].items() >= {
        *{"id": "draw-2", "version": "1.1.0", "percent": 1.0, "soak_s": 7200.0}.items(),
        *{"state": "going", "halted": False, "flag": "", "reason": ""}.items(),
    }
    assert 7000 < model["next"]["soak_left_s"] <= 7200


def test_stopping_and_lifting(run):
    code, lines = run("stop", "adder", "--reason", "wrong sums", "--version", "1.0.0", "--fall-back", "--json")
    assert (code, json.loads("\n".join(lines))["stop"] | {"since": ""}) == (
        0,
        {"action": "fall-back", "reason": "wrong sums", "since": "", "versions": ["1.0.0"]},
    )
    assert run("stop", "adder", "--reason", "all wrong") == (0, ["adder is stopped: all wrong"])
    assert run("stop", "adder", "--reason", "all wrong") == (0, ["adder is stopped: all wrong (was so already)"])
    assert status(run)[0]["STATE"] == "STOPPED"
    [line] = run("stop", "--status", keys=False)[1]
    assert line.startswith("adder is stopped since 2")
    assert run("stop", "adder", "--lease", "48") == (
        0,
        ["adder answers for 48 hours after the last fresh timestamp"],
    )
    assert run("stop", "adder", "--lift", "--reason", "fixed") == (0, ["adder answers again: fixed"])
    assert run("stop", "--status", keys=False)[1] == [
        "adder answers for 48 hours after the last fresh timestamp",
        "no model is stopped",
        "last change: lift adder: fixed",
    ]
    code, lines = run("stop", "--status", "--json", keys=False)
    assert json.loads("\n".join(lines)) == {
        "schema": 1,
        "serial": 4,
        "models": {},
        "lease_hours": {"adder": 48.0},
        "last_change": "lift adder: fixed",
    }
    assert run("stop", "adder", "--lift", "--reason", "fixed")[0] == 7
    assert run("stop", "adder", "--lease", "off")[0] == 0


def test_flags(run):
    assert run("flags", "set", "decoder", "true", "--label", "region=eu", "--percent", "10") == (
        0,
        ["decoder is true for region=eu, 10 % of them"],
    )
    assert run("flags", "set", "decoder", "0.5", "--description", "what for")[0] == 0
    assert run("flags", "show", keys=False) == (
        0,
        ["decoder: 0.5  (what for)", "  true for region=eu, 10 % of them"],
    )
    _, lines = run("flags", "show", "--json", keys=False)
    assert json.loads("\n".join(lines))["flags"]["decoder"]["default"] == 0.5
    assert run("flags", "unset", "decoder", "--label", "region=eu")[0] == 0
    assert run("flags", "unset", "decoder") == (0, ["decoder: the flag is forgotten"])
    assert run("flags", "show", keys=False) == (0, ["no flags are set"])
    assert run("flags", "unset", "decoder")[0] == 7


def test_policy_is_shown_as_it_can_be_set_again(run, place):
    (place / "policy.toml").write_text(
        '[window]\nhours = ["22:00-05:00"]\nplugged_in = true\n[shadow]\nshare = 0.5\n[trial]\nmin_s = 60\n'
    )
    assert run("policy", "show", keys=False) == (0, ["# the policy asks for nothing"])
    assert run("policy", "set", "policy.toml")[0] == 0
    _, lines = run("policy", "show", keys=False)
    assert lines == [
        "[window]",
        'hours = ["22:00-05:00"]',
        "plugged_in = true",
        "[shadow]",
        "share = 0.5",
        "[trial]",
        "min_s = 60.0",
    ]
    (place / "again.toml").write_text("\n".join(lines))
    assert run("policy", "set", "again.toml")[1] == ["again.toml is the policy for the fleet (was so already)"]
    assert run("policy", "clear")[0] == 0
    assert run("policy", "show", keys=False) == (0, ["# the policy asks for nothing"])


def test_a_policy_that_another_command_writes_is_set(run):
    with piped(b"[window]\nplugged_in = true\n") as path:
        assert run("policy", "set", str(path))[0] == 0

    assert run("policy", "show", keys=False)[1] == ["[window]", "plugged_in = true"]


def test_rules_are_published_beside_the_rest_of_the_policy_and_taken_back_alone(run, place, capsys):
    (place / "policy.toml").write_text("[window]\nplugged_in = true\n")
    (place / "rules.toml").write_text(RULES)
    assert run("policy", "set", "policy.toml")[0] == 0

    assert main(["policy", "set", "--rules", "rules.toml", *KEYS]) == 0

    assert "update edged on all devices first" in capsys.readouterr().err
    shown = run("policy", "show", keys=False)[1]
    assert shown[:2] == ["[window]", "plugged_in = true"]
    assert shown[2].startswith("# about requests decides policy site: hot ")
    assert json.loads("\n".join(run("policy", "show", "--json", keys=False)[1]))["rules"]["rule"][0]["name"] == "hot"
    assert run("policy", "set", "--rules", "rules.toml")[1] == [
        "rules.toml is the policy for the fleet (was so already)"
    ]
    assert run("policy", "clear", "--rules")[0] == 0
    assert run("policy", "show", keys=False)[1] == ["[window]", "plugged_in = true"]


def test_rules_whose_tests_fail_are_not_signed(run, place, capsys):
    (place / "rules.toml").write_text(RULES.replace('variant = "int8" }\n', 'variant = "fp32" }\n'))

    assert run("policy", "set", "--rules", "rules.toml")[0] == 1
    assert run("policy", "show", keys=False) == (0, ["# the policy asks for nothing"])


def test_rules_that_are_named_without_their_option_are_told_apart(place, capsys):
    (place / "rules.toml").write_text(RULES)

    assert main(["policy", "set", "rules.toml", *KEYS]) == 2

    assert capsys.readouterr().err == (
        "rules.toml is a file of rules about requests [usage]\nhint: Publish it with --rules rules.toml.\n"
    )


@pytest.mark.parametrize(("name", "why"), [("nothing.toml", "No such file or directory"), (".", "Is a directory")])
def test_a_policy_that_cannot_be_read_is_told(place, capsys, name, why):
    assert main(["policy", "set", name, *KEYS]) == 2

    assert capsys.readouterr().err.startswith(f"{name} cannot be read: {why} [usage]\n")


def test_a_policy_of_nothing_is_not_set(run):
    assert run("policy", "set")[0] == 2


def test_verify_for_people_and_programs(run, place, capsys):
    root = ["--root", "repo/metadata/1.root.json"]
    assert main(["verify", "repo", *root]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("repo: timestamp 3, 7 roles, 2 versions, ")
    assert out[-1] == "  good"

    blob = next(path for path in (place / "repo/blobs").rglob("*") if path.is_file())
    blob.unlink()
    assert main(["verify", "repo", *root, "--json", "--deep"]) == 10
    document = json.loads(capsys.readouterr().out)
    [found] = [f for f in document["places"][0]["findings"] if f["severity"] == "error"]
    assert (document["schema"], document["good"]) == (1, False)
    assert found["where"] == blob.relative_to(place / "repo").as_posix()
    assert found["advice"]


def test_two_places_are_compared(run, place, capsys):
    shutil.copytree(place / "repo", place / "mirror")
    run("flags", "set", "x", "true")
    assert main(["verify", "repo", "mirror", "--root", "repo/metadata/1.root.json"]) == 10

    assert "mirror" in (out := capsys.readouterr().out)
    assert "it is behind: its timestamp is version 3, repo has 4" in out


def test_check_of_signatures_needs_no_key_and_signs_nothing(place, capsys):
    before = (place / "repo/metadata/timestamp.json").read_bytes()

    assert main(["resign", "repo", "--check"]) == 0
    assert main(["resign", "repo", "--check", "--expiry", "timestamp=9"]) == 6
    assert "warning: timestamp expires in " in capsys.readouterr().out
    assert (place / "repo/metadata/timestamp.json").read_bytes() == before


def test_looking_warns_of_what_expires(place, capsys):
    old = datetime.now(UTC) - timedelta(days=350)
    keys = Keyring(directory=place / "old-keys")
    init_repository(place / "old", keys, now=old, root_count=1, root_threshold=1)

    assert main(["rollout", "status", "--repo", "old"]) == 0
    said = capsys.readouterr()
    assert said.out == "no model is published\n"
    assert "EXPIRED: timestamp expired on " in said.err
    assert "warning: root expires in 14 days" in said.err


KEYS = ("--repo", "repo", "--keys", "keys")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rollout", "start", "gauge", "1.0.0", *KEYS], 5),
        (["rollout", "start", "adder", "9.0.0", *KEYS], 5),
        (["rollout", "start", "adder", "1.0", *KEYS], 2),
        (["rollout", "start", "Adder", "1.1.0", *KEYS], 2),
        (["rollout", "start", "adder", "1.0.0", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--percent", "101", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--percent", "0.001", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--soak", "long", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--shadow", "10", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--shadow", "some", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--shadow", "1.5", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--label", "EU", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--flag", "no flag", *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--id", "i" * 129, *KEYS], 2),
        (["rollout", "start", "adder", "1.1.0", "--repo", "nothing", "--keys", "keys"], 2),
        (["rollout", "start", "adder", "1.1.0", "--repo", "repo", "--keys", "nothing"], 2),
        (["rollout", "halt", "adder", "--reason", "x", *KEYS], 7),
        (["rollout", "halt", "adder", "--reason", " ", *KEYS], 2),
        (["rollout", "pin", "adder", "1.0.0", "--reason", "x", *KEYS], 2),
        (["rollout", "floor", "adder", "2.0.0", *KEYS], 2),
        (["rollout", "status", "--repo", "nothing"], 2),
        (["flags", "set", "No", "true", *KEYS], 2),
        (["flags", "unset", "no", *KEYS], 7),
        (["policy", "set", "nothing.toml", *KEYS], 2),
        (["policy", "set", "file", *KEYS], 2),
        (["policy", "set", "wrong.toml", *KEYS], 1),
        (["stop", *KEYS], 2),
        (["stop", "adder", *KEYS], 2),
        (["stop", "adder", "--reason", "x", "--repo", "repo"], 2),
        (["stop", "ader", "--reason", "x", *KEYS], 5),
        (["stop", "adder", "--reason", "x", "--version", "9.0.0", *KEYS], 5),
        (["stop", "adder", "--lift", *KEYS], 2),
        (["stop", "adder", "--lift", "--reason", "x", "--version", "1.0.0", *KEYS], 2),
        (["stop", "adder", "--lease", "soon", *KEYS], 2),
        (["stop", "adder", "--lease", "inf", *KEYS], 2),
        (["verify", "repo", "--root", "nothing"], 2),
        (["verify", "nothing", "--root", "repo/metadata/1.root.json"], 2),
        (["verify", "repo", "--root", "file"], 10),
        (["verify", "http://127.0.0.1:1/", "--root", "repo/metadata/1.root.json"], 10),
        (["resign", "repo"], 2),
        (["resign", "repo", "--check", "--within", "0"], 2),
    ],
)
def test_bad_input_gets_a_sentence_and_an_exit_code(place, capsys, arguments, code):
    (place / "file").write_text("[")
    (place / "wrong.toml").write_text("[window]\nidle = 3\n[trial]\nmin_s = -1\n")

    assert main(arguments) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert code == 10 or "]\n" in said.err


def test_looking_at_stops_says_what_expires_of_all_that_they_need(place, monkeypatch, capsys):
    later = datetime.now(UTC) + timedelta(days=360)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return later.astimezone(tz)

    monkeypatch.setattr("edged.publish.commands.stop.datetime", Later)
    assert main(["stop", "--status", "--repo", "repo"]) == 0

    said = capsys.readouterr().err
    assert "stop expires in only" in said
    assert "m-adder" not in said
