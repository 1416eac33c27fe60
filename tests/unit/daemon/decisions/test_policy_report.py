"""What people are told of the policy: of the model that they ask about, on the device as it is, and who is to be asked where it fails."""

import pytest

from edged.errors import ModelUnknownError, RequestError
from edged.policy.document import Then
from edged.sense.context import Level
from tests.fakes.policies import SITE, PolicyWorld

WRONG = """
[[rule]]
name = "wrong"
when = [{ accuracy = "degraded" }]
then = { variants = ["fp32"] }
"""


@pytest.fixture
def world(tmp_path):
    return PolicyWorld(tmp_path)


def decided(explained):
    """Return the model and the rule of each explanation."""
    return [(each.decision.model, each.decision.rule) for each in explained.explanations]


async def test_only_the_model_that_is_asked_about_is_explained(world):
    world.variants.become("another", *world.variants.known("echo"))

    with world.report() as report:
        assert decided(report.explain(model="echo", given={})) == [("echo", "run-best")]
        assert decided(report.explain(model="another", given={"model": "echo"})) == [("echo", "run-best")]


async def test_what_is_not_given_is_as_it_is_on_the_device_now(world):
    world.write(SITE + WRONG)
    with world.report() as report:
        assert decided(report.explain(model="echo", given={})) == [("echo", "run-best")]

        world.accuracy.become(echo="degraded")
        assert decided(report.explain(model="echo", given={})) == [("echo", "wrong")]
        assert decided(report.explain(model="echo", given={"accuracy": "ok"})) == [("echo", "run-best")]

        world.contexts.become(thermal=Level.SERIOUS)
        assert decided(report.explain(model="echo", given={})) == [("echo", "hot")]
        assert decided(report.explain(model="echo", given={"thermal": "fair"})) == [("echo", "wrong")]


async def test_all_mistakes_of_a_question_are_told_and_the_first_is_pointed_at(world):
    with world.report() as report, pytest.raises(RequestError) as caught:
        report.explain(model="echo", given={"thermal": "hot", "heat": 1})

    assert caught.value.pointer == "/given/thermal"
    assert "given thermal: expected nominal" in caught.value.message
    assert "given heat: expected the name of a quantity" in caught.value.message


async def test_who_asks_about_a_model_that_there_is_not_is_told_where_those_are_that_there_are(world):
    with world.report() as report, pytest.raises(ModelUnknownError, match="no model nobody answers") as caught:
        report.explain(model="nobody", given={})

    assert "edgectl models" in caught.value.hint


async def test_an_override_that_is_cleared_says_how_much_of_it_was_left_and_never_less_than_nothing(world):
    with world.report() as report:
        begun = await report.override("echo", Then(deny="no"), for_s=60.0, reason="x", by="operator alice")
        assert (begun.left_s, begun.until - begun.began) == (60.0, 60.0)
        world.clock.advance(45.0)
        (cleared,) = await report.clear("echo", by="operator alice")
        assert cleared.left_s == 15.0

        await report.override("echo", Then(deny="no"), for_s=60.0, reason="x", by="operator alice")
        world.clock.advance(61.0)
        (over,) = await report.clear(None, by="operator alice")
        assert over.left_s == 0.0


async def test_an_override_that_cannot_be_points_at_what_it_asks_for(world):
    with world.report() as report, pytest.raises(RequestError) as caught:
        await report.override("echo", Then(), for_s=60.0, reason="x", by="operator alice")

    assert caught.value.pointer == "/then"
    assert "expected something to do" in caught.value.message
