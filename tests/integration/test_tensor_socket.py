"""The tensor socket from the outside: real clients, real workers, and nothing lost when either of them changes or goes."""

import asyncio
import os
import signal
import subprocess

import numpy as np
import pytest

from edged.config.schema import CallerLimits, LimitsConfig, ServeConfig
from edged.errors import BackendError
from edged.ids import ModelName
from edged.onnx.in_place import DATATYPES
from edged.tensor_socket import Error, Infer, Notice, Open, Result, encode
from tests.fakes.compilers import COMPILER, compile_client
from tests.fakes.fast_paths import Client, adder, fast_path, looping, until
from tests.fakes.models import FLOAT, build, helper
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of, worker_spec

X = np.arange(8, dtype=np.float32).reshape(2, 4)
FOREVER = np.array([1 << 40], np.int64)
SOON = np.array([1], np.int64)
ONE = np.ones(1, np.float32)


def mean(rows: int):
    """The mean of each of ``rows`` x 65536 numbers, which are read where they lie."""
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)
    model = build([node], [("x", FLOAT, [rows, 65536])], [("y", FLOAT, [rows])]).SerializeToString()
    return worker_spec(model, [spec_of("x", "FP32", (rows, 65536))], [spec_of("y", "FP32", (rows,))]), model


def summing():
    """Adds up the ``x`` of a sequence."""
    nodes = [helper.make_node("Add", ["x", "total"], ["next"]), helper.make_node("Identity", ["next"], ["y"])]
    model = build(nodes, [("x", FLOAT, [1]), ("total", FLOAT, [1])], [("y", FLOAT, [1]), ("next", FLOAT, [1])])
    data = model.SerializeToString()
    one = (1,)
    return worker_spec(
        data,
        [spec_of("x", "FP32", one), spec_of("total", "FP32", one)],
        [spec_of("y", "FP32", one), spec_of("next", "FP32", one)],
        state={"total": "next"},
    ), data


@pytest.fixture
async def fast(tmp_path):
    async with fast_path(tmp_path) as fast:
        yield fast


async def test_a_client_asks_and_is_answered(fast):
    await fast.put(adder())
    async with fast.client() as client:
        assert (client.opened.version, client.opened.memory_bytes) == ("1.0.0", 1 << 20)
        for x in (X, X * 2, X[:1]):
            (y,) = await client.ask({0: x})
            assert y.tolist() == (x + 1).tolist()


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (apt install gcc libc6-dev)")
async def test_a_client_in_c_asks_and_is_answered(fast, tmp_path):
    await fast.put(adder())
    program = compile_client(tmp_path)

    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            program, fast.path, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return (await process.wait(), (await process.stdout.read()).decode())

    code, said = await run("adder", "2x4", "1", "2.5", "-3")
    assert code == 0
    assert "output 0 shape 2x4 2 3.5 -2 2 3.5 -2 2 3.5" in said.splitlines()
    code, said = await run("nobody", "1")
    assert code == 1
    assert said.startswith("error 404 model-unknown")
    code, said = await run("adder", "3")
    assert code == 1
    assert "error 400 tensor-invalid" in said


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (apt install gcc libc6-dev)")
async def test_a_client_cannot_take_its_memory_away_while_the_model_runs(fast, tmp_path):
    await fast.put(mean(16), name="mean")
    program = compile_client(tmp_path)
    process = await asyncio.create_subprocess_exec(
        program, "--truncate", fast.path, "mean", "16x65536", "3", stdout=subprocess.PIPE
    )
    said = (await process.communicate())[0].decode()

    assert process.returncode == 0
    assert "truncate: Operation not permitted" in said
    assert "output 0 shape 16" + " 3" * 16 in said


async def test_a_client_that_rewrites_its_memory_while_the_model_runs_spoils_its_own_answer_only(fast):
    """Its memory is read in place; whatever it does there, the worker lives and others' answers are right."""
    assert "FP32" in DATATYPES
    await fast.put(mean(16), name="mean")
    pid = fast.worker("mean").pid
    good = np.full((16, 65536), 3, np.float32)
    async with (
        fast.client("mean", memory_bytes=16 << 20) as honest,
        fast.client("mean", memory_bytes=16 << 20) as hostile,
    ):
        request = hostile.infer({0: good})
        patterns = [os.urandom(1 << 20) * 4, b"\xff" * (4 << 20), bytes(4 << 20)]
        for i in range(60):
            hostile.send(request)
            honest_answer = asyncio.ensure_future(honest.ask({0: good}))
            await asyncio.to_thread(hostile.rewrite, patterns[i % 3])
            assert isinstance(await hostile.receive(), Result)
            assert (await honest_answer)[0].tolist() == [3.0] * 16

    assert fast.worker("mean").pid == pid


async def test_a_sequence_goes_on_over_requests(fast):
    await fast.put(summing(), name="sum")
    async with fast.client("sum") as client:
        assert [entry.is_state for entry in client.opened.tensors[:4]] == [False, True, False, True]
        for total in (1.0, 2.0, 3.0):
            (y,) = await client.ask({0: ONE}, sequence=9, is_start=total == 1.0)
            assert y.tolist() == [total]
        assert (await client.ask({0: ONE}, sequence=8)).code == "sequence-unknown"


@pytest.mark.parametrize(
    ("model", "version", "code", "status"),
    [("nobody", "", "model-unknown", 404), ("adder", "2.0.0", "model-unknown", 404), ("later", "", "unavailable", 503)],
)
async def test_models_that_do_not_answer_are_refused_with_the_reason(fast, model, version, code, status):
    await fast.put(adder())
    fast.serving.announce(ModelName("later"))
    client = Client(fast.path)
    error = await client.offer(encode(Open(model=model, version=version)), [client.memory])

    assert isinstance(error, Error)
    assert (error.code, error.status, error.is_closing) == (code, status, True)
    assert await client.receive() is None
    client.close()


async def test_a_swap_loses_no_request_and_is_told_once(fast):
    """Requests are sent all the time; each is answered once, by the old version or the new one, and in order."""
    swaps = 12
    await fast.put(adder(0.0), version="1.0.0")
    async with fast.client() as one, fast.client() as two, fast.client(version="1.0.0") as pinned:
        askers = [Asker(one), Asker(two)]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(asker.ask()) for asker in askers]
            for i in range(1, swaps + 1):
                await fast.put(adder(float(i)), version=f"1.{i}.0")
                # One that lasts for a moment only may be passed over, so two come right after each other, and the second stays.
                if i % 2 == 0:
                    for asker in askers:
                        await asker.until_answered_by(f"1.{i}.0")
            for asker in askers:
                asker.stop()
            await asyncio.gather(*asking)
        for asker in askers:
            assert asker.answered == list(range(1, asker.sent + 1))
            assert asker.notices == sorted(set(asker.notices), key=lambda version: int(version.split(".")[1]))
        error = await pinned.receive()
        assert (error.code, error.is_closing) == ("model-unknown", True)
        assert await pinned.receive() is None


class Asker:
    """A client that has two requests under way until it is told to stop."""

    def __init__(self, client: Client) -> None:
        self.sent = 0
        self.answered: list[int] = []
        """The numbers of its requests, as the answers came."""
        self.notices: list[str] = []
        """The versions that it was told of."""
        self._client = client
        self._last: str | None = None
        """The version that gave the last answer."""
        self._progress = asyncio.Event()
        self._is_stopped = False

    def stop(self) -> None:
        self._is_stopped = True

    async def until_answered_by(self, version: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self._last != version:
                self._progress.clear()
                await self._progress.wait()

    async def ask(self) -> None:
        request = self._client.infer({0: X})
        while not self._is_stopped or len(self.answered) < self.sent:
            while self.sent < len(self.answered) + 2 and not self._is_stopped:
                self.sent += 1
                self._client.send(Infer(request=self.sent, inputs=request.inputs, outputs=request.outputs))
            message = await self._client.receive()
            if isinstance(message, Notice):
                self.notices.append(message.version)
                continue
            assert isinstance(message, Result), message
            self.answered.append(message.request)
            self._last = self.notices[-1] if self.notices else None
            self._progress.set()


async def test_a_request_under_way_at_a_swap_is_answered_by_the_version_that_has_it(fast):
    await fast.put(looping(), name="loop")
    async with fast.client("loop") as client:
        client.send(client.infer({0: ONE, 1: FOREVER}, deadline_us=300_000))
        before = fast.serving.served[ModelName("loop")]
        await fast.put(looping(), name="loop", version="2.0.0")
        assert (await client.receive()).code == "deadline-exceeded"
        assert (await client.receive()).version == "2.0.0"
        await until(lambda: before.worker is None)
        assert (await client.ask({0: ONE, 1: SOON}))[0].tolist() == [1.0]


async def test_other_tensors_end_the_connection_with_the_reason(fast):
    await fast.put(adder())
    async with fast.client() as client:
        await fast.put(mean(2), version="2.0.0")

        error = await client.receive()
        assert (error.code, error.status, error.is_closing) == ("model-changed", 409, True)
        assert await client.receive() is None


async def test_a_removed_model_ends_its_connections_with_the_reason(fast):
    await fast.put(adder())
    async with fast.client() as client:
        await client.ask({0: X})
        fast.serving.remove(ModelName("adder"))

        assert (await client.receive()).code == "model-unknown"
        assert await client.receive() is None


async def test_a_worker_that_dies_costs_the_request_it_had_and_no_other(fast):
    await fast.put(looping(), name="loop")
    async with fast.client("loop") as busy, fast.client("loop") as idle:
        await idle.ask({0: ONE, 1: SOON})
        await busy.ask({0: ONE, 1: SOON})
        endless = busy.infer({0: ONE, 1: FOREVER}, request=66)
        busy.send(endless)
        await until(lambda: fast.under_way("loop") == [66])
        worker = fast.worker("loop")
        os.kill(worker.pid, signal.SIGKILL)

        error = await busy.receive()
        assert (error.request, error.code, error.status, error.is_closing) == (
            endless.request,
            "worker-lost",
            500,
            False,
        )
        busy.send(busy.infer({0: ONE, 1: SOON}, request=77))
        assert (await busy.receive()).request == 77
        assert (await idle.ask({0: ONE, 1: SOON}))[0].tolist() == [1.0]
        assert fast.worker("loop").pid != worker.pid
    assert fast.stats("loop").requests["worker-lost"] == 1
    assert fast.served("loop").demand.lent_failures == 1


async def test_who_ends_two_workers_has_to_rest(fast):
    await fast.put(looping(), name="loop")
    for _ in range(2):
        async with fast.client("loop") as client:
            client.send(client.infer({0: ONE, 1: FOREVER}))
            await until(lambda: fast.under_way("loop"))
            os.kill(fast.worker("loop").pid, signal.SIGKILL)
            assert (await client.receive()).code == "worker-lost"

    client = Client(fast.path)
    error = await client.offer(encode(Open(model="loop")), [client.memory])
    assert (error.code, error.status) == ("request-poisonous", 422)
    client.close()


async def test_a_request_beyond_its_deadline_is_stopped_and_the_worker_goes_on(fast):
    await fast.put(looping(), name="loop")
    pid = fast.worker("loop").pid
    async with fast.client("loop") as client, fast.client("loop") as other:
        asked = asyncio.ensure_future(client.ask({0: ONE, 1: FOREVER}, deadline_us=50_000))
        assert (await other.ask({0: ONE, 1: SOON}))[0].tolist() == [1.0]

        error = await asked
        assert (error.code, error.status, error.is_closing) == ("deadline-exceeded", 504, False)
        assert (await client.ask({0: ONE, 1: SOON}))[0].tolist() == [1.0]
    assert fast.worker("loop").pid == pid


async def test_a_worker_that_ignores_its_deadlines_is_ended_and_replaced(fast):
    """A process that is stopped ignores everything but SIGKILL."""
    await fast.put(looping(), name="loop")
    pid = fast.worker("loop").pid
    async with fast.client("loop") as client:
        client.send(client.infer({0: ONE, 1: FOREVER}))
        await until(lambda: fast.under_way("loop"))
        os.kill(pid, signal.SIGSTOP)
        # As if the deadline had passed so long ago.
        fast.worker("loop")._stop_within_s = -2 * ServeConfig().request_timeout_s

        assert (await client.receive()).code == "worker-lost"
        assert (await client.ask({0: ONE, 1: SOON}))[0].tolist() == [1.0]
    assert fast.worker("loop").pid != pid


async def test_a_client_that_leaves_has_its_request_stopped(fast):
    await fast.put(looping(), name="loop")
    async with fast.client("loop") as client:
        client.send(client.infer({0: ONE, 1: FOREVER}))
        await until(lambda: fast.under_way("loop"))
    await until(lambda: not fast.sockets.connections)

    assert fast.worker("loop").lender.running() == 0
    assert fast.stats("loop").requests == {"deadline-exceeded": 1}


async def test_what_connections_do_is_in_the_statistics(fast):
    await fast.put(adder())
    async with fast.client() as client:
        for x in (X, X, X.ravel()):
            await client.ask({0: x})

        await until(lambda: fast.stats().request_duration_s.count == 3)
        stats = fast.stats()
        assert stats.requests == {"ok": 2, "tensor-invalid": 1}
        assert (stats.rows, stats.succeeded.count, stats.run_duration_s.count) == (2, 2, 2)
        served = fast.served()
        assert (served.demand.lent_requests, served.demand.lent_failures) == (3, 0)
        assert fast.sockets.connections == 1


async def test_a_caller_may_have_so_many_connections_and_so_much_memory(fast):
    fast.config.limits = LimitsConfig(default=CallerLimits(max_concurrent=2, max_queued_bytes=3 << 20))
    await fast.put(adder())
    async with fast.client(memory_bytes=1 << 20), fast.client(memory_bytes=1 << 20):
        for size, code, status in ((1 << 20, "quota-exceeded", 429), (4 << 20, "quota-exceeded", 429)):
            third = Client(fast.path, memory_bytes=size)
            error = await third.offer(encode(Open(model="adder")), [third.memory])
            assert (error.code, error.status, error.is_closing) == (code, status, True)
            third.close()
    await until(lambda: not fast.sockets.connections)
    async with fast.client(memory_bytes=3 << 20):
        assert fast.stats().rejections == {"quota": 2}


async def test_a_rate_is_shared_by_the_connections_of_a_caller(fast):
    fast.config.limits = LimitsConfig(default=CallerLimits(rate_per_s=0.01, burst=6))
    await fast.put(adder())
    async with fast.client() as one:
        assert (one.opened.requests_per_1000_s, one.opened.burst) == (10, 6)
        async with fast.client() as two:
            assert (two.opened.requests_per_1000_s, two.opened.burst) == (5, 3)
            for _ in range(3):
                assert isinstance(await two.ask({0: X}), list)
            error = await two.ask({0: X})
            assert (error.code, error.status) == ("quota-exceeded", 429)
            assert error.retry_after_ms > 100_000


async def test_limits_of_a_reload_hold_for_connections_that_are_open(fast):
    await fast.put(adder())
    async with fast.client() as client:
        assert isinstance(await client.ask({0: X}), list)
        fast.config.limits = LimitsConfig(default=CallerLimits(rate_per_s=0.01, burst=1))
        answers = [await client.ask({0: X})]
        async with asyncio.timeout(30):
            while isinstance(answers[-1], list):
                answers.append(await client.ask({0: X}))

        assert answers[-1].code == "quota-exceeded"


async def test_there_may_be_so_many_connections_in_all(fast):
    fast.config.serve = ServeConfig(max_connections=1)
    await fast.put(adder())
    async with fast.client():
        other = Client(fast.path)
        error = await other.receive()
        assert (error.code, error.status) == ("unavailable", 503)
        assert await other.receive() is None
        other.close()


async def test_the_end_of_the_daemon_answers_what_runs_and_closes_the_connections(fast):
    """A client then connects again: under systemd the next daemon has the same socket."""
    await fast.put(looping(), name="loop")
    async with fast.client("loop") as busy, fast.client("loop") as idle:
        busy.send(busy.infer({0: ONE, 1: FOREVER}, request=1, deadline_us=2_000_000))
        await until(lambda: fast.under_way("loop"))
        busy.send(busy.infer({0: ONE, 1: FOREVER}, request=2))
        fast.sockets.begin_to_end()

        assert await idle.receive() is None
        assert (await busy.receive()).request == 1
        assert await busy.receive() is None


async def test_a_worker_that_cannot_be_replaced_refuses_its_clients(fast, monkeypatch):
    await fast.put(adder())

    async def fail(*_what):
        raise BackendError("no more workers today")

    async with fast.client() as client:
        await client.ask({0: X})
        await until(lambda: not fast.under_way())
        served = fast.serving.served[ModelName("adder")]
        monkeypatch.setattr(served._keeper, "_start_worker", fail)
        os.kill(fast.worker().pid, signal.SIGKILL)

        error = await client.receive()
        assert (error.code, error.is_closing) == ("unavailable", True)
        assert "no more workers today" in error.message
