"""Apps that ask for far more than a model can answer, and do not wait when they are told to: all are answered or refused in words."""

import asyncio
from collections import Counter

import pytest

from tests.fakes.live_daemons import live_daemon
from tests.fakes.patience import PATIENCE_S
from tests.fakes.plain_bundles import make_loop_bundle
from tests.fakes.raw_http import RawClient, Reply, post

PARALLEL = 2
APPS = 80
"""More than there are places to wait, each asking again as soon as it has an answer."""
ENOUGH = 300
"""Requests that were answered."""
TIMES = 3000
"""Makes a run take some milliseconds."""


def loop_request(*, timeout_us: int = 0) -> bytes:
    inputs = [
        {"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]},
        {"name": "times", "datatype": "INT64", "shape": [1], "data": [TIMES]},
    ]
    return post(
        "/v2/models/loop/infer", {"inputs": inputs, "parameters": {"timeout": timeout_us} if timeout_us else {}}
    )


class Apps:
    """All of them, asking until enough was answered."""

    def __init__(self, path) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[Reply] = []
        self._path = path

    async def ask(self, data: bytes, *, enough: int, apps: int) -> None:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for _ in range(apps):
                group.create_task(self._ask(data, self.statuses[200] + enough))

    async def _ask(self, data: bytes, enough: int) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path)
        client = RawClient(reader, writer)
        while self.statuses[200] < enough:
            reply = await client.ask(data)
            self.statuses[reply.status] += 1
            if not is_right(reply):
                self.wrong.append(reply)
        await client.close()


def is_right(reply: Reply) -> bool:
    """Whether an answer is the right one, and a refusal says when to come back."""
    if reply.status == 200:
        return [output["data"] for output in reply.json()["outputs"]] == [[2.5]]
    return int(reply.headers["retry-after"]) >= 1 and bool(reply.json()["hint"])


@pytest.fixture
def device(tmp_path):
    with live_daemon() as device:
        device.configure({"worker": {"parallel": PARALLEL}})
        device.install(make_loop_bundle(tmp_path))
        device.roll_out("loop", "1.0.0")
        device.start()
        device.wait_for_model("loop")
        device.wait_until(lambda: len(device.workers) == 1, "end of what validated the model")
        yield device


async def test_too_many_requests_are_answered_or_refused_in_words_and_take_no_memory(device):
    apps = Apps(device.app_socket)
    await apps.ask(loop_request(), enough=ENOUGH, apps=PARALLEL)
    assert set(apps.statuses) == {200}
    before_bytes = device.all_bytes
    await apps.ask(loop_request(), enough=ENOUGH, apps=APPS)
    after_bytes = device.all_bytes

    text = f"{dict(apps.statuses)}, memory {before_bytes >> 10} KB, then {after_bytes >> 10} KB"
    print(text)  # noqa: T201 - seen with -s
    assert set(apps.statuses) <= {200, 429, 503}, text
    assert apps.statuses[503], text
    assert not apps.wrong, (text, apps.wrong[:3])
    assert after_bytes < 1.05 * before_bytes, text
