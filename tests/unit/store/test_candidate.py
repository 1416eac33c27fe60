"""Which bundle is tried next."""

import pytest

from edged.files import hash_bytes
from edged.ids import Version
from edged.store.candidate import choose_candidate
from edged.store.slots import Content, Slot, Slots, SlotState

ONE, TWO = Version.parse("1.0.0"), Version.parse("2.0.0")
DIGEST = {version: hash_bytes(str(version).encode()) for version in (ONE, TWO)}
INSTALLED = {version: (DIGEST[version], f"bundle {version}") for version in (ONE, TWO)}


def serving(version: Version, state: SlotState = SlotState.GOOD) -> Slots:
    content = Content(version=version, digest=DIGEST[version], variant="m")
    return Slots(a=Slot(state=state, content=content), active="a")


@pytest.mark.parametrize(
    ("wanted", "slots", "refused", "expected"),
    [
        pytest.param(ONE, Slots(), set(), "bundle 1.0.0", id="first bundle of a model"),
        pytest.param(TWO, serving(ONE), set(), "bundle 2.0.0", id="newer version"),
        pytest.param(ONE, serving(TWO), set(), "bundle 1.0.0", id="older version, when the rollout says so"),
        pytest.param(TWO, serving(TWO), set(), None, id="active already"),
        pytest.param(None, serving(ONE), set(), None, id="no rollout names the model"),
        pytest.param(TWO, serving(ONE), {DIGEST[TWO]}, None, id="refused before"),
        pytest.param(TWO, serving(ONE, SlotState.TRIAL), set(), None, id="a trial is not over"),
        pytest.param(Version.parse("3.0.0"), serving(ONE), set(), None, id="not in the store yet"),
    ],
)
def test_candidate(wanted, slots, refused, expected):
    assert choose_candidate(wanted=wanted, installed=INSTALLED, slots=slots, refused=refused) == expected
