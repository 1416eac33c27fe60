"""The demonstration leaves nothing behind, however it ends."""

import signal
import tempfile

import pytest

pytest.importorskip("magika")  # Debian 13 does not have it

from demo import __main__ as demo


@pytest.fixture
def _own_handler():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_own_handler")
def test_being_told_to_end_stops_and_removes_everything(tmp_path, monkeypatch):
    stopped = []

    def tell(work, stack):
        stack.callback(stopped.append, work)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo, "tell", tell)

    with pytest.raises(SystemExit) as ended:
        demo.main()

    assert ended.value.code == 143
    assert len(stopped) == 1
    assert list(tmp_path.iterdir()) == []
