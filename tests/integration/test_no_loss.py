"""Every request is answered, and rightly, while models, settings and the daemon itself are replaced under apps that never stop asking."""

import asyncio
import socket
from functools import partial

import pytest

from tests.fakes.askers import HELLO, ClientAsker, Load, RawAsker, SessionAsker
from tests.fakes.bundles import make_bundle
from tests.fakes.live_daemons import LiveDaemon, live_daemon
from tests.fakes.patience import PATIENCE_S
from tests.fakes.raw_http import listening, request, running

SWAPS, RELOADS, RESTARTS = 200, 20, 10
MORE = {"1.0.0": 0.0, "1.1.0": 1000.0}
"""What tells the answers of the versions apart."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundles")
    return [make_bundle(directory, version=version, more=more) for version, more in MORE.items()]


@pytest.fixture
def device(bundles):
    """A device that has both versions and answers with the first."""
    with live_daemon() as device:
        for bundle in bundles:
            device.install(bundle)
        device.roll_out("adder", "1.0.0")
        device.start()
        device.wait_for_model("adder")
        yield device


def keeps(device: LiveDaemon):
    return partial(RawAsker, device.app_socket, keeps=True)


def connects_anew(device: LiveDaemon):
    return partial(RawAsker, device.app_socket, keeps=False)


def client(device: LiveDaemon):
    return partial(ClientAsker, device.app_socket)


def session(device: LiveDaemon):
    return partial(SessionAsker, device.tensor_socket)


def report(load: Load, **counts: int) -> str:
    """Say what happened; printed, and the message of whatever fails."""
    happened = {**counts, "answered": dict(load.answered), "asked again": load.again, "lost": len(load.failures)}
    text = ", ".join(f"{name} {count}" for name, count in happened.items())
    print(text)  # noqa: T201 - seen with -s
    return f"{text}: {load.failures[:5]}"


def test_two_hundred_swaps_lose_no_request(device):
    """Each is an update with all that belongs to it: read back, validated in a worker of its own, activated, tried."""
    with Load([keeps(device), connects_anew(device), client(device), session(device)], MORE) as load:
        load.wait_for_answers(100)
        before_bytes = device.own_bytes
        for swap in range(SWAPS):
            version = list(MORE)[(swap + 1) % 2]
            device.roll_out("adder", version)
            load.wait_for_answers(2, version=version)
        grown_bytes = device.own_bytes - before_bytes

    text = report(load, swaps=SWAPS, **{"daemon grown by KB": grown_bytes >> 10})
    assert not load.failures, text
    assert min(load.answered.values()) >= SWAPS, text
    assert not load.again, text
    assert grown_bytes < 20 << 20, text


def test_the_process_of_a_version_ends_with_it_and_gives_all_its_memory_back(device):
    device.wait_until(lambda: len(device.workers) == 1, "end of what validated the model")
    (before,) = device.workers
    with Load([client(device)], MORE) as load:
        device.roll_out("adder", "1.1.0")
        load.wait_for_answers(1, version="1.1.0")
    device.wait_until(lambda: len(device.workers) == 1, "end of the old worker")

    assert before not in device.workers


def test_twenty_reloads_with_other_limits_lose_no_request(device):
    with Load([keeps(device), connects_anew(device), client(device), session(device)], MORE) as load:
        for number in range(RELOADS):
            device.configure({"serve": {"max_queued": 8 + number}, "limits.default": {"max_concurrent": 8 + number}})
            device.reload()
            load.wait_for_answers(20)

    text = report(load, reloads=RELOADS)
    assert not load.failures, text
    assert not load.again, text
    device.configure({"serve": {"max_body_bytes": len(HELLO) - 1}})
    device.reload()
    refused = connects_anew(device)()
    with pytest.raises(AssertionError, match="413"):
        refused.ask()
    refused.close()


def test_ten_restarts_lose_no_request(device):
    """Raw clients get a new connection for each request, and no second try; edged's own clients keep theirs, and notice that it ended."""
    askers = [connects_anew(device)] * 4 + [client(device)] * 4 + [session(device)]
    with Load(askers, MORE) as load:
        for _ in range(RESTARTS):
            load.wait_for_answers(20)
            assert device.stop() == 0
            device.start()
        load.wait_for_answers(20)

    text = report(load, restarts=RESTARTS)
    assert not load.failures, text
    assert load.answered.total() >= 20 * RESTARTS, text


@pytest.mark.parametrize("turns", range(8))
async def test_whoever_connects_as_the_server_stops_is_answered_by_it_or_by_the_next(tmp_path, turns):
    """Whatever the loop was doing with the connection just then."""
    listener = listening(tmp_path / "s")
    with listener.dup() as held, socket.socket(socket.AF_UNIX) as client:
        async with running(tmp_path / "s", listener=listener):
            client.connect(str(tmp_path / "s"))
            client.sendall(request("GET", "/v2/health/live", headers="Connection: close\r\n"))
            for _ in range(turns):
                await asyncio.sleep(0)
        async with running(tmp_path / "s", listener=held.dup()):
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(sock=client.dup())
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
