"""Hundreds of broken and hostile bundles go through the real commands: each ends in a clear error, and nothing else happens.

What clear means: exit code 1 or 10, the name of the bundle or of the place in it, no traceback, a length that a screen holds, and only
characters that a terminal prints.
"""

import io
import json
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.bundle.edgeb import pack
from edged.bundle.parse import parse_manifest
from edged.codec import encode_readable
from edged.files import hash_bytes
from edged.publish.main import main
from tests.fakes.broken_bundles import archives, bombs, changed, encoded, look_up, mutations, places, pointer
from tests.fakes.bundles import make_bundle, make_recipe
from tests.fakes.labelled_bundles import make_labelled_bundle
from tests.fakes.nasty_names import NASTY_NAMES

MAX_ERROR = 6000
REFUSED = {1, 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    code: int
    out: str
    err: str


def run(*argv):
    """Run ``edge-publish`` in this process; an exception that it does not handle fails the test with its traceback."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in argv])
        except SystemExit as exc:
            code = exc.code
    return Result(code=code, out=out.getvalue(), err=err.getvalue())


def complaints_about(case, result, *words, codes=REFUSED):
    """List in what way a result is no clear error; nothing when it is one."""
    last = result.err[-MAX_ERROR - 1 :]
    if result.code not in codes:
        return [f"{case}: exit code {result.code}: {result.out[:300]} {last[:300]}"]
    if "Traceback" in result.err or len(last) > MAX_ERROR or "[" not in last:
        return [f"{case}: not a clear error ({len(result.err)} characters): {last[:300]}"]
    if words and not any(word in result.err for word in words):
        return [f"{case}: does not say where ({words}): {last[:300]}"]
    return unprintable(case, result)


def unprintable(case, result):
    """List what was written that a terminal may take for a command."""
    text = result.out + result.err
    is_safe = all(character.isprintable() or character == "\n" for character in text)
    return [] if is_safe else [f"{case}: unprintable: {ascii(text)[:300]}"]


def judged(case, result, *words):
    """List what is wrong with a result that may be a success."""
    return complaints_about(case, result, *words) if result.code else unprintable(case, result)


def report(complaints):
    assert not complaints, f"{len(complaints)} cases:\n" + "\n".join(complaints[:20])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def document(good):
    """The good bundle's manifest, with every optional part that it can have."""
    return _rich(json.loads((good / "manifest.json").read_bytes()))


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A repository and its keys; nothing of what follows may change it."""
    directory = tmp_path_factory.mktemp("repo")
    assert run("init", directory / "repo", "--keys", directory / "keys").code == 0
    return directory


@pytest.fixture
def bundle(good, tmp_path):
    directory = tmp_path / "work" / "adder-1.0.0"
    shutil.copytree(good, directory)
    return directory


def _rich(document):
    variant = document["variants"][0]
    file = variant["files"][0]
    variant["session"] = {"threads": 2, "spinning": True}
    variant["metrics"] = [
        {"metric": "mean_absolute_error", "output": "sum", "value": 0.5, "samples": 4, "period": 360.0}
    ]
    variant["origin"] = {
        "method": "quantized-static",
        "made_from": file["sha256"],
        "making": {"tools": {"edged": "0.1.0"}, "command": "x", "inputs": [{"name": "x", "sha256": file["sha256"]}]},
    }
    variant["budget"]["power_watts"] = 1.5
    document["fallback"] = [{"use": "refuse"}]
    document["provenance"]["supplier"] = "tests"
    parse_manifest(encode_readable(document), source="the document to be spoiled")
    return document


def tree_of(directory):
    """Everything in a directory, with what it says; locks, which are empty and hidden, come with the first use."""
    return {
        str(path.relative_to(directory)): hash_bytes(path.read_bytes()) if path.is_file() else ""
        for path in directory.rglob("*")
        if path.suffix != ".lock"
    }


def publish(bundle, repo):
    return run("publish", bundle, "--repo", repo / "repo", "--keys", repo / "keys")


def test_the_manifest_changed_in_every_place_is_refused_or_means_something_else(bundle, document):
    """One thing wrong at a time: types, bounds, unknown keys, missing keys; the error names the document."""
    complaints, refused = [], 0
    for name, data in mutations(document, each=2):
        (bundle / "manifest.json").write_bytes(data)
        result = run("bundle", "show", bundle)
        refused += result.code != 0
        complaints += judged(name, result, "manifest.json")
    report(complaints)
    assert refused >= 500


def test_a_wrong_type_in_any_place_is_named_by_its_pointer(bundle, document):
    complaints = []
    for at in places(document):
        value = look_up(document, at)
        wrong = {"an": "object"} if not isinstance(value, dict) else ["a list"]
        (bundle / "manifest.json").write_bytes(encoded(changed(document, at, wrong)))
        where = pointer(at).replace("~", "~0") if at else "manifest.json"
        # Where one of several types is meant, the place of the choice is named.
        nearest = [where[:length] for length in range(1, len(where) + 1) if where[length : length + 1] in {"", "/"}]
        complaints += complaints_about(where, run("bundle", "show", bundle), *nearest[-2:])
    report(complaints)


FIELDS = (
    ("name",),
    ("version",),
    ("files", 0, "path"),
    ("variants", 0, "id"),
    ("variants", 0, "inputs", 0, "name"),
    ("variants", 0, "targets", "cpu_features"),
    ("variants", 0, "runtime", "version"),
    ("pipeline", "outputs", 0, "name"),
    ("validation", "kit"),
    ("provenance", "source"),
    ("provenance", "licence"),
)


def test_nasty_names_as_paths_are_refused(bundle, document):
    complaints = []
    for name in NASTY_NAMES:
        (bundle / "manifest.json").write_bytes(encoded(changed(document, ("files", 0, "path"), name)))
        result = run("bundle", "show", bundle)
        complaints += judged(f"{name!r:.60}", result, "/files/0/path", "/validation/kit", "/sbom")
        if not result.code and not name.isascii():
            complaints.append(f"{name!r:.60}: accepted")
    report(complaints)


def test_nasty_names_anywhere_are_refused_or_shown_safely(bundle, document):
    """Texts for people may be anything; a terminal gets what it can print."""
    complaints = []
    for i, name in enumerate(NASTY_NAMES[::3]):
        at = FIELDS[i % len(FIELDS)]
        value = [name] if at[-1] == "cpu_features" else name
        (bundle / "manifest.json").write_bytes(encoded(changed(document, at, value)))
        result = run("bundle", "show", bundle)
        complaints += judged(f"{pointer(at)} = {name!r:.60}", result, "manifest.json")
    report(complaints)


def test_documents_that_are_no_manifest_are_refused(bundle, document):
    complaints = []
    for i, (name, data) in enumerate(bombs(document)):
        (bundle / "manifest.json").write_bytes(data)
        for command in ("show", "validate", "scan", "signature") if i % 6 == 0 else ("show",):
            complaints += complaints_about(f"{command}, {name}", run("bundle", command, bundle), "manifest.json")
    report(complaints)


def test_every_command_refuses_what_show_refuses_and_leaves_the_repository_alone(bundle, document, repo):
    """A sample of the broken manifests; beside the repository, nothing is left either."""
    before = tree_of(repo)
    complaints = []
    cases = random.Random(2).sample(list(mutations(document, seed=2)), 60)
    for name, data in cases:
        (bundle / "manifest.json").write_bytes(data)
        if run("bundle", "show", bundle).code == 0:
            continue
        for result in (run("bundle", "validate", bundle), run("bundle", "scan", bundle), publish(bundle, repo)):
            complaints += complaints_about(name, result, "manifest.json")
    report(complaints)
    assert tree_of(repo) == before


def test_archives_cut_and_forged_in_every_way_are_refused(good, repo, tmp_path):
    """Packed bundles: what is cut, altered, linked, absolute, climbing, sparse, oversized or too much."""
    packed = tmp_path / "adder-1.0.0.edgeb"
    pack(good, packed)
    data = packed.read_bytes()
    work = tmp_path / "work"
    work.mkdir()
    path = work / "x.edgeb"
    before = tree_of(repo)
    complaints, count = [], 0
    for name, forged in archives(data):
        assert forged != data, name
        path.write_bytes(forged)
        result = publish(path, repo) if count % 4 == 0 else run("bundle", "scan", path)
        count += 1
        complaints += complaints_about(name, result, "x.edgeb")
        if [item.name for item in work.iterdir()] != ["x.edgeb"] or (tmp_path / "escape").exists():
            complaints.append(f"{name}: left something behind")
    report(complaints)
    assert count >= 200
    assert tree_of(repo) == before


def test_the_head_of_an_archive_alone_does_not_break_show(good, tmp_path):
    packed = tmp_path / "adder-1.0.0.edgeb"
    pack(good, packed)
    data = packed.read_bytes()
    path = tmp_path / "x.edgeb"
    complaints = []
    for name, forged in archives(data):
        path.write_bytes(forged)
        result = run("bundle", "show", path)
        complaints += judged(name, result, "x.edgeb")
    report(complaints)


def rewrite(bundle, path, data):
    """Change a file of a bundle and the manifest with it, so that only what the file says is wrong."""
    (bundle / path).write_bytes(data)
    document = json.loads((bundle / "manifest.json").read_bytes())
    for entry in [*document["files"], *(file for variant in document["variants"] for file in variant["files"])]:
        if entry["path"] == path:
            entry.update(sha256=hash_bytes(data), size=len(data))
    (bundle / "manifest.json").write_bytes(encode_readable(document))


def kit_cases(kit):
    for name in (
        "nothing",
        "binary",
        "zeros",
        "cut in the middle",
        "lists in lists",
        "lone surrogate in UTF-8",
        "long key",
    ):
        yield name, dict(bombs({**kit, "files": [1], "name": "x"}))[name]
    sample = kit["samples"][0]
    for name, value in {
        "no samples": changed(kit, ("samples",), []),
        "sample twice": changed(kit, ("samples",), [sample, {**sample, "golden": []}]),
        "file that is not there": changed(kit, ("samples", 0, "input"), "kit/none.bin"),
        "file outside": changed(kit, ("samples", 0, "input"), "../../../etc/passwd"),
        "absolute file": changed(kit, ("samples", 0, "input"), "/etc/passwd"),
        "the model as a sample": changed(kit, ("samples", 0, "input"), "models/adder-1.0.0-fp32-any.onnx"),
        "other output": changed(kit, ("samples", 0, "golden", 0, "name"), "other"),
        "other type": changed(kit, ("samples", 0, "golden", 0, "dtype"), "INT8"),
        "other shape": changed(kit, ("samples", 0, "golden", 0, "shape"), [7]),
        "huge shape": changed(kit, ("samples", 0, "golden", 0, "shape"), [2**62, 2**62]),
        "text for a number": changed(kit, ("samples", 0, "golden", 0, "data"), ["1"]),
        "no number": changed(kit, ("samples", 0, "golden", 0, "data"), []),
        "both inputs": changed(kit, ("samples", 0, "inputs"), [{"name": "file", "shape": [1], "data": [1]}]),
        "truth": changed(kit, ("samples", 0, "golden", 0, "data"), [1e300]),
    }.items():
        yield name, encoded(value)


def test_broken_kits_are_refused_by_validation(bundle):
    complaints = []
    kit = json.loads((bundle / "kit/kit.json").read_bytes())
    for name, data in kit_cases(kit):
        rewrite(bundle, "kit/kit.json", data)
        if name in {"key twice", "key twice, deep", "many files", "many keys", "byte order mark"} or name.startswith(
            "number"
        ):
            continue
        complaints += complaints_about(name, run("bundle", "validate", bundle), "kit.json", "adder-1.0.0")
    report(complaints)


@pytest.mark.parametrize(
    "change", ["missing", "empty", "longer", "other", "directory", "link to nowhere", "unreadable link"]
)
def test_a_file_that_is_not_the_one_of_the_manifest_is_named(bundle, repo, change):
    paths = [path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file() and path.name != "manifest.json"]
    for path in paths:
        data = (bundle / path).read_bytes()
        target = bundle / path
        target.unlink()
        match change:
            case "empty":
                target.write_bytes(b"" if data else b"x")
            case "longer":
                target.write_bytes(data + b"x")
            case "other":
                target.write_bytes(bytes(len(data)) if data else b"y")
            case "directory":
                target.mkdir()
            case "link to nowhere":
                target.symlink_to("nowhere")
            case "unreadable link":
                target.symlink_to(target.name)
        for result in (run("bundle", "validate", bundle), run("bundle", "scan", bundle), publish(bundle, repo)):
            assert complaints_about(change, result, str(path)) == []
        if change == "directory":
            target.rmdir()
        else:
            target.unlink(missing_ok=True)
        target.write_bytes(data)


MODELS = {
    "text": b"not a model",
    "nothing": b"",
    "zeros": bytes(1000),
    "half of one": None,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_is_no_model_fails_validation(bundle, name):
    path = next(path.relative_to(bundle) for path in bundle.rglob("*.onnx"))
    data = MODELS[name]
    rewrite(bundle, str(path), (bundle / path).read_bytes()[:300] if data is None else data)

    assert complaints_about(name, run("bundle", "validate", bundle), "model") == []


LABEL_FILES = {
    "nothing": b"",
    "too few": b"nought\n",
    "no UTF-8": b"nought\n\xff\xfe\ntwo\n",
    "UTF-16": "nought\none\ntwo\n".encode("utf-16"),
    "commands to the terminal": b"nought\n\x1b[31mone\x1b]0;x\x07\ntwo\n",
    "directions": "nought\n\u202eeno\ntwo\n".encode(),
    "one long line": b"one" * 1_000_000,
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return make_labelled_bundle(tmp_path_factory.mktemp("labelled"))


def test_labels_that_fit_pass_validation(labelled):
    """What the wrong ones below differ from."""
    assert run("bundle", "validate", labelled).code == 0


@pytest.mark.parametrize("name", LABEL_FILES)
def test_wrong_labels_fail_validation(labelled, tmp_path, name):
    bundle = tmp_path / "labelled-1.0.0"
    shutil.copytree(labelled, bundle)
    rewrite(bundle, "labels.txt", LABEL_FILES[name])

    assert complaints_about(name, run("bundle", "validate", bundle), "label") == []


RECIPES = {
    "nothing": "",
    "no TOML": "this is not toml",
    "half": '[variants\nmodel = "x"',
    "binary": "\x00\x01\x02",
    "key twice": 'name = "a"\nname = "b"',
    "deep": "a = " + "[" * 5000 + "]" * 5000,
    "number": "name = 99999999999999999999999999999999",
    "date": "name = 1979-05-27T07:32:00Z",
    "infinity": "name = inf",
    "unknown key": "colour = 'red'",
    "dotted keys": "a.b.c.d.e.f.g.h = 1\n" * 2,
    "escape": 'name = "\\u001b[31mred"',
    "direction": 'name = "\\u202egnp.exe"',
    "wrong escape": 'name = "\\q"',
    "surrogate": 'name = "\\ud800"',
    "many": "\n".join(f"k{i} = {i}" for i in range(5000)),
    "large": "# " + "x" * (1 << 20),
}


@pytest.mark.parametrize("name", RECIPES)
def test_broken_recipes_are_refused_with_their_name(name, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPES[name])

    assert complaints_about(name, run("bundle", "build", recipe, "--out", tmp_path / "out"), "recipe.toml") == []
    assert not (tmp_path / "out").exists()


def test_recipes_with_nasty_sources_are_refused(tmp_path):
    """A source that is not there, a directory, a device, something outside: each is named, and none is read without end."""
    recipe = make_recipe(tmp_path / "sources")
    text = recipe.read_text()
    complaints = []
    for name in [*NASTY_NAMES[::7], "/dev/zero", "/proc/self/mem", "/", ".", "kit"]:
        if not name or len(name) > 4000:
            continue
        recipe.write_text(text.replace('"adder.onnx"', json.dumps(name)))
        result = run("bundle", "build", recipe, "--out", tmp_path / "out")
        complaints += complaints_about(f"{name!r:.60}", result, "recipe.toml", "cannot copy")
    report(complaints)
    assert tree_of(tmp_path / "out") == {}


def test_the_real_program_refuses_them_too_in_bounded_memory(good, document, tmp_path):
    """A sample through the executable itself, with a limit of 3 GiB on its address space and of a minute on its time."""
    pack(good, tmp_path / "good.edgeb")
    forged = dict(archives((tmp_path / "good.edgeb").read_bytes()))
    commands = []
    for i, name in enumerate(("size 9223372036854775808", "million members", "PAX path before a file", "no end")):
        (tmp_path / f"{i}.edgeb").write_bytes(forged[name])
        commands.append(("scan", tmp_path / f"{i}.edgeb"))
    bombed = dict(bombs(document))
    manifests = [bombed[name] for name in ("lists in lists", "objects in objects", "number 999999999999", "many files")]
    manifests += random.Random(3).sample([data for _, data in mutations(document, seed=3)], 12)
    for i, data in enumerate(manifests):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "manifest.json").write_bytes(data)
        commands.append(("show", tmp_path / str(i)))

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda command: _real("bundle", *command), commands))

    complaints = []
    for (_, path), result in zip(commands, results, strict=True):
        complaints += judged(path.name, result, path.name)
    report(complaints)
    assert sum(result.code in REFUSED for result in results) >= 16


def _real(*argv):
    done = subprocess.run(
        ["prlimit", f"--as={3 << 30}", sys.executable, "-m", "edged.publish.main", *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    return Result(code=done.returncode, out=done.stdout, err=done.stderr)
