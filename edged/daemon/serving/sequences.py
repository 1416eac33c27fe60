"""Where the state of each sequence is, of models that have several variants loaded. Pure.

The state of a sequence is in the worker that it began in (``edged.worker``). So while another variant is switched to, a sequence goes on in
the one that it began in, for as long as that is loaded; a new one begins in the one that is to answer. So does one whose variant cannot
get a worker any more: its state is gone, and its caller is told that, instead of being asked to wait for nothing.
"""

from collections.abc import Collection, Sequence
from typing import Final

from edged.daemon.serving.served import Served
from edged.ids import ModelName
from edged.runtime.calls import Request

MOST_KNOWN: Final = 4096
"""Sequences that are remembered; the one that was continued longest ago is forgotten, and goes on wherever its model answers."""

_Key = tuple[ModelName, int, int | str]
"""Model, user, and what that calls the sequence."""


class Sequences:
    """Remembers them from their first request to their last."""

    def __init__(self) -> None:
        self._places: dict[_Key, Served] = {}

    def place(self, model: ModelName, request: Request, chosen: Served, loaded: Sequence[Served]) -> Served:
        """Return the variant that a request goes to.

        Args:
            model: The model.
            request: Where it is of no sequence, or the model keeps no state, the variant is the chosen one.
            chosen: The variant that is to answer.
            loaded: The variants that could.
        """
        step = request.sequence
        if step is None or not chosen.loadable.variant.state:
            return chosen
        key = (model, request.uid, step.id)
        before = self._places.pop(key, None)
        stays = before is not None and before in loaded and not before.start_error and not step.is_start
        served = before if before is not None and stays else chosen
        if not step.is_end:
            self._places[key] = served
            if len(self._places) > MOST_KNOWN:
                del self._places[next(iter(self._places))]
        return served

    def tidy(self, loaded: Collection[Served]) -> None:
        """Forget the sequences whose state is gone with the variant that had it."""
        self._places = {key: served for key, served in self._places.items() if served in loaded}
