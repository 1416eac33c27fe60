"""The workers that have connections of the tensor socket: what they count, and whether they keep their deadlines."""

import time

from edged.daemon.serving.keeper import Worker
from edged.daemon.serving.served import Served
from edged.telemetry.row import NUMBERS, add_new


class Borrowers:
    """Every worker that has or had a connection, until it is gone and its last counts are taken."""

    def __init__(self) -> None:
        self._known: dict[Worker, tuple[Served, tuple[int, ...]]] = {}
        """With whose worker it is, and what it had counted at the last look."""

    def __len__(self) -> int:
        """Return how many are looked at."""
        return len(self._known)

    def add(self, served: Served, worker: Worker) -> None:
        """Note that a worker has a connection."""
        self._known.setdefault(worker, (served, (0,) * NUMBERS))

    def count(self) -> None:
        """Add what they have answered since the last look to the statistics of their models, and to the counts of their versions."""
        for worker, (served, before) in list(self._known.items()):
            is_gone = worker.lost.is_set()
            after = tuple(worker.lender.counts())
            served.count_lent(add_new(served.stats, before, after, unix_s=time.time(), run_times=served.run_times))
            self._known[worker] = (served, after)
            if is_gone:
                del self._known[worker]

    def running(self, served: Served) -> int:
        """Return how many requests on connections the workers of a version have."""
        return sum(worker.lender.running() for worker, (owner, _) in self._known.items() if owner is served)

    def end_stuck(self) -> None:
        """End those that ignore their deadlines."""
        for worker in self._known:
            worker.end_if_stuck()
