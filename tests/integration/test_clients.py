"""Clients of others, as they come from PyPI, with the daemon's inside behind the API on a Unix socket."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edged.api.app import make_app
from edged.api.connection.serve import serve_sites
from edged.api.endpoints.metrics import Metrics
from edged.api.limits import LiveLimits
from edged.api.oip.infer import Services
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import LimitsConfig, ServeConfig
from edged.ids import ModelName, Version
from edged.store.layout import StoreLayout
from edged.worker.arrays import NUMPY
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.daemons import started_daemon
from tests.fakes.decisions import undecided
from tests.fakes.fake_models import ECHO, FakeModels
from tests.fakes.flags import FakeFlags
from tests.fakes.gates import short_directory
from tests.fakes.oip_clients import EVERY, TRITON, Ask, RefusedError, TritonClient
from tests.fakes.plain_bundles import make_total_bundle, make_types_bundle
from tests.fakes.raw_http import listening, running
from tests.fakes.threads import in_thread

README = Path(__file__).parents[2] / "README.md"

ENDS = {dtype: np.iinfo(kind) for dtype, kind in NUMPY.items() if kind.kind in "iu"}
VALUES = {dtype: [info.min, info.max] for dtype, info in ENDS.items()} | {
    "BOOL": [True, False],
    "FP16": [0.5, -65504.0],
    "FP32": [1.5, float(np.finfo("<f4").max)],
    "FP64": [0.1, -1e300],
}
ARRAYS = {dtype.lower(): np.array(values, dtype=NUMPY[dtype]) for dtype, values in VALUES.items()} | {
    "bytes": np.array([b"one", "zw\u00f6lf".encode()], dtype=object)
}
"""One input of each datatype, with values at its ends."""
SAME = {name: f"same_{name}" for name in ARRAYS}


def stage(directory: Path) -> StoreLayout:
    """Put bundles into a store as the updater would, and have the rollout name them."""
    layout = StoreLayout(directory / "store")
    layout.ops.mkdir(parents=True)
    bundles = [make_bundle(directory), make_types_bundle(directory, ARRAYS), make_total_bundle(directory)]
    for bundle in bundles:
        target = layout.bundle(ModelName(bundle.name.partition("-")[0]), Version(1, 0, 0))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, target)
    models = {bundle.name.partition("-")[0]: {"version": "1.0.0"} for bundle in bundles}
    layout.rollout.write_text(json.dumps({"schema": 1, "issued": "2026-11-22T10:00:00Z", "models": models}))
    return layout


@asynccontextmanager
async def serving(directory: Path):
    async with started_daemon(stage(directory), directory / "state.db") as daemon:
        await daemon.lifecycle.look()
        limits, usage, models = LiveLimits(ServeConfig(), LimitsConfig()), daemon.serving, undecided(daemon.serving)
        quotas = Quotas(lambda: limits.callers, SystemClock())
        services = Services(models=models, usage=usage, quotas=quotas, limits=limits)
        metrics = Metrics(usage=usage, connections=dict, reviews=dict, shadows=dict, started_unix_s=0.0)
        app = make_app(models=models, status=daemon.report, usage=usage, metrics=metrics, flags=FakeFlags())
        async with serve_sites(app, services, [listening(directory / "s")], drain_s=5.0):
            yield directory / "s"


@pytest.fixture(scope="module")
def device():
    """The socket of a device on which ``adder``, ``total`` and ``types`` serve."""
    with short_directory() as directory, in_thread(lambda: serving(directory)) as path:
        yield path


@pytest.fixture(params=EVERY, ids=lambda kind: kind.__name__)
def client(request, device):
    client = request.param(device)
    yield client
    client.close()


@pytest.fixture(params=TRITON, ids=lambda kind: kind.__name__)
def triton(request, device):
    client = request.param(device)
    yield client
    client.close()


def test_server_and_models_are_live_and_ready(client):
    assert client.is_live()
    assert client.is_ready()
    assert client.is_model_ready("types")
    assert not client.is_model_ready("nobody")


def test_metadata_and_configuration_are_understood(triton):
    server = triton.call("get_server_metadata")
    metadata = triton.call("get_model_metadata", "types", model_version="1.0.0")
    config = triton.call("get_model_config", "types")

    assert (server["name"], "sequence" in server["extensions"]) == ("edged", True)
    assert {item["name"]: item["datatype"] for item in metadata["inputs"]} == {name: name.upper() for name in ARRAYS}
    assert all(item["shape"] == [-1] for item in metadata["outputs"])
    assert {item["data_type"] for item in config["input"]} == {
        "TYPE_STRING" if name == "bytes" else f"TYPE_{name.upper()}" for name in ARRAYS
    }


def test_the_repository_index_lists_the_models(triton):
    index = triton.call("get_model_repository_index")

    assert {(entry["name"], entry["version"], entry["state"]) for entry in index} == {
        (name, "1.0.0", "READY") for name in ("adder", "total", "types")
    }


def test_statistics_count_what_was_asked(triton):
    before, after = (statistics_after_an_inference(triton) for _ in range(2))

    assert after["inference_count"] - before["inference_count"] == 1
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    assert {model["name"] for model in triton.call("get_inference_statistics")["model_stats"]} >= {"adder", "types"}


def statistics_after_an_inference(triton) -> dict:
    triton.infer(Ask(model="types", inputs=ARRAYS))
    (model,) = triton.call("get_inference_statistics", "types")["model_stats"]
    return model


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
def test_every_datatype_comes_back_as_it_went(client, is_binary):
    outputs = dict.fromkeys(SAME.values(), is_binary)
    told = client.infer(Ask(model="types", inputs=ARRAYS, is_binary=is_binary, outputs=outputs))

    for name, array in ARRAYS.items():
        assert told[SAME[name]].was_binary == is_binary
        assert told[SAME[name]].array.dtype == array.dtype
        np.testing.assert_array_equal(told[SAME[name]].array, array)


def test_each_output_comes_in_the_form_asked_for(client):
    outputs = {"same_int8": True, "same_bytes": False, "same_fp16": True, "same_fp64": False}
    told = client.infer(Ask(model="types", inputs=ARRAYS, outputs=outputs))

    assert {name: output.was_binary for name, output in told.items()} == outputs
    for name in outputs:
        np.testing.assert_array_equal(told[name].array, ARRAYS[name.removeprefix("same_")])


def test_all_outputs_come_where_none_is_named(client):
    told = client.infer(Ask(model="types", inputs=ARRAYS))

    assert told.keys() == set(SAME.values())


def test_a_file_of_any_bytes_is_taken(client):
    data = bytes(range(200, 256))
    told = client.infer(Ask(model="adder", inputs={"file": np.array([data], dtype=object)}))

    assert told["sum"].array.tolist() == [[adder_answer(data)]]


def test_a_version_can_be_named(triton):
    assert triton.infer(Ask(model="types", inputs=ARRAYS, version="1.0.0"))
    with pytest.raises(RefusedError, match="has no active version") as refused:
        triton.infer(Ask(model="types", inputs=ARRAYS, version="2.0.0"))
    assert refused.value.status == 404


def test_a_sequence_keeps_its_state_until_it_ends(client):
    """Each kind of client has a sequence of its own: they are one caller."""

    def ask(value: float, **step: bool) -> float:
        parameters = {"sequence_id": 1 + EVERY.index(type(client)), **step}
        x = np.array([value], dtype=np.float32)
        return client.infer(Ask(model="total", inputs={"x": x}, parameters=parameters))["sum"].array.item()

    assert [ask(1.0, sequence_start=True), ask(2.0), ask(4.0, sequence_end=True)] == [1.0, 3.0, 7.0]
    with pytest.raises(RefusedError) as refused:
        ask(8.0)
    assert refused.value.status == 409


def test_priority_and_timeout_are_understood(client):
    wishes = {"priority": 1, "timeout": 20_000_000}
    assert client.infer(Ask(model="types", inputs=ARRAYS, parameters=wishes))

    with pytest.raises(RefusedError) as refused:
        client.infer(Ask(model="types", inputs=ARRAYS, parameters={"timeout": 1}))
    assert refused.value.status == 504


def test_parameters_of_edgeds_own_pass(triton):
    wishes = {"parameters": {"request_class": "background"}}
    assert triton.infer(Ask(model="types", inputs=ARRAYS, parameters=wishes))

    wishes = {"parameters": {"request_class": "sometime"}}
    with pytest.raises(RefusedError, match="request_class is interactive or background, not 'sometime'"):
        triton.infer(Ask(model="types", inputs=ARRAYS, parameters=wishes))


def test_a_refusal_is_the_clients_own_exception_with_the_servers_words(client):
    with pytest.raises(RefusedError) as refused:
        client.infer(Ask(model="types", inputs=ARRAYS | {"int32": np.zeros((2, 2), dtype="<i4")}))

    assert refused.value.status == 400
    assert refused.value.message == "Input 'int32' has shape [-1] (-1 is any size), not [2, 2]."


def test_compressed_bodies_are_refused_in_words(triton):
    with pytest.raises(RefusedError, match="Compressed bodies are not taken") as refused:
        triton.infer(Ask(model="types", inputs=ARRAYS, parameters={"request_compression_algorithm": "gzip"}))

    assert refused.value.status == 415


def test_a_client_asks_several_at_once(device):
    client = TritonClient(device)
    inputs = [client.input("file", np.array([bytes([i])], dtype=object)) for i in range(1, 9)]
    waiting = [client.client.async_infer("adder", [item]) for item in inputs]
    sums = [request.get_result().as_numpy("sum").item() for request in waiting]
    client.close()

    assert sums == [adder_answer(bytes([i])) for i in range(1, 9)]


@pytest.fixture(scope="module")
def magika():
    """The socket of a server with a model that takes and gives what magika does; it calls a file by its length."""
    model = replace(ECHO, name=ModelName("magika"))
    with short_directory() as directory, in_thread(lambda: running(directory / "s", models=FakeModels(model))):
        yield directory / "s"


@pytest.mark.parametrize("module", ["tritonclient.http", "tritonclient.http.aio", "kserve"])
def test_readme_shows_how(magika, module):
    """As it is there, but for the path of the socket."""
    pytest.importorskip(module, reason=f"{module} is not in Debian")
    snippets = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", README.read_text(), re.DOTALL))
    program = snippets[module].replace("/run/edged/edged.sock", str(magika))

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "25" in done.stdout
    assert len([line for line in program.splitlines() if line]) <= 10
