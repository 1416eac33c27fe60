"""Less than the full size, from the policy through the daemon and its worker to what an app is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edged.cli.steering import Steering
from edged.client import Client, Session
from edged.policy.document import Then
from edged.publish.building.build import build_bundle
from edged.worker.arrays import to_tensor
from tests.fakes.live_daemons import LiveDaemon, live_daemon
from tests.fakes.models import build, helper

POLICY = """\
schema = 1
name = "smaller"

[[rule]]
name = "save"
then = { scale = 0.5 }
"""
RECIPE = """\
name = "ruler"
version = "1.0.0"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 1000.0, memory_bytes = 134217728 }

[pipeline]
inputs = [{ name = "image", dtype = "UINT8", shape = [-1, -1, 1] }]
outputs = [{ name = "size", dtype = "INT64", shape = [3] }]

[[pipeline.pre]]
op = "resize@1"
input = "image"
output = "small"
height = 32
width = 48
scaling = { least = 0.25, multiple = 8 }

[validation]
kit = "kit.json"
tolerance = [{ output = "size" }]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""
IMAGE = np.zeros((100, 120, 1), np.uint8)
SMALL = np.zeros((32, 48, 1), np.uint8)


def make_ruler(directory: Path) -> Path:
    """Build ``ruler``, which tells the size of the image that it is given: 32 x 48 or less."""
    sources = directory / "sources"
    sources.mkdir(parents=True)
    model = build([helper.make_node("Shape", ["small"], ["size"])], [("small", 2, ["h", "w", 1])], [("size", 7, [3])])
    (sources / "model.onnx").write_bytes(model.SerializeToString())
    (sources / "image").write_bytes(bytes(to_tensor("image", IMAGE).data))
    golden = {"name": "size", "dtype": "INT64", "shape": [3], "data": [32, 48, 1]}
    sample = {"name": "one", "inputs": [{"name": "image", "shape": IMAGE.shape, "file": "image"}], "golden": [golden]}
    (sources / "kit.json").write_text(json.dumps({"schema": 1, "reference": "the shape", "samples": [sample]}))
    recipe = sources / "recipe.toml"
    recipe.write_text(RECIPE)
    return build_bundle(recipe, directory, report=lambda _line: None)


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[LiveDaemon]:
    """A device that always saves; its ruler was validated in full size."""
    place = tmp_path_factory.mktemp("scale")
    (place / "policy.toml").write_text(POLICY)
    with live_daemon() as device:
        device.install(make_ruler(place / "bundles"))
        device.roll_out("ruler", "1.0.0")
        device.configure({"policy": {"name": "", "file": place / "policy.toml"}})
        device.start()
        device.wait_for_model("ruler")
        yield device


def test_the_model_sees_less_and_the_app_is_told(device):
    with Client(str(device.app_socket), tensor_path=None) as client:
        result = client.infer("ruler", {"image": IMAGE})

    assert result["size"].tolist() == [16, 24, 1]
    assert (result.scale, result.wanted_scale) == (0.5, 0.5)


def test_an_app_that_prepares_the_input_itself_is_told_what_is_wanted(device):
    with Client(str(device.app_socket), tensor_path=None) as client:
        result = client.infer("ruler", {"small": SMALL})
        followed = client.infer("ruler", {"small": np.zeros((16, 24, 1), np.uint8)})

    assert result["size"].tolist() == [32, 48, 1]
    assert (result.scale, result.wanted_scale) == (1.0, 0.5)
    assert followed["size"].tolist() == [16, 24, 1]


def test_connections_of_the_tensor_socket_are_answered_at_that_scale_and_told_so(device):
    with Session(str(device.tensor_socket), "ruler", memory_bytes=1 << 20) as session:
        assert session.wanted_scale == 0.5
        results = [session.infer({name: array}) for name, array in (("image", IMAGE), ("small", SMALL))]

    assert [result["size"].tolist() for result in results] == [[16, 24, 1], [32, 48, 1]]
    assert [(result.scale, result.wanted_scale) for result in results] == [(0.5, 0.5), (1.0, 0.5)]


def test_a_session_is_told_when_another_scale_is_asked_for(device):
    """With the next answers: the daemon tells the app, and the worker at the same time."""
    steering = Steering(str(device.admin_socket))
    results = []

    def is_told() -> bool:
        results.append(session.infer({"image": IMAGE}))
        return (results[-1].scale, session.wanted_scale) == (0.25, 0.125)

    with Session(str(device.tensor_socket), "ruler", memory_bytes=1 << 20) as session:
        steering.override("ruler", Then(scale=0.125), for_s=600, reason="a test")
        try:
            device.wait_until(is_told, "the other scale")
        finally:
            steering.clear_overrides("ruler")

    assert results[-1]["size"].tolist() == [8, 16, 1], "a quarter is the least, in multiples of 8"
