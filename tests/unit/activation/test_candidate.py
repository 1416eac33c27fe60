"""Whether the version that a rollout names is tried."""

import pytest

from edged.activation.candidate import is_worth_trying
from edged.files import hash_bytes
from edged.ids import Version
from edged.store.slots import Content, Slot, Slots, SlotState

ONE, TWO = Version.parse("1.0.0"), Version.parse("2.0.0")


def serving(version: Version, state: SlotState = SlotState.GOOD) -> Slots:
    content = Content(version=version, digest=hash_bytes(b"m"), variant="m")
    return Slots(a=Slot(state=state, content=content), active="a")


@pytest.mark.parametrize(
    ("wanted", "slots", "refused", "expected"),
    [
        pytest.param(ONE, Slots(), set(), True, id="first bundle of a model"),
        pytest.param(TWO, serving(ONE), set(), True, id="newer version"),
        pytest.param(ONE, serving(TWO), set(), True, id="older version, when the rollout says so"),
        pytest.param(TWO, serving(TWO), set(), False, id="active already"),
        pytest.param(TWO, serving(ONE), {TWO}, False, id="refused before"),
        pytest.param(TWO, Slots(), {TWO}, False, id="refused before, and nothing else to serve"),
        pytest.param(TWO, serving(ONE, SlotState.TRIAL), set(), False, id="a trial is not over"),
    ],
)
def test_candidate(wanted, slots, refused, expected):
    assert is_worth_trying(wanted, slots=slots, refused=refused) is expected
