"""The clock of the running event loop, which goes by itself, and further when a test says so."""

import asyncio

import pytest


def skip_s(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the loop's timers fire as if so much time had passed just now."""
    loop = asyncio.get_running_loop()
    time_s = loop.time
    monkeypatch.setattr(loop, "time", lambda: time_s() + seconds)
