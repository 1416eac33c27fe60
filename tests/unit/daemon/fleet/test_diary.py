"""What others than the slot table note is kept once, whenever the daemon is told to stop."""

import asyncio
import threading
from contextlib import suppress

from edged.daemon.fleet.diary import Diary
from edged.store.history import Happening
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock
from tests.fakes.patience import PATIENCE_S


class SlowState:
    """A state whose disk has written, and does not say so before a test lets it."""

    def __init__(self, state: StateDb) -> None:
        self.has_written, self.may_go_on = threading.Event(), threading.Event()
        self._state = state

    def write_history(self, *entries) -> None:
        self._state.write_history(*entries)
        self.has_written.set()
        self.may_go_on.wait(PATIENCE_S)


async def test_what_is_being_written_when_the_end_comes_is_written_once(tmp_path):
    state = StateDb.open(tmp_path / "state.db")
    slow = SlowState(state)
    diary = Diary(slow, ManualClock().unix_s)
    running = asyncio.create_task(diary.run())
    diary.note(Happening.STOPPED, cause="stop 1", model="echo")
    await asyncio.to_thread(slow.has_written.wait, PATIENCE_S)
    diary.note(Happening.STOP_LIFTED, cause="stop 2", model="echo")
    running.cancel()
    await asyncio.sleep(0)
    slow.may_go_on.set()
    with suppress(asyncio.CancelledError):
        await running
    kept = [entry.what for entry in state.read_history()]
    state.close()

    assert kept == [Happening.STOP_LIFTED, Happening.STOPPED]
