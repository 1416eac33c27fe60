"""Answers that are given again, as an app sees them: over HTTP, from the daemon as it is."""

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.live_daemons import LiveDaemon, live_daemon


class UnixConnection(http.client.HTTPConnection):
    """To a socket of the file system."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[LiveDaemon]:
    """A device with the adder."""
    with live_daemon() as device:
        device.install(make_bundle(tmp_path_factory.mktemp("bundles")))
        device.roll_out("adder", "1.0.0")
        device.start()
        device.wait_for_model("adder")
        yield device


def exchange(device, method, path, body=None):
    with closing(UnixConnection(device.app_socket)) as connection:
        connection.request(method, path, body)
        reply = connection.getresponse()
        assert reply.status == 200
        return reply.read()


def infer(device, text, **parameters):
    inputs = [{"name": "file", "shape": [1], "datatype": "BYTES", "data": [text]}]
    document = {"inputs": inputs, "parameters": parameters}
    answer = json.loads(exchange(device, "POST", "/v2/models/adder/infer", json.dumps(document)))
    return answer["outputs"][0]["data"], answer["parameters"].get("cached", False)


def test_what_the_night_has_made_is_there_in_the_morning(device):
    right = [struct.unpack("<f", struct.pack("<f", adder_answer(b"good morning")))[0]]

    night = infer(device, "good morning", request_class="background")
    morning = infer(device, "good morning")
    unwanted = infer(device, "good morning", cache=False)
    (model,) = json.loads(exchange(device, "GET", "/v2/models/adder/stats"))["model_stats"]
    metrics = exchange(device, "GET", "/metrics").decode()

    assert (night, morning, unwanted) == ((right, False), (right, True), (right, False))
    assert [model["inference_stats"][key]["count"] for key in ("cache_hit", "cache_miss")] == [1, 1]
    assert 'edged_cache_lookups_total{model="adder",result="hit"} 1' in metrics
    assert "\nedged_cache_entries 1" in metrics
