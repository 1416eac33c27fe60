"""What ``edged.daemon.serving.serving`` tells and asks those who use workers beside the requests that are submitted to it."""

from typing import Protocol

from edged.daemon.serving.served import Served
from edged.errors import EdgedError
from edged.ids import ModelName


class Watcher(Protocol):
    """Whoever uses workers beside the requests that are submitted."""

    def changed(self, model: ModelName) -> None:
        """Take note that something else answers for a model now: another version, another worker, or nothing."""
        ...

    def stopped(self, model: ModelName, error: EdgedError) -> None:
        """Take note that nothing that answered for a model until now may go on, what is under way included."""
        ...

    async def let_go(self, served: Served) -> None:
        """Return once nothing is under way in the worker of a version that answers no more."""
        ...

    def count(self) -> None:
        """Bring the statistics of the models up to date."""
        ...

    def running(self, served: Served) -> int:
        """Return how many requests it has under way in the workers of a version."""
        ...
