"""The updater's process and its refreshes, on a real repository: what each is there for, and every way one of them can end."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from edged.bundle.manifest import CHUNK_BYTES
from edged.update.protocol.phases import Phase
from tests.fakes.fleets import Operator
from tests.fakes.services import process, stop, wait_for
from tests.fakes.static_host import Fault, Pace
from tests.fakes.updates import THREE_CHUNKS, blob_path

TIMESTAMP = "metadata/timestamp.json"
HEAVY = ("asyncio", "cryptography", "http.client", "jsonschema", "securesystemslib", "ssl", "tuf")
"""What the updater's own process has no need of; ``ssl`` only where the repository is behind https."""


@pytest.fixture
def gate(site):
    with process("edged.egress", "--config", site.config) as running:
        yield running


@contextmanager
def updating(site):
    with process("edged.update", "--config", site.config) as updater:
        yield updater


def children(running):
    return [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]


def is_gone(pid):
    """A process that nobody has waited for yet counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def stalled(site, gate):
    """An updater whose refresh has two chunks of three and waits for the rest; with that refresh, and the path of the blob."""
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    site.web.faults[path] = Fault(stall_after=2 * CHUNK_BYTES + 10)
    partial = site.store / "partial" / Path(path).name
    with updating(site) as updater:
        wait_for(lambda: partial.exists() and holds_chunks(partial, site.publisher.root / path, 2))
        (refresh,) = children(updater)
        yield updater, refresh, path


def holds_chunks(partial, whole, count):
    return partial.read_bytes()[: count * CHUNK_BYTES] == whole.read_bytes()[: count * CHUNK_BYTES]


def ranges(site, path):
    return [span for name, span in site.web.requests if name == path]


@pytest.mark.parametrize("module", ["edged.update.__main__", "edged.egress.__main__"])
def test_what_is_there_for_ever_loads_little(module):
    """Measured: python-tuf and what it needs would more than double the updater's memory."""
    script = f"import sys, {module}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    # Of the gate, which speaks no TLS, only the name is there, so that nothing loads it.
    assert loaded == {"edged.update.__main__": [], "edged.egress.__main__": ["asyncio", "ssl"]}[module]


def test_refresh_loads_nothing_before_a_stop_that_a_stop_does_not_need():
    """Measured: a third of all that it would load otherwise."""
    late = (
        "edged.bundle.manifest",
        "edged.select.machine",
        "edged.update.refresh.bundles",
        "jsonschema",
        "requests",
        "urllib3",
    )
    script = f"import sys, edged.update.refresh.__main__; print(*sorted(set(sys.modules) & set({late!r})))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == []


def test_idle_updater_asks_one_small_question_and_has_no_child(site, gate):
    site.configure(poll_interval_s=0.05)
    with updating(site) as updater:
        # While its refresh runs, it asks as well.
        wait_for(lambda: site.status().last_success_at is not None and site.web.unchanged >= 1)
        site.web.requests.clear()
        wait_for(lambda: len(site.web.requests) >= 5)

        assert set(site.web.paths()) == {TIMESTAMP}
        assert children(updater) == []
        assert "cryptography" not in Path(f"/proc/{updater.pid}/maps").read_text()
        assert site.status().phase in {Phase.IDLE, Phase.POLLING}
        assert site.web.connections == 2  # the refresh's and its own
        assert stop(updater) == 0


def test_new_release_is_fetched_without_being_asked_for(site, gate):
    site.configure(poll_interval_s=0.05)
    with updating(site):
        wait_for(lambda: site.web.unchanged >= 1)

        site.publisher.release("1.1.0")

        wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
        before = site.web.unchanged
        wait_for(lambda: site.web.unchanged > before)


def test_stop_during_a_download_ends_both_and_the_next_start_resumes(site, stalled):
    updater, refresh, path = stalled

    assert stop(updater) == 0

    assert is_gone(refresh)
    site.web.heal()
    site.web.requests.clear()
    with updating(site):
        wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
    assert ranges(site, path) == [f"bytes={2 * CHUNK_BYTES}-{THREE_CHUNKS - 1}"]


def test_killed_refresh_is_a_failure_and_the_next_one_resumes(site, stalled):
    """As when the system is out of memory: the updater stays and says what happened."""
    updater, refresh, path = stalled

    os.kill(refresh, signal.SIGKILL)

    wait_for(lambda: site.status().phase is Phase.WAITING)
    error = site.status().error
    assert (error.code, error.failures) == ("internal", 1)
    assert "signal 9" in error.message
    site.web.heal()
    site.web.requests.clear()
    updater.send_signal(signal.SIGUSR1)
    wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
    assert ranges(site, path) == [f"bytes={2 * CHUNK_BYTES}-{THREE_CHUNKS - 1}"]
    wait_for(lambda: site.status().phase is Phase.IDLE)
    assert site.status().error is None
    assert stop(updater) == 0


def test_refresh_ends_with_its_updater(site, stalled):
    updater, refresh, _ = stalled

    updater.kill()

    wait_for(lambda: is_gone(refresh))


def test_signals_to_the_whole_unit_are_the_updaters(site, stalled):
    """``systemctl kill -s USR1`` reaches the refresh as well, which goes on; the updater polls again after it."""
    updater, refresh, _ = stalled

    for pid in (refresh, updater.pid):
        os.kill(pid, signal.SIGUSR1)
    site.web.heal()

    # The stalled answer breaks off; the same refresh fetches the rest.
    wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
    wait_for(lambda: site.web.paths()[-1] == TIMESTAMP)
    assert site.status().error is None


def test_watchdog_is_fed_while_a_refresh_waits(site, gate):
    manifest = site.publisher.release("1.1.0")
    site.web.faults[blob_path(manifest)] = Fault(stall_after=10)
    with process("edged.update", "--config", site.config, environ={"WATCHDOG_USEC": "40000"}) as updater:
        # Read on, as systemd does: the socket holds a few messages only.
        wait_for(lambda: updater.notifications.recv(100) and site.status().phase is Phase.DOWNLOADING)

        assert [updater.notifications.recv(100) for _ in range(20)] == [b"WATCHDOG=1"] * 20


def test_stop_comes_through_while_a_download_is_stalled(site, gate):
    """The download is left alone."""
    site.configure(poll_interval_s=0.2)
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    path = blob_path(manifest)
    site.web.faults[path] = Fault(stall_after=2 * CHUNK_BYTES + 10)
    partial = site.store / "partial" / Path(path).name
    with updating(site) as updater:
        wait_for(lambda: partial.exists() and holds_chunks(partial, site.publisher.root / path, 2))
        (refresh,) = children(updater)

        Operator(site.publisher).stop("demo", serial=1)

        wait_for((site.store / "ops/stop.json").is_file)
        assert not is_gone(refresh)
        site.web.heal()
        wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
        assert ranges(site, path) == [None, f"bytes={2 * CHUNK_BYTES}-{THREE_CHUNKS - 1}"]
        wait_for(lambda: site.status().phase is Phase.IDLE)
        assert site.status().error is None


def test_stop_comes_through_while_metadata_is_stalled(site, gate):
    """Two refreshes must not use the metadata at once: the one that waits for it has brought nothing yet, and begins again."""
    site.configure(poll_interval_s=0.2)
    operator = Operator(site.publisher, "demo")
    site.web.faults[site.publisher.metadata("m-demo")] = Fault(stall_after=10)
    with updating(site) as updater:
        wait_for(lambda: site.publisher.metadata("m-demo") in site.web.paths())
        (refresh,) = children(updater)

        operator.stop("demo", serial=1)

        wait_for((site.store / "ops/stop.json").is_file)
        assert is_gone(refresh)


def test_download_goes_on_over_any_number_of_new_timestamps(site, gate):
    """A publisher who signs more often than a chunk takes to arrive would otherwise keep it away for ever."""
    site.configure(poll_interval_s=0.05)
    operator = Operator(site.publisher, "demo")
    path = blob_path(site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS))
    pace = Pace()
    site.web.faults[path] = Fault(pace=pace)
    with updating(site):
        for serial in range(1, 5):
            pace.allow(CHUNK_BYTES // 4 - 1)
            wait_for(lambda: ranges(site, path))
            operator.stop("other", serial=serial)
            wait_for(lambda serial=serial: has_stop(site, serial))
        assert not any((site.store / "partial" / Path(path).name).read_bytes())  # not even one chunk

        pace.allow(THREE_CHUNKS)

        wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)
        assert ranges(site, path) == [None]


def test_download_goes_on_and_is_shown_while_a_look_at_the_host_hangs(site, gate):
    """On a slow network a look takes minutes. What the download says meanwhile is taken, else it would wait to be heard."""
    site.configure(poll_interval_s=0.2)
    path = blob_path(site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS))
    pace = Pace()
    site.web.faults[path] = Fault(pace=pace)
    with updating(site) as updater:
        wait_for(lambda: ranges(site, path))
        site.publisher.release("1.0.0", name="other")
        hanging = site.publisher.metadata("m-other")
        site.web.faults[hanging] = Fault(stall_after=10)
        wait_for(lambda: hanging in site.web.paths())

        pace.allow(CHUNK_BYTES)
        wait_for(lambda: pace.allow(1000) or shows_bytes(site, CHUNK_BYTES))

        assert len(children(updater)) == 2
        site.web.heal()
        pace.allow(THREE_CHUNKS)
        wait_for((site.store / "bundles/other/1.0.0/manifest.json").is_file)
        assert ranges(site, path) == [None]


def test_download_that_nobody_wants_any_more_is_ended(site, gate):
    site.configure(poll_interval_s=0.2)
    path = blob_path(site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS))
    site.web.faults[path] = Fault(stall_after=CHUNK_BYTES)
    with updating(site) as updater:
        wait_for(lambda: ranges(site, path))
        (refresh,) = children(updater)

        site.publisher.release("1.2.0")

        wait_for((site.store / "bundles/demo/1.2.0/manifest.json").is_file)
        assert is_gone(refresh)
        wait_for(lambda: site.status().phase is Phase.IDLE)
        assert not (site.store / "bundles/demo/1.1.0").exists()


def test_new_timestamp_that_nobody_signed_does_not_end_a_download(site, gate):
    site.configure(poll_interval_s=0.05)
    path = blob_path(site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS))
    pace = Pace()
    site.web.faults[path] = Fault(pace=pace)
    with updating(site) as updater:
        wait_for(lambda: ranges(site, path))
        (refresh,) = children(updater)
        forged = (site.publisher.root / TIMESTAMP).read_bytes().replace(b'"version":', b'"version":9')
        site.web.faults[TIMESTAMP] = Fault(body=forged)
        site.web.requests.clear()
        wait_for(lambda: site.web.paths().count("metadata/2.root.json") >= 2)

        assert not is_gone(refresh)
        pace.allow(THREE_CHUNKS)
        wait_for((site.store / "bundles/demo/1.1.0/manifest.json").is_file)


def test_bundle_that_only_a_look_has_seen_does_not_wait_for_the_next_try_of_another(site, gate):
    """What failed is tried again after an hour here. The new bundle has nothing to do with it."""
    site.configure(poll_interval_s=0.2)
    path = blob_path(site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS))
    site.web.faults[path] = Fault(stall_after=10)
    with updating(site):
        wait_for(lambda: ranges(site, path))
        site.publisher.release("1.0.0", name="other")
        # The light refresh has ended when the next poll has the timestamp confirmed.
        wait_for(lambda: site.publisher.metadata("m-other") in site.web.paths())
        before = site.web.unchanged
        wait_for(lambda: site.web.unchanged > before)
        assert not (site.store / "bundles/other").exists()

        (site.publisher.root / path).unlink()
        site.web.heal()

        wait_for((site.store / "bundles/other/1.0.0/manifest.json").is_file)
        wait_for(lambda: site.status().phase is Phase.WAITING)
        assert site.status().error.code == "file-missing"


def shows_bytes(site, least):
    progress = site.status().progress
    return progress is not None and progress.received_bytes >= least


def has_stop(site, serial):
    path = site.store / "ops/stop.json"
    return path.is_file() and json.loads(path.read_bytes())["serial"] == serial


def test_download_is_left_alone_while_the_host_confirms_its_timestamp(site, gate):
    site.configure(poll_interval_s=0.05)
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    site.web.faults[blob_path(manifest)] = Fault(stall_after=CHUNK_BYTES + 10)
    with updating(site) as updater:
        wait_for(lambda: ranges(site, blob_path(manifest)))
        (refresh,) = children(updater)
        before = site.web.unchanged
        wait_for(lambda: site.web.unchanged >= before + 5)

        assert children(updater) == [refresh]
        assert len(ranges(site, blob_path(manifest))) == 1


def test_stop_comes_through_while_a_failed_download_waits_for_its_next_try(site, gate):
    """What failed is tried again after an hour here; the host is asked in each poll interval all the same."""
    site.configure(poll_interval_s=0.2)
    manifest = site.publisher.release("1.1.0")
    site.web.faults[blob_path(manifest)] = Fault(status=404)
    with updating(site):
        wait_for(lambda: site.status().phase is Phase.WAITING)
        assert site.status().error.code == "file-missing"

        Operator(site.publisher).stop("demo", serial=1)

        wait_for((site.store / "ops/stop.json").is_file)
