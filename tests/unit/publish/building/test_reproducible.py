"""The same inputs give the same bytes: of the packed bundle, on every machine, with every version of Python and of the libraries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edged.bundle.edgeb import pack
from edged.bundle.parse import parse_manifest
from edged.files import hash_bytes, hash_file
from edged.publish.building import making
from edged.publish.building.build import build_bundle

GOLDEN = Path(__file__).parents[3] / "golden/bundle"
SOURCES = GOLDEN / "sources"
EXPECTED = GOLDEN / "adder-1.0.0.edgeb.sha256"

PROGRAM = """
import os, sys
os.umask(int(sys.argv[1], 8))
from edged.publish.main import main
sys.exit(main(["bundle", "build", sys.argv[2], "--out", sys.argv[3], "--edgeb"]))
"""


def packed(recipe: Path, out: Path) -> str:
    built = build_bundle(recipe, out, report=lambda _line: None)
    pack(built, out / "packed.edgeb")
    return hash_file(out / "packed.edgeb")[0]


def test_a_recipe_gives_the_bytes_it_always_gave(tmp_path, monkeypatch):
    """Renew with the digest that this test prints, when manifests are meant to change; it is one for all version sets.

    The version of edged is part of the bytes, and is held still here.
    """
    monkeypatch.setattr(making, "__version__", "0.0.0")

    assert packed(SOURCES / "recipe.toml", tmp_path) == EXPECTED.read_text().strip()


@pytest.mark.parametrize(
    ("umask", "environment"),
    [
        ("077", {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        ("000", {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "HOME": "/nonexistent"}),
    ],
    ids=["kathmandu", "st-johns"],
)
def test_place_time_zone_language_umask_and_age_of_files_change_nothing(tmp_path, umask, environment):
    expected = packed(SOURCES / "recipe.toml", tmp_path / "here")
    # Another directory, other times, and names that the file system may well list in another order.
    there = tmp_path / "far away" / "sources"
    there.mkdir(parents=True)
    for path in sorted(SOURCES.rglob("*"), reverse=True):
        target = there / path.relative_to(SOURCES)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            os.utime(target, (1_000_000_000, 1_000_000_000))
    variables = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"} | environment
    variables["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)

    subprocess.run(
        [sys.executable, "-c", PROGRAM, umask, there / "recipe.toml", tmp_path / "out"],
        env=variables, check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip

    assert hash_file(tmp_path / "out/adder-1.0.0.edgeb")[0] == expected


def test_a_bundle_says_how_it_was_built(tmp_path):
    built = build_bundle(SOURCES / "recipe.toml", tmp_path, report=lambda _line: None)
    provenance = parse_manifest((built / "manifest.json").read_bytes(), source="manifest").provenance

    assert provenance.supplier == "Beispiel GmbH, Köln"
    assert provenance.training_config_sha256 == hash_bytes((SOURCES / "training.yaml").read_bytes())
    assert provenance.making.tools == {"edged": making.__version__}
    assert provenance.making.command == "edge-publish bundle build recipe.toml"
    assert {item.name: item.sha256 for item in provenance.making.inputs} == {
        name: hash_bytes((SOURCES / name).read_bytes())
        for name in ("adder.onnx", "kit/kit.json", "notes.txt", "recipe.toml", "training.yaml")
    }


def test_no_path_of_this_machine_gets_into_a_bundle(tmp_path):
    sources = tmp_path / "very-private-place"
    shutil.copytree(SOURCES, sources)
    recipe = sources / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"adder.onnx"', f'"{sources}/adder.onnx"'))
    built = build_bundle(recipe, tmp_path / "out", report=lambda _line: None)

    for path in built.rglob("*"):
        assert path.is_dir() or b"very-private-place" not in path.read_bytes(), path
