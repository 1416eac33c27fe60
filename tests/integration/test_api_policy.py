"""The policy over HTTP: what is in force, what it would decide, and what operators decide in its place."""

import os
import pwd

import pytest

from edged.policy.override import MAX_OVERRIDE_S
from edged.sense.context import Level
from tests.fakes.policies import PolicyWorld, policy_routes
from tests.fakes.raw_http import post, request, running

POLICY, EXPLAIN = "/edged/v1/policy", "/edged/v1/policy/explain"
OVERRIDE, CLEAR = "/edged/v1/policy/override", "/edged/v1/policy/override/clear"
ME = f"operator {pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"
INT8 = {"model": "echo", "then": {"variants": ["int8"]}, "for_s": 600, "reason": "the fan is broken"}


@pytest.fixture
def world(tmp_path):
    return PolicyWorld(tmp_path)


@pytest.fixture
async def server(tmp_path, world):
    with world.report() as report:
        async with running(tmp_path / "s", routes=policy_routes(report)) as server:
            yield server


async def ask(server, path, body=None):
    reply = await server.ask(request("GET", path) if body is None else post(path, body))
    return reply.status, reply.json()


async def test_rules_come_in_their_order_with_where_they_are_from(server, world):
    _, told = await ask(server, POLICY)

    assert [(rule["rank"], rule["origin"], rule["rule"]["name"]) for rule in told["rules"]] == [
        (0, "local", "hot"),
        (1, "packaged", "hot"),
        (2, "built-in", "run-best"),
    ]
    assert [(source["origin"], source["place"]) for source in told["sources"]] == [
        ("local", world.config.file),
        ("packaged", f"{world.config.directory}/packaged.toml"),
    ]
    assert told["regulatory"] == {"mode": "standard", "forbid_offload": False, "log_decisions": False}


async def test_what_is_decided_now_is_told_for_each_model(server, world):
    world.contexts.become(thermal=Level.CRITICAL)

    _, told = await ask(server, POLICY)

    (decision,) = told["decisions"]
    assert (decision["model"], decision["rule"], decision["precision"]) == ("echo", "hot", "int8")


async def test_a_question_is_answered_rule_by_rule_and_changes_nothing(server):
    _, told = await ask(server, EXPLAIN, {"model": "echo", "given": {"thermal": "serious", "power": "battery:15"}})

    (explanation,) = told["explanations"]
    assert explanation["decision"]["rule"] == "hot"
    assert explanation["decision"]["precision"] == "int8"
    assert [(rule["name"], rule["verdict"], rule["why"]) for rule in explanation["rules"]] == [
        ("hot", "decides", ["thermal is serious (>= serious)"]),
        ("hot", "not-asked", []),
        ("run-best", "not-asked", []),
    ]
    _, now = await ask(server, POLICY)
    assert now["decisions"][0]["rule"] == "run-best"


async def test_a_rule_that_does_not_apply_says_what_it_lacks(server):
    _, told = await ask(server, EXPLAIN, {"given": {"thermal": "fair"}})

    assert told["explanations"][0]["rules"][0]["why"] == ["thermal is fair (not >= serious)"]


async def test_each_variant_that_may_not_answer_is_told_with_every_reason(server):
    _, told = await ask(server, EXPLAIN, {"model": "echo", "given": {"thermal": "serious"}})

    rejected = told["explanations"][0]["decision"]["rejected"]
    assert {item["variant"]: item["reasons"] for item in rejected} == {
        "echo-1.0.0-fp32-any": ["the rule does not name it"],
        "echo-1.0.0-fp16-any": ["the rule does not name it"],
    }


async def test_a_question_may_be_about_another_kind_of_request(server):
    _, told = await ask(server, EXPLAIN, {"given": {"request": "background", "consent": True}})

    decision = told["explanations"][0]["decision"]
    assert (decision["request"], decision["consent"]) == ("background", True)


async def test_without_a_model_every_one_is_explained(server, world):
    world.variants.become("another", *world.variants.known("echo"))

    _, told = await ask(server, EXPLAIN, {})

    assert [item["decision"]["model"] for item in told["explanations"]] == ["another", "echo"]


async def test_an_override_decides_at_once_and_says_who_and_for_how_long(server, world):
    status, told = await ask(server, OVERRIDE, INT8)

    assert (status, told["by"], told["left_s"]) == (200, ME, 600)
    assert told["until"] == world.clock.unix_s() + 600
    _, now = await ask(server, POLICY)
    assert (now["decisions"][0]["origin"], now["decisions"][0]["precision"]) == ("override", "int8")
    assert [item["reason"] for item in now["overrides"]] == ["the fan is broken"]


async def test_an_override_is_cleared(server):
    await ask(server, OVERRIDE, INT8)

    status, told = await ask(server, CLEAR, {"model": "echo"})

    assert (status, [item["model"] for item in told["overrides"]]) == (200, ["echo"])
    _, now = await ask(server, POLICY)
    assert now["decisions"][0]["rule"] == "run-best"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (OVERRIDE, INT8 | {"model": "nobody"}, 404, "model-unknown"),
        (EXPLAIN, {"model": "nobody"}, 404, "model-unknown"),
        (EXPLAIN, {"given": {"model": "nobody"}}, 404, "model-unknown"),
        (EXPLAIN, {"given": {"thermal": "hot"}}, 400, "request-invalid"),
        (EXPLAIN, {"given": {"heat": "serious"}}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"for_s": MAX_OVERRIDE_S + 1}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"for_s": 0}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"reason": ""}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"then": {}}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"then": {"deny": "x", "defer_s": 5}}, 400, "request-invalid"),
        (OVERRIDE, INT8 | {"then": {"variants": ["int4"]}}, 400, "request-invalid"),
        (CLEAR, {"model": "echo"}, 409, "nothing-to-do"),
        (CLEAR, {}, 409, "nothing-to-do"),
    ],
)
async def test_what_cannot_be_done_says_why(server, path, body, status, code):
    got, told = await ask(server, path, body)

    assert (got, told["type"]) == (status, f"urn:edged:error:{code}")


async def test_a_selector_that_means_no_variant_is_refused_with_those_that_there_are(server):
    _, told = await ask(server, OVERRIDE, INT8 | {"then": {"variants": ["int4", "int8"]}})

    assert "echo-1.0.0-int8-any" in told["detail"]
    assert told["detail"].endswith("got int4")
