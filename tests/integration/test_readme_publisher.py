"""What README tells a model team to type works as it is written, on a model that the team has just been given."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edged

TOP = Path(__file__).parents[2]
SECTION = re.search(r"(?ms)^## For publishers.*?(?=^## )", (TOP / "README.md").read_text())[0]
PICTURES = 12


def commands(block: int) -> list[list[str]]:
    """Return the ``edge-publish`` commands of one of the section's shell blocks, without the server that runs until it is stopped."""
    lines = re.findall(r"(?ms)^```sh\n(.*?)^```", SECTION)[block].splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line[:1] == ["edge-publish"] and line[1] != "serve"]


def run(command: list[str], directory: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(Path(edged.__file__).parents[1])}
    command = [sys.executable, "-m", "edged.publish.main", *command[1:]]
    ended = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


def test_the_gauge_reader_is_published_as_written(tmp_path):
    (tmp_path / "models").symlink_to(TOP / "models")

    said = [run(command, tmp_path) for command in commands(1)]

    assert len(said) == 5
    assert "gauge 1.0.0 published in repo\n" in said[-1]
    assert (tmp_path / "repo/metadata/timestamp.json").is_file()


@pytest.fixture
def project(tmp_path):
    """A model that takes tensors, samples of these, and what is true of them."""
    shutil.copyfile(TOP / "models/gauge/gauge-fp32.onnx", tmp_path / "model.onnx")
    (tmp_path / "pictures").mkdir()
    kit = TOP / "models/gauge/kit"
    truth = ["sample,angle"]
    for sample in json.loads((kit / "kit.json").read_text())["samples"][:PICTURES]:
        with Image.open(kit / sample["input"]) as image:
            pixels = np.asarray(image.convert("L").resize((128, 128)), dtype=np.float32)
        rows = ((pixels / 255 - 0.45) / 0.25)[np.newaxis, np.newaxis].astype(np.float32)
        np.savez(tmp_path / "pictures" / f"{sample['name']}.npz", image=rows)
        truth.append(f"{sample['name']},{sample['truth'][0]['data'][0]}")
    (tmp_path / "truth.csv").write_text("\n".join(truth) + "\n")
    return tmp_path


def test_a_model_of_ones_own_is_packed_and_validated_as_written(project):
    said = [run(command, project) for command in commands(2)]

    assert len(said) == 4
    assert f"{PICTURES} of {PICTURES} good" in said[-1]
    report = (project / "report.xml").read_text()
    assert report.count("<testcase") == PICTURES + 2  # and one each for time and memory


def test_every_step_that_readme_names_exists_and_the_other_way_round():
    """The table is the only list of steps that people read."""
    from typing import get_args

    from edged.pipeline.steps import Step

    named = set(re.findall(r"`([a-z0-9_]+@\d+)`", SECTION))
    assert named == {str(step.__struct_config__.tag) for step in get_args(Step)}
