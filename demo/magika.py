"""Magika's file-type classifier (PyPI package ``magika``, Apache-2.0) as a bundle recipe, judged by the package itself.

``python -m demo.magika --work DIR`` makes a published repository of it: DIR/repo, DIR/keys, DIR/samples and DIR/expected.json.
"""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final

import magika

from demo.files import make_samples

MODEL: Final = Path(magika.__file__).parent / "models/standard_v3_3"
SCORE_TOLERANCE: Final = 0.001
BIN: Final = Path(sys.executable).parent
"""Where this environment's commands are."""

RECIPE: Final = """\
name = "magika"
version = "{version}"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"], min_memory_bytes = 268435456 }}
budget = {{ latency_ms = 1000.0, memory_bytes = 268435456 }}

[[files]]
source = "labels.txt"
path = "labels.txt"
role = "labels"

[pipeline]
inputs = [{{ name = "content", dtype = "BYTES", shape = [1] }}]
outputs = [
  {{ name = "label", dtype = "BYTES", shape = [-1, 1] }},
  {{ name = "score", dtype = "FP32", shape = [-1, 1] }},
]

# The windows that the model was trained on, in the numbers of its own configuration.
[[pipeline.pre]]
op = "bytes_window@1"
input = "content"
output = "bytes"
begin = {begin}
end = {end}
block = {block}
padding = {padding}

# The model's graph ends in its softmax, so its output is ranked as it is.
[[pipeline.post]]
op = "top_k@1"
input = "target_label"
values = "score"
indices = "index"
k = 1

[[pipeline.post]]
op = "labels@1"
input = "index"
output = "label"
file = "labels.txt"

[validation]
kit = "kit"
tolerance = [{{ output = "label" }}, {{ output = "score", absolute = {tolerance} }}]

[provenance]
source = "PyPI magika {package}, models/standard_v3_3/model.onnx"
licence = "Apache-2.0"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ``magika`` package says about one file: its network's first choice, before the package's own rules."""

    label: str
    score: float


def ask_magika(samples: dict[str, bytes]) -> dict[str, Answer]:
    """Return the package's own answers by file name."""
    judge = magika.Magika()
    answers = {}
    for name, content in samples.items():
        prediction = judge.identify_bytes(content).prediction
        answers[name] = Answer(label=str(prediction.dl.label), score=float(prediction.score))
    return answers


def write_sources(directory: Path, version: str, samples: dict[str, bytes], answers: dict[str, Answer]) -> Path:
    """Write what ``edge-publish bundle build`` needs, and return the recipe.

    Args:
        directory: Made anew.
        version: The bundle's version.
        samples: The validation kit's inputs by name.
        answers: Their golden outputs.
    """
    shutil.rmtree(directory, ignore_errors=True)
    kit = directory / "kit"
    kit.mkdir(parents=True)
    shutil.copyfile(MODEL / "model.onnx", directory / "model.onnx")
    settings: dict[str, Any] = json.loads((MODEL / "config.min.json").read_text())
    (directory / "labels.txt").write_text("".join(f"{label}\n" for label in settings["target_labels_space"]))
    for name, content in samples.items():
        (kit / name).write_bytes(content)
    document = {
        "schema": 1,
        "reference": f"magika {version_of('magika')}",
        "samples": [
            {
                "name": name,
                "input": name,
                "golden": [
                    {"name": "label", "dtype": "BYTES", "shape": [1, 1], "data": [answer.label]},
                    {"name": "score", "dtype": "FP32", "shape": [1, 1], "data": [answer.score]},
                ],
            }
            for name, answer in answers.items()
        ],
    }
    (kit / "kit.json").write_text(json.dumps(document, indent=2))
    recipe = directory / "magika.toml"
    recipe.write_text(
        RECIPE.format(
            version=version,
            begin=settings["beg_size"],
            end=settings["end_size"],
            block=settings["block_size"],
            padding=settings["padding_token"],
            tolerance=SCORE_TOLERANCE,
            package=version_of("magika"),
        )
    )
    return recipe


def edge_publish(*arguments: object) -> None:
    """Run ``edge-publish`` of this environment, in sight of the reader.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    print("$ edge-publish", *arguments, flush=True)
    subprocess.run([BIN / "edge-publish", *map(str, arguments)], check=True)  # noqa: S603 - ours


def main() -> None:
    """Make a published repository with the model in it."""
    parser = argparse.ArgumentParser(prog="python -m demo.magika", description=main.__doc__)
    parser.add_argument("--work", type=Path, required=True, help="made anew")
    work: Path = parser.parse_args().work
    shutil.rmtree(work, ignore_errors=True)
    samples = make_samples()
    answers = ask_magika(samples)
    recipe = write_sources(work / "sources", "1.0.0", samples, answers)
    (work / "samples").mkdir()
    for name, content in samples.items():
        (work / "samples" / name).write_bytes(content)
    expected = [{"file": f"samples/{name}", "label": a.label, "score": a.score} for name, a in answers.items()]
    (work / "expected.json").write_text(json.dumps(expected, indent=2))
    edge_publish("init", work / "repo", "--keys", work / "keys")
    edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    edge_publish("publish", work / "bundles/magika-1.0.0", "--repo", work / "repo", "--keys", work / "keys")


if __name__ == "__main__":
    main()
