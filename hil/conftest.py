"""The board that the suite runs on: which one it is, labgrid's environment says (``--lg-env``)."""

import pytest

from hil.sensors import Board, Chips

READY_S = 240
"""An emulated machine is some ten times slower than what it stands for."""
FIRST = ("test_boot.py", "test_the_afternoon.py")


def pytest_collection_modifyitems(items):
    """The afternoon's log has everything that was decided since the daemon's start: what heats the board otherwise comes later."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


@pytest.fixture(scope="session")
def board(target):
    """The board, booted, with edged serving."""
    if "QEMUDriver" in {type(driver).__name__ for driver in target.drivers}:
        target.get_driver("PowerProtocol").on()
    board = Board(target.get_driver("CommandProtocol"))
    board.wait_for("systemctl is-active edged.service", timeout_s=READY_S)
    return board


@pytest.fixture(scope="session")
def gauge(board):
    """The board, with the model gauge answering."""
    board.run("edgectl update apply --from /srv/repository", timeout_s=300)
    board.wait_for("edgectl wait --model gauge --timeout 20 || { edgectl status; false; }", timeout_s=200)
    return board


@pytest.fixture(scope="session")
def chips(board, env):
    """What sets the board's heat, charge and network; the tests that ask for it are skipped where nothing can set them."""
    if "sensors" not in env.get_target_features():
        pytest.skip("this board's sensors cannot be set: it has no feature 'sensors'")
    chips = Chips(board)
    chips.begin()
    return chips
