"""The tensor socket under a policy: connections move to other variants, share a rate, wait or end, as it is decided."""

import asyncio

import numpy as np
import pytest

from edged.errors import DeferredError, PolicyDeniedError
from edged.runtime.calls import RequestClass
from edged.select.decision import Action, Decision
from edged.tensor_socket import Open, Result, encode
from tests.fakes.fast_paths import Client, adder, fast_path, looping, until

X = np.arange(8, dtype=np.float32).reshape(2, 4)
ONE = np.ones(1, np.float32)


def limit(**limits):
    return Decision(action=Action.RUN, rule="warm", origin="packaged", rank=0, **limits)


@pytest.fixture
async def fast(tmp_path):
    async with fast_path(tmp_path) as fast:
        yield fast


async def test_a_connection_goes_to_the_variant_that_policy_decides_for_and_back(fast):
    await fast.put(adder())
    await fast.add(adder(10.0), "tiny-int8")
    async with fast.client() as client:
        assert (await client.ask({0: X}))[0].tolist() == (X + 1).tolist()

        variants = ["tiny-int8"]
        fast.answering = lambda name, version, _class: fast.serving.answering(name, version, *variants)
        fast.sockets.decided()
        assert (await client.receive()).variant == "tiny-int8"
        assert (await client.ask({0: X}))[0].tolist() == (X + 10).tolist()

        variants.clear()
        fast.sockets.decided()
        assert (await client.receive()).variant == "tiny-1.0.0-fp32-amd64"
        assert (await client.ask({0: X}))[0].tolist() == (X + 1).tolist()


async def test_a_connection_ends_when_policy_defers_and_a_new_one_is_refused_until_it_does_not(fast):
    def defer(*_asked):
        raise DeferredError("rule hot", rule="hot", retry_after_s=12)

    await fast.put(adder())
    answering = fast.answering
    async with fast.client() as client, fast.client(is_background=True) as background:
        await client.ask({0: X})
        fast.answering = lambda name, version, request_class: (
            defer() if request_class is RequestClass.INTERACTIVE else answering(name, version, request_class)
        )
        fast.sockets.decided()
        told = await client.receive()
        assert (told.status, told.code, told.retry_after_ms, told.is_closing) == (503, "deferred", 12_000, True)
        assert await client.receive() is None
        assert (await background.ask({0: X}))[0].tolist() == (X + 1).tolist()

    refused = Client(fast.path)
    assert (await refused.offer(encode(Open(model="adder")), [refused.memory])).code == "deferred"
    refused.close()
    fast.answering = answering
    async with fast.client() as client:
        assert (await client.ask({0: X}))[0].tolist() == (X + 1).tolist()


async def test_a_rate_of_the_policy_is_shared_by_all_connections_and_holds_at_once(fast):
    await fast.put(adder())
    async with fast.client() as client, fast.client(is_background=True) as background:
        await client.ask({0: X})
        fast.decision = limit(max_rate_per_s=0.02)
        async with fast.client() as other:
            assert (other.opened.requests_per_1000_s, other.opened.burst) == (10, 1)
            fast.sockets.decided()
            answers = [await client.ask({0: X})]
            async with asyncio.timeout(30):
                while isinstance(answers[-1], list):
                    answers.append(await client.ask({0: X}))
            assert (answers[-1].code, answers[-1].status) == ("policy-limited", 503)
            assert "rule warm lets no more than 0.01 requests a second" in answers[-1].message
            assert isinstance(await background.ask({0: X}), list)


async def test_apps_that_take_scales_are_told_what_is_asked_for_at_once_and_when_it_changes(fast):
    fast.scale = 0.5
    await fast.put(adder())
    async with fast.client(wants_scales=True) as client, fast.client() as other:
        assert (client.opened.wanted_permille, other.opened.wanted_permille) == (500, 0)
        fast.scale = 0.25
        fast.sockets.decided()
        told = await client.receive()
        assert (told.variant, told.wanted_permille) == (client.opened.variant, 250)
        assert isinstance(await other.ask({0: X}), list), "no other message comes before its answer"


async def test_no_more_connections_than_requests_may_run_at_a_time_and_the_first_ones_stay(fast):
    await fast.put(adder())
    async with fast.client() as first, fast.client() as second, fast.client(is_background=True) as background:
        fast.decision = limit(max_concurrent=1)
        fast.sockets.decided()
        told = await second.receive()
        assert (told.status, told.code, told.is_closing) == (503, "policy-limited", True)
        for client in (first, background):
            assert isinstance(await client.ask({0: X}), list)

        refused = Client(fast.path)
        assert (await refused.offer(encode(Open(model="adder")), [refused.memory])).code == "policy-limited"
        refused.close()


async def test_a_request_that_is_under_way_when_policy_defers_is_answered_first(fast):
    def deny(*_asked):
        raise PolicyDeniedError("closed", rule="closed")

    await fast.put(looping(), name="loop")
    async with fast.client("loop") as client:
        client.send(client.infer({0: ONE, 1: np.array([300_000], np.int64)}))
        await until(lambda: fast.under_way("loop"))
        fast.answering = deny
        fast.sockets.decided()

        assert isinstance(await client.receive(), Result)
        assert (await client.receive()).code == "policy-denied"
