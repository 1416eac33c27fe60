"""Loads variants of the version that answers while it answers, so that no request is lost.

warm   the variant gets a worker next to those that are there, and answers from then on as it is asked to. Nothing waits
cold   where memory is for one only: requests wait in the queue of the variant that is to come, those that were taken before finish where
       they are, the worker that answered is ended, and then the other one is started. If that fails, the variant that answered before is
       loaded again and takes what waits. Nothing is refused that would not be for a full queue or a deadline, too

Either way, a variant that never passed its validation kit on this device has to, before it answers anybody.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from edged.daemon.serving.keeper import Loadable, Worker
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.measures import Measures
from edged.errors import UnavailableError
from edged.validation.validate import Infers

LOG = logging.getLogger(__name__)

Check = Callable[[Loadable, Infers], Awaitable[None]]
"""Holds a loaded model against its validation kit; raises what is wrong."""


class Loading:
    """Loads one variant at a time; the caller sees to that.

    Args:
        serving: Told what answers.
        measures: Remembers what passed its kit.
        check: Runs the kit.
    """

    def __init__(self, *, serving: Serving, measures: Measures, check: Check) -> None:
        self._serving: Final = serving
        self._measures = measures
        self._check = check

    async def load_warm(self, loadable: Loadable) -> None:
        """Load a variant next to those that are there.

        Raises:
            Exception: It could not be loaded, or failed its kit; nothing has changed.
        """
        worker = await self._start(loadable)
        if not self._is_wanted(loadable):
            await worker.close()
            return
        self._serving.add(self._serving.employ(loadable, worker))

    async def load_cold(self, loadable: Loadable) -> None:
        """Load a variant in place of those that are there; nothing else may change what answers for the model meanwhile.

        Raises:
            Exception: It could not be loaded, or failed its kit; what answered before does so again, if it could be loaded.
        """
        model = loadable.bundle.manifest.model
        before = self._serving.served[model].loadable
        waiting = self._serving.employ(loadable, None)
        await self._serving.give_way(waiting)
        try:
            worker = await self._start(loadable)
        except Exception:
            await self._load_again(before, waiting)
            raise
        waiting.employ(worker)

    async def _start(self, loadable: Loadable) -> Worker:
        worker = await self._serving.start_worker(loadable)
        digest, variant = loadable.bundle.digest, loadable.variant.id
        try:
            if not self._measures.has_passed(digest, variant):
                await self._check(loadable, worker)
                self._measures.note_passed(digest, variant)
        except BaseException:
            await worker.close()
            raise
        return worker

    def _is_wanted(self, loadable: Loadable) -> bool:
        """Tell whether the version is still the one that answers, and has no such variant loaded."""
        loaded = self._serving.variants(loadable.bundle.manifest.model)
        ids = {served.loadable.variant.id for served in loaded}
        return (
            bool(loaded)
            and loaded[0].loadable.bundle.digest == loadable.bundle.digest
            and loadable.variant.id not in ids
        )

    async def _load_again(self, before: Loadable, waiting: Served) -> None:
        model = before.bundle.manifest.model
        try:
            again = await self._serving.load(before)
        except Exception as exc:  # noqa: BLE001 - as above: what cannot be loaded is tried again later
            LOG.warning("Variant %s of %s cannot be loaded again: %s", before.variant.id, model, exc)
            self._serving.remove(model)
            self._serving.announce(model)
            for call in waiting.surrender():
                call.finish(UnavailableError(f"model {model} cannot be loaded: {exc}"))
            return
        again.take_over(waiting)
        self._serving.put(again)
