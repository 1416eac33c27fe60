import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edged.bundle.edgeb import pack
from edged.publish import commands
from edged.publish.keys.directory import Keyring
from edged.publish.main import VERBS, WITH_ACTIONS, main, make_parser
from edged.publish.repository.operations import init_repository
from tests.fakes.bundles import make_recipe


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch):
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_first_bundle_as_the_help_shows_it(place, capsys):
    make_recipe(place / "src")

    assert main(["init", "repo", "--keys", "keys"]) == 0
    assert main(["bundle", "build", "src/recipe.toml", "--out", "build", "--edgeb"]) == 0
    assert main(["publish", "build/adder-1.0.0", "--repo", "repo", "--keys", "keys"]) == 0

    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "repo is ready; devices trust it by repo/metadata/1.root.json",
        "build/adder-1.0.0",
        "build/adder-1.0.0.edgeb",
        "adder 1.0.0 published in repo",
    ]
    assert "sign timestamp" in err


def test_second_run_changes_nothing_and_is_no_error(place, adder, capsys):
    for _ in range(2):
        assert main(["init", "repo", "--keys", "keys", "--root-keys", "2", "--root-threshold", "1"]) == 0
        assert main(["publish", str(adder), "--repo", "repo", "--keys", "keys"]) == 0

    assert capsys.readouterr().out.splitlines()[2:] == [
        "repo was ready already; devices trust it by repo/metadata/1.root.json",
        "adder 1.0.0 was published already in repo",
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["keys", "show", "--keys", "nothing"], 2),
        (["init", "repo2", "--keys", "keys", "--root-threshold", "9"], 2),
        (["init", "repo2", "--keys", "keys", "--expiry", "timestamp"], 2),
        (["init", "repo2", "--keys", "keys", "--expiry", "boss=3"], 2),
        (["init", "repo2", "--keys", "keys", "--expiry", "root=99999999999999999999"], 2),
        (["init", "file", "--keys", "keys"], 1),
        (["init", "repo2", "--keys", "repo2/keys"], 2),
        (["init", "repo2", "--keys", "keys", "--root-public", "nothing.pub"], 2),
        (["init", "repo2", "--keys", "keys", "--root-public", "file"], 2),
        (["init", "repo2", "--keys", "keys", "--root-public", "keys/root-1.pem"], 2),
        (["init", "repo2", "--keys", "keys", "--root-public", "keys/ops.pub"], 2),
        (["init", "repo2", "--keys", "keys", "--root-public", "keys/ops.pub", "--root-keys", "2"], 2),
        (["init", "repo2", "--keys", "keys", "--ceremony"], 2),
        (["init", "repo2", "--keys", "file"], 1),
        (["keys", "create", "boss", "--keys", "keys", "--unencrypted"], 2),
        (["keys", "create", "ops", "--keys", "keys", "--unencrypted"], 2),
        (["keys", "create", "root-ada", "--keys", "keys"], 2),
        (["keys", "create", "root-ada", "--keys", "file", "--unencrypted"], 1),
        (["keys", "show", "--keys", "file"], 2),
        (["keys", "export-public", "nothing", "--keys", "keys"], 2),
        (["keys", "export-public", "ops", "--keys", "keys", "--out", "nothing/ops.pub"], 1),
        (["keys", "export-public", "ops", "--keys", "keys", "--out", "file"], 2),
        (["keys", "passphrase", "nothing", "--keys", "keys", "--unencrypted"], 2),
        (["keys", "passphrase", "ops", "--keys", "keys"], 2),
        (["root", "show", "nothing"], 2),
        (["root", "show", "file"], 10),
        (["root", "show", "repo"], 1),
        (["root", "show", "repo/metadata/timestamp.json"], 10),
        (["root", "sign", "nothing", "--key", "keys/root-1.pem"], 2),
        (["root", "sign", "repo/metadata/1.root.json", "--key", "keys/ops.pem"], 2),
        (["root", "sign", "repo/metadata/1.root.json", "--key", "keys/nothing.pem"], 2),
        (["root", "sign", "repo/metadata/1.root.json", "--key", "file"], 2),
        (["root", "rotate", "nothing"], 2),
        (["root", "rotate", "repo", "--keys", "repo"], 2),
        (["root", "rotate", "repo", "--add", "file"], 2),
        (["root", "rotate", "repo", "--drop", "00000000"], 2),
        (["bundle", "build", "nothing.toml", "--out", "out"], 2),
        (["bundle", "build", "file", "--out", "out"], 10),
        (["bundle", "show", "nothing"], 2),
        (["bundle", "show", "file"], 10),
        (["bundle", "show", "repo"], 10),
        (["bundle", "validate", "repo"], 10),
        (["bundle", "validate", "nothing"], 2),
        (["publish", "repo", "--repo", "repo", "--keys", "keys"], 10),
        (["publish", "file", "--repo", "repo", "--keys", "keys"], 10),
        (["publish", "BUNDLE", "--repo", "repo", "--keys", "repo"], 2),
        (["publish", "BUNDLE", "--repo", "repo", "--keys", "strange"], 10),
        (["publish", "BUNDLE", "--repo", "repo", "--keys", "open"], 4),
        (["publish", "BUNDLE", "--repo", "torn", "--keys", "keys"], 10),
        (["publish", "BUNDLE", "--repo", "nothing", "--keys", "keys"], 2),
        (["publish", "BUNDLE", "--repo", "repo", "--keys", "nothing"], 2),
        (["resign", "nothing", "--keys", "keys"], 2),
        (["serve", "nothing", "--port", "0"], 2),
        (["serve", "repo", "--port", "99999"], 2),
        (["serve", "repo", "--port", "0", "--host", "256.1.1.1"], 2),
    ],
)
def test_bad_input_gets_a_sentence_and_an_exit_code(place, adder, capsys, arguments, code):
    """Exit codes are those of the design; nobody ever sees a traceback."""
    init_repository_at(place)
    (place / "file").write_text("x")
    init_repository_at(place / "other")
    (place / "other/keys").rename(place / "strange")
    shutil.copytree(place / "keys", place / "open")
    (place / "open/targets.pem").chmod(0o644)
    shutil.copytree(place / "repo", place / "torn")
    (place / "torn/metadata/timestamp.json").write_text("[" * 100_000)

    assert main([str(adder) if a == "BUNDLE" else a for a in arguments]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert next(line for line in reversed(err.splitlines()) if not line.startswith("hint: ")).endswith("]")


def init_repository_at(place):
    from datetime import UTC, datetime

    init_repository(
        place / "repo", Keyring(directory=place / "keys"), now=datetime.now(UTC), root_count=1, root_threshold=1
    )


def test_problems_of_a_recipe_are_all_printed(place, capsys):
    recipe = make_recipe(place / "src")
    recipe.write_text(recipe.read_text().replace("amd64", "mips").replace('tier = "quality"', 'tier = "best"'))

    assert main(["bundle", "build", str(recipe), "--out", "out"]) == 10
    err = capsys.readouterr().err
    assert "/variants/0/tier" in err
    assert "/variants/0/targets/arch/0" in err


def test_busy_repository_is_code_8(place, adder, capsys):
    from edged.publish.repository.tree import Tree

    init_repository_at(place)
    with Tree(place / "repo").working():
        assert main(["publish", str(adder), "--repo", "repo", "--keys", "keys"]) == 8


@pytest.mark.parametrize("verb", [[], ["keys"], ["bundle"], ["dance"], ["publish"], ["init"]])
def test_wrong_usage_is_code_2(verb):
    with pytest.raises(SystemExit) as caught:
        main(verb)

    assert caught.value.code == 2


@pytest.mark.parametrize(
    "verb",
    [
        *("", "keys", "keys show", "keys create", "keys export-public", "keys passphrase", "init"),
        *("bundle", "bundle build", "bundle validate", "bundle show", "publish", "resign", "serve"),
        *("root", "root show", "root sign", "root rotate"),
        *("rollout", "rollout start", "rollout advance", "rollout halt", "rollout resume", "rollout pin"),
        *("rollout unpin", "rollout floor", "rollout status", "flags", "flags set", "flags unset", "flags show"),
        *("policy", "policy set", "policy show", "policy clear", "stop", "verify"),
    ],
)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*verb.split(), "--help"])

    assert caught.value.code == 0
    assert "edge-publish" in capsys.readouterr().out


def test_help_says_of_each_verb_what_its_module_says(capsys):
    """The modules are not loaded for it."""
    pages = []
    for verb in (None, ""):
        with pytest.raises(SystemExit):
            make_parser(verb).parse_args(["--help"])
        pages.append(capsys.readouterr().out)

    assert pages[0] == pages[1]
    assert all(verb in pages[0] for verb in VERBS)


def test_each_module_of_a_verb_is_a_verb():
    """Those of a verb's actions are in its folder."""
    modules = [path for path in Path(commands.__path__[0]).rglob("*.py") if "def add_parser(" in path.read_text()]
    alone = {path.stem for path in modules if path.parent.name == "commands"}

    assert alone | WITH_ACTIONS == set(VERBS)
    assert {path.parent.name for path in modules} - {"commands"} == WITH_ACTIONS
    assert {path.parent.name for path in modules if path.stem == "actions"} == WITH_ACTIONS


@pytest.mark.parametrize("arguments", [["--help"], ["keys", "--help"]])
def test_nothing_is_loaded_for_verbs_that_were_not_asked_for(arguments):
    script = (
        "import sys\nfrom edged.publish.main import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*[name for name in sys.modules if name.startswith('edged.publish.commands.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)

    loaded = {name.split(".")[3] for name in done.stderr.split()}
    assert loaded & VERBS.keys() == VERBS.keys() & set(arguments)


def test_keys_are_shown_without_their_private_parts(place, capsys):
    init_repository_at(place)
    assert main(["keys", "show", "--keys", "keys"]) == 0
    text = capsys.readouterr().out
    assert main(["keys", "show", "--keys", "keys", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert [key["name"] for key in document["keys"]] == ["ops", "root-1", "snapshot", "stop", "targets", "timestamp"]
    assert all(key["keyid"] in text for key in document["keys"])
    assert "PRIVATE" not in text


def test_passphrase_from_the_environment_encrypts_and_opens_keys(place, monkeypatch, adder, capsys):
    monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", "correct horse")
    assert main(["init", "repo", "--keys", "keys"]) == 0
    assert b"ENCRYPTED" in (place / "keys/ops.pem").read_bytes()
    assert main(["publish", str(adder), "--repo", "repo", "--keys", "keys"]) == 0

    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE")
    assert main(["resign", "repo", "--keys", "keys", "--expiry", "timestamp=9"]) == 2
    assert "hint: Set EDGE_PUBLISH_PASSPHRASE" in capsys.readouterr().err


def test_encrypt_without_anybody_to_ask_is_refused(place, monkeypatch):
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)

        assert main(["init", "repo", "--keys", "keys", "--encrypt"]) == 2


def test_show_explains_a_bundle_and_its_packed_form_alike(place, adder, capsys):
    pack(adder, place / "adder.edgeb")
    assert main(["bundle", "show", str(adder)]) == 0
    text = capsys.readouterr().out
    assert main(["bundle", "show", "adder.edgeb"]) == 0

    assert capsys.readouterr().out == text
    for words in (
        "adder 1.0.0: 7 files",
        "best for quality",
        "bytes_window@1: file -> window",
        "sum each element within 0.001",
        "licence Apache-2.0",
    ):
        assert words in text


def test_show_prints_the_manifest_for_programs(adder, capsysbinary):
    assert main(["bundle", "show", str(adder), "--json"]) == 0

    assert capsysbinary.readouterr().out == (adder / "manifest.json").read_bytes()


@pytest.mark.parametrize("value", ["yesterday", "-1", "9" * 30])
def test_senseless_source_date_is_refused(place, monkeypatch, value):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)

    assert main(["bundle", "build", str(make_recipe(place / "src")), "--out", "out"]) == 2


def test_source_date_is_the_time_in_the_bill_of_materials(place, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")

    assert main(["bundle", "build", str(make_recipe(place / "src")), "--out", "out"]) == 0
    assert "2001-09-09T01:46:40" in (place / "out/adder-1.0.0/sbom.cdx.json").read_text()


def test_serve_prints_its_address_and_ends_on_interrupt(place):
    import signal

    init_repository_at(place)
    command = [sys.executable, "-m", "edged.publish.main", "serve", str(place / "repo"), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert line.startswith(b"http://127.0.0.1:")
    assert (process.returncode, err) == (0, b"")


def test_resign_ends_degraded_while_a_key_must_be_brought(place, capsys):
    assert main(["init", "repo", "--keys", "keys", "--expiry", "root=1"]) == 0
    for number in range(1, 4):
        (place / f"keys/root-{number}.pem").unlink()
    capsys.readouterr()

    assert main(["resign", "repo", "--keys", "keys"]) == 6
    assert re.fullmatch(
        r"repo: signed nothing\nroot expires on \d{4}-\d\d-\d\d: bring its key\n", capsys.readouterr().out
    )


def test_nobody_typing_a_passphrase_is_a_sentence(place, monkeypatch, capsys):
    def ask(_prompt):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", ask)

    assert main(["init", "repo", "--keys", "keys", "--encrypt"]) == 2
    assert "no passphrase was given" in capsys.readouterr().err


def test_keys_of_several_people_make_a_repository_without_a_ceremony(place, monkeypatch, adder, capsys):
    """For scripts: every holder makes a key, hands over its public part, and signs a copy of the root."""
    for name in ("ada", "ben", "cy"):
        monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", f"secret of {name}")
        assert main(["keys", "create", f"root-{name}", "--keys", name]) == 0
        assert main(["keys", "export-public", f"root-{name}", "--keys", name, "--out", f"{name}.pub"]) == 0
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE")
    made = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert made[::2] == made[1::2]
    init = ["init", "repo", "--keys", "keys", "--root-public", "ada.pub", "ben.pub", "cy.pub", "--root-threshold", "2"]

    assert main(init) == 6
    out = capsys.readouterr().out
    assert "2 more of its keys must sign" in out
    assert all(" ".join(keyid[i : i + 8] for i in range(0, 64, 8)) in out for keyid in made)
    for name in ("ada", "cy"):
        (place / f"at-{name}").mkdir()
        shutil.copy("repo.pending/1.root.json", f"at-{name}")
        assert main(["root", "show", f"at-{name}/1.root.json"]) == 0
        assert "root: 2 of 3 must sign" in capsys.readouterr().out
        monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", f"secret of {name}")
        sign = ["root", "sign", f"at-{name}/1.root.json", "--key", f"{name}/root-{name}.pem"]
        assert main([*sign, "--out", f"repo.pending/{name}.sig"]) == 0
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE")
    capsys.readouterr()

    assert main(init) == 0
    assert capsys.readouterr().out == "repo is ready; devices trust it by repo/metadata/1.root.json\n"
    assert main(init) == 0
    assert "was ready already" in capsys.readouterr().out
    assert main(["publish", str(adder), "--repo", "repo", "--keys", "keys"]) == 0

    # A year later: ben is found, ada's key is lost and dora comes in her place.
    assert main(["keys", "create", "root-dora", "--keys", "dora", "--unencrypted"]) == 0
    rotate = ["root", "rotate", "repo", "--drop", made[0][:12], "--add", "dora/root-dora.pub"]
    assert main(rotate) == 6
    for name in ("ben", "cy"):
        monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", f"secret of {name}")
        assert main(["root", "sign", "repo.pending/2.root.json", "--key", f"{name}/root-{name}.pem"]) == 0
    capsys.readouterr()
    assert main(rotate) == 0
    assert capsys.readouterr().out.startswith("repo/metadata/2.root.json holds until ")


def test_new_keys_are_encrypted_unless_it_is_said(place, monkeypatch, capsys):
    assert main(["keys", "create", "ops", "--keys", "keys"]) == 2
    assert "say --unencrypted" in capsys.readouterr().err
    assert not (place / "keys").exists()

    assert main(["keys", "create", "ops", "stop", "--keys", "keys", "--unencrypted"]) == 0
    monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", "secret")
    assert main(["keys", "create", "targets", "--keys", "keys"]) == 0
    capsys.readouterr()
    assert main(["keys", "show", "--keys", "keys", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["keys"]
    assert [(row["name"], row["encrypted"]) for row in rows] == [("ops", False), ("stop", False), ("targets", True)]


def test_either_all_keys_are_made_or_none(place):
    assert main(["keys", "create", "ops", "--keys", "keys", "--unencrypted"]) == 0
    assert main(["keys", "create", "stop", "ops", "--keys", "keys", "--unencrypted"]) == 2

    assert not (place / "keys/stop.pem").exists()


def test_key_that_was_moved_away_is_shown_by_its_public_part(place, capsys):
    init_repository_at(place)
    keyid = Keyring(directory=place / "keys").public("targets").keyid
    (place / "keys/targets.pem").unlink()
    assert main(["keys", "show", "--keys", "keys"]) == 0

    assert f"targets    {keyid}  public part only" in capsys.readouterr().out


def test_passphrase_is_changed_by_a_script(place, monkeypatch, capsys):
    monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", "old")
    assert main(["keys", "create", "ops", "stop", "--keys", "keys"]) == 0
    monkeypatch.setenv("EDGE_PUBLISH_NEW_PASSPHRASE", "new")
    assert main(["keys", "passphrase", "ops", "stop", "--keys", "keys"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "keys/stop.pem  encrypted anew"
    assert main(["keys", "export-public", "ops", "--keys", "keys"]) == 2
    assert "the passphrase does not open it" in capsys.readouterr().err

    monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", "new")
    assert main(["keys", "passphrase", "ops", "--keys", "keys", "--unencrypted"]) == 0
    assert b"ENCRYPTED" not in (place / "keys/ops.pem").read_bytes()


def test_packed_bundle_is_published(place, adder, capsys):
    init_repository_at(place)
    pack(adder, place / "adder.edgeb")
    assert main(["publish", "adder.edgeb", "--repo", "repo", "--keys", "keys"]) == 0

    assert capsys.readouterr().out == "adder 1.0.0 published in repo\n"
