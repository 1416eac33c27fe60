"""What a bad request, or the end of the daemon, costs through the whole stack: itself, at most one worker, and nobody else anything."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from edged.client import Client
from edged.client.session import Session
from edged.errors import BackendError, DeadlineError, PoisonError, UnavailableError, WorkerLostError
from tests.fakes.live_daemons import LiveDaemon, live_daemon
from tests.fakes.patience import PATIENCE_S
from tests.fakes.plain_bundles import make_hungry_bundle, make_loop_bundle, make_stubborn_bundle

FOREVER = 1 << 40


class Apps:
    """Asks the models, now or in the background, and looks at their workers; what is not over at the end is cut off with the daemon."""

    def __init__(self, device: LiveDaemon) -> None:
        self.device = device
        self._pool = ThreadPoolExecutor()
        self._observer = Client(str(device.app_socket), tensor_path=None)

    def ask(self, model: str, *, timeout_s: float | None = None, **values: float) -> float:
        """Ask over a connection of one's own; returns the first number of the answer."""
        with Client(str(self.device.app_socket), tensor_path=None) as client:
            return client.infer(model, arrays(values), timeout_s=timeout_s).outputs["y"][0]

    def ask_shared(self, model: str, **values: float) -> float:
        """Ask over the tensor socket."""
        with Session(str(self.device.tensor_socket), model, memory_bytes=1 << 16) as session:
            return session.infer(arrays(values)).outputs["y"][0]

    def begin(self, ask: Callable[..., float], model: str, **options: float) -> Future[float]:
        """Ask in the background."""
        return self._pool.submit(ask, model, **options)

    def worker(self, model: str):
        """Return what the status says of a model's worker."""
        models = self._observer.get("/edged/v1/status")["models"]
        return next(entry["worker"] for entry in models if entry["name"] == model)

    def all_are_proven(self) -> bool:
        """Tell whether no trial goes on, in which the validation kit runs again."""
        models = self._observer.get("/edged/v1/status")["models"]
        return all(
            slot["state"] == "good" for entry in models for slot in entry["slots"] if slot["slot"] == entry["active"]
        )

    def wait_for_worker(self, model: str, **wanted: object):
        """Wait until the status says this of a model's worker; returns all that it says."""
        found = {}

        def is_so() -> bool:
            found.update(self.worker(model))
            return found.items() >= wanted.items()

        self.device.wait_until(is_so, f"{wanted} of {model}")
        return found

    def close(self) -> None:
        self._observer.close()
        self.device.kill()
        self._pool.shutdown()


def arrays(values):
    return {name: np.array([value], dtype=np.float32 if name == "x" else np.int64) for name, value in values.items()}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundles")
    return [make(directory) for make in (make_loop_bundle, make_stubborn_bundle, make_hungry_bundle)]


@pytest.fixture
def apps(request, bundles):
    """A device with the three models; its parameter is how many runs of each it does at once."""
    with live_daemon() as device:
        device.configure({"worker": {"stop_within_s": 2.0, "parallel": getattr(request, "param", 2)}})
        for bundle in bundles:
            device.install(bundle)
            device.roll_out(bundle.name.partition("-")[0], "1.0.0")
        device.start()
        apps = Apps(device)
        try:
            for bundle in bundles:
                device.wait_for_model(bundle.name.partition("-")[0])
            # Until then the daemon itself asks the workers, and a request is never alone in one for certain.
            device.wait_until(apps.all_are_proven, "end of the trials")
            yield apps
        finally:
            apps.close()


@pytest.mark.parametrize("apps", [1], indirect=True)
def test_a_worker_that_is_killed_takes_what_it_ran_and_nothing_that_waited(apps):
    ran = apps.begin(apps.ask, "loop", x=1.0, times=FOREVER)
    worker = apps.wait_for_worker("loop", running=1)
    waited = apps.begin(apps.ask, "loop", x=2.0, times=1)
    apps.wait_for_worker("loop", queued=1)
    os.kill(worker["pid"], signal.SIGKILL)
    killed_s = time.monotonic()

    assert waited.result(PATIENCE_S) == 2.0
    print(f"replaced after {time.monotonic() - killed_s:.3f} s")  # noqa: T201 - seen with -s
    assert isinstance(ran.exception(PATIENCE_S), WorkerLostError)
    assert apps.worker("loop")["restarts"] == 1
    assert apps.worker("hungry")["restarts"] == 0


def test_of_two_in_a_worker_only_the_one_that_ends_it_again_is_lost(apps):
    guilty = apps.begin(apps.ask, "loop", x=1.0, times=FOREVER)
    apps.wait_for_worker("loop", running=1)
    innocent = apps.begin(apps.ask, "loop", x=2.0, times=1_000_000)
    os.kill(apps.wait_for_worker("loop", running=2)["pid"], signal.SIGKILL)
    # Each is tried again by itself, and the guilty one came first.
    again = apps.wait_for_worker("loop", restarts=1, running=1, queued=1)
    os.kill(again["pid"], signal.SIGKILL)

    assert innocent.result(PATIENCE_S) == 2.0
    assert isinstance(guilty.exception(PATIENCE_S), WorkerLostError)


def test_a_request_that_ended_two_workers_is_refused_and_others_are_answered(apps):
    for restarts in (1, 2):
        asked = apps.begin(apps.ask, "loop", x=1.0, times=FOREVER)
        os.kill(apps.wait_for_worker("loop", running=1)["pid"], signal.SIGKILL)
        assert isinstance(asked.exception(PATIENCE_S), WorkerLostError)
        apps.wait_for_worker("loop", restarts=restarts)

    with pytest.raises(PoisonError):
        apps.ask("loop", x=1.0, times=FOREVER)
    assert apps.ask("loop", x=2.0, times=1) == 2.0
    assert apps.worker("loop")["restarts"] == 2


def test_a_request_past_its_deadline_costs_itself_alone_where_the_runtime_can_be_stopped(apps):
    before = apps.worker("loop")
    with pytest.raises(DeadlineError):
        apps.ask("loop", x=1.0, times=FOREVER, timeout_s=0.05)

    assert apps.ask("loop", x=2.0, times=1) == 2.0
    after = apps.wait_for_worker("loop", running=0)
    assert (after["pid"], after["restarts"]) == (before["pid"], 0)


def test_a_request_that_hangs_past_its_deadline_costs_itself_and_its_worker(apps):
    before = apps.worker("stubborn")
    with pytest.raises(DeadlineError):
        # Long enough to have begun on any machine: a request that is late before it runs costs no worker.
        apps.ask("stubborn", count=1_000_000, timeout_s=1.0)
    apps.wait_for_worker("stubborn", restarts=1)

    assert apps.ask("stubborn", count=2) == 2
    assert apps.worker("stubborn")["pid"] != before["pid"]
    assert apps.worker("loop")["restarts"] == 0


def test_a_request_for_more_memory_than_the_model_may_have_costs_itself_alone(apps):
    with pytest.raises(BackendError):
        apps.ask("hungry", count=1 << 28)

    assert apps.ask("hungry", count=3) == 0
    assert apps.worker("hungry")["restarts"] == 0


def test_a_stop_answers_what_ends_in_time_and_tells_the_rest(apps):
    """Over both sockets, at the same time, and within five seconds; how long it took is printed."""
    endless = apps.begin(apps.ask, "loop", x=1.0, times=FOREVER)
    shared = apps.begin(apps.ask_shared, "loop", x=2.0, times=FOREVER)
    finite = apps.begin(apps.ask, "stubborn", count=20_000)
    apps.wait_for_worker("loop", running=2)
    apps.wait_for_worker("stubborn", requests=2)
    began_s = time.monotonic()

    assert apps.device.stop() == 0
    print(f"gone after {time.monotonic() - began_s:.3f} s")  # noqa: T201 - seen with -s
    assert finite.result(PATIENCE_S) == 20_000
    assert isinstance(endless.exception(PATIENCE_S), UnavailableError)
    assert isinstance(shared.exception(PATIENCE_S), DeadlineError)


def test_whoever_asks_while_there_is_no_daemon_is_answered_by_the_next(apps):
    assert apps.device.stop() == 0
    asked = [apps.begin(ask, "loop", x=1.0, times=1) for ask in (apps.ask, apps.ask_shared)]
    apps.device.start()

    assert [future.result(PATIENCE_S) for future in asked] == [1.0, 1.0]
