"""Requests that the cloud endpoint answers, and what becomes of one when that fails, or when its model is stopped meanwhile."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from edged.api.ports import Taken
from edged.errors import EdgedError, RequestError, UnavailableError
from edged.ids import ModelName
from edged.runtime.calls import Call, Outcome


class Outing:
    """A call that is out of the device.

    Args:
        call: Its caller's; finished from here, or by whoever runs it here in the end.
        taken: What its caller is told.
        run_here: Has the device take the call instead; None where nothing here may.
    """

    def __init__(self, call: Call, taken: Taken, *, run_here: Callable[[], Taken] | None) -> None:
        self._call = call
        self._taken = taken
        self._run_here = run_here
        self._is_out = True
        # A call of its own, because one that came back with an error is not over for its caller.
        self._outside = Call(call.request, self._came_back)

    def begin(self, submit: Callable[[Call], None]) -> None:
        """Send it out.

        Raises:
            EdgedError: What ``submit`` raises when nothing here may run; else it runs here at once.
        """
        self._call.abandoned = self._abandon
        try:
            submit(self._outside)
        except EdgedError:
            if self._run_here is None:
                raise
            self._stay(self._run_here)

    def stop(self, error: UnavailableError) -> None:
        """Finish the call with an error unless it is back: its publisher wants no answer, wherever it comes from."""
        if self._is_out:
            self._call.finish(error)
            self._abandon()

    def _abandon(self) -> None:
        self._run_here = None
        self._outside.abandon()

    def _came_back(self, outcome: Outcome) -> None:
        self._is_out = False
        # What was wrong with the request out there is wrong with it here.
        failed = isinstance(outcome, EdgedError) and not isinstance(outcome, RequestError)
        if not failed or self._run_here is None:
            self._call.finish(outcome)
            return
        try:
            self._stay(self._run_here)
        except EdgedError as exc:
            self._call.finish(exc)

    def _stay(self, run_here: Callable[[], Taken]) -> None:
        self._is_out = False
        here = run_here()
        taken = self._taken
        taken.model, taken.decision, taken.is_offloaded = here.model, here.decision, False
        taken.scale, taken.is_cached = here.scale, here.is_cached


class Outings:
    """The calls that are out of the device now, by model."""

    def __init__(self) -> None:
        self._out: defaultdict[str, set[Outing]] = defaultdict(set)

    def begin(self, model: str, outing: Outing, call: Call, submit: Callable[[Call], None]) -> None:
        """Send a call out.

        Raises:
            EdgedError: As ``Outing.begin``.
        """
        outing.begin(submit)
        self._out[model].add(outing)
        call.also(partial(self._out[model].discard, outing))

    def stop(self, model: ModelName, error: UnavailableError) -> None:
        """Finish every call of a model that is out with an error."""
        for outing in list(self._out.pop(model, ())):
            outing.stop(error)
