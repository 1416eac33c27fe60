"""Answers and features that are known already, as an app sees them: over HTTP, from the daemon as it is."""

from collections.abc import Iterator

import numpy as np
import pytest

from edged.cli.http import Client as Http
from edged.client import Client, Result
from tests.fakes.bundles import adder_answer
from tests.fakes.live_daemons import LiveDaemon, live_daemon
from tests.fakes.store_documents import StoreDocuments
from tests.fakes.switching import MORE, build_variants, id_of

POLICY = """\
schema = 1
name = "by-flag"
dwell_s = 0

[[rule]]
name = "small"
when = [{ "flag.small" = true }]
then = { variants = ["int8"] }
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[LiveDaemon]:
    """A device with the adder in several variants, of which a flag says which one answers."""
    directory = tmp_path_factory.mktemp("cache")
    (directory / "policy.toml").write_text(POLICY)
    with live_daemon() as device:
        device.configure({"policy": {"name": "", "file": directory / "policy.toml"}, "trial": {"min_s": 0.0}})
        device.install(build_variants(directory))
        device.roll_out("adder", "1.0.0")
        device.start()
        device.wait_for_model("adder")
        yield device


@pytest.fixture
def client(device) -> Iterator[Client]:
    """One of the device, on which fp32 answers, whatever a test before has left."""
    StoreDocuments(device.layout).flags(small={"default": False})
    with Client(str(device.app_socket), tensor_path=None) as client:
        device.wait_until(lambda: infer(client, b"which", may_cache=False).variant == id_of("fp32"), "answer of fp32")
        yield client


def infer(client: Client, data: bytes, **options: object) -> Result:
    return client.infer("adder", {"file": data}, **options)


def right(data: bytes, precision: str = "fp32") -> list[list[float]]:
    return [[float(np.float32(adder_answer(data) + MORE[precision]))]]


def value(device: LiveDaemon, name: str) -> int:
    """One of the metrics."""
    lines = Http(str(device.app_socket)).request("GET", "/metrics").body.decode().splitlines()
    return next(int(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def counts(client: Client, *names: str) -> list[int]:
    (model,) = client.get("/v2/models/adder/stats")["model_stats"]
    return [model["inference_stats"][name]["count"] for name in names]


def test_what_the_night_has_made_is_there_in_the_morning(device, client):
    hits, misses = counts(client, "cache_hit", "cache_miss")
    kept = value(device, 'edged_cache_entries{kind="result"}')
    night = infer(client, b"good morning", is_background=True)
    morning = infer(client, b"good morning")
    unwanted = infer(client, b"good morning", may_cache=False)

    assert [result["sum"].tolist() for result in (night, morning, unwanted)] == [right(b"good morning")] * 3
    assert [result.is_cached for result in (night, morning, unwanted)] == [False, True, False]
    assert counts(client, "cache_hit", "cache_miss") == [hits + 1, misses + 1]
    assert value(device, 'edged_cache_lookups_total{model="adder",result="hit"}') == hits + 1
    assert value(device, 'edged_cache_entries{kind="result"}') == kept + 1


def test_another_variant_goes_on_from_what_the_first_one_has_made(device, client):
    """The windows of bytes that both take are known; the sums, which differ, are not."""
    data, entries = b"something else", 'edged_cache_entries{kind="features"}'
    before, kept = counts(client, "feature_hit", "feature_miss"), value(device, entries)
    infer(client, data, is_background=True)
    assert value(device, entries) == kept + 1

    StoreDocuments(device.layout).flags(small={"default": True})
    device.wait_until(lambda: infer(client, b"which", may_cache=False).variant == id_of("int8"), "answer of int8")
    known = infer(client, data)
    unknown = infer(client, data, may_cache=False)

    assert (known.variant, known.is_cached, known.had_features) == (id_of("int8"), False, True)
    assert not unknown.had_features
    assert known["sum"].tobytes() == unknown["sum"].tobytes()
    assert known["sum"].tolist() == right(data, "int8")
    assert counts(client, "feature_hit", "feature_miss") == [before[0] + 1, before[1] + 1]
    assert value(device, 'edged_cache_feature_lookups_total{model="adder",result="hit"}') == before[0] + 1
