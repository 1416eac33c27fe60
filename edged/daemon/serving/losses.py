"""What becomes of the requests of a worker that was lost: which of them are suspects from then on, and which are tried once more.

One that was in it alone ends with it. Where there were several, one of them cost the others their worker: each is tried once more, by
itself, and only the one that ends its worker again is lost. A request of a sequence is not, because its state is gone.
"""

import logging

from edged import journal
from edged.bundle.manifest import Manifest
from edged.daemon.serving.poison import DIGEST_SHOWN, PoisonList
from edged.daemon.serving.runs import Run, Waiting

LOG = logging.getLogger(__name__)


class Losses:
    """The workers that one version of a model has lost.

    Args:
        manifest: Of the version.
        poison: Its list of suspects.
    """

    def __init__(self, manifest: Manifest, poison: PoisonList) -> None:
        self._manifest = manifest
        self._poison = poison
        self._last_life = -1
        """Of the worker that was lost last (``Run.life``)."""
        self._was_in_company = False
        """More than one request was in it."""

    def blame(self, run: Run, *, now_s: float) -> None:
        """Suspect what a run had under way when its worker was lost; whoever ended the worker on purpose does not call this.

        Args:
            run: It was under way.
            now_s: Monotonic seconds.
        """
        for pending in run.members:
            if digest := self._poison.blame(pending.call.request, death=run.life, now_s=now_s):
                name, version, shown = self._manifest.name, self._manifest.version, digest[:DIGEST_SHOWN]
                journal.event(LOG, journal.REQUEST_REFUSED, model=name, version=version, digest=shown)

    def worth_another_try(self, run: Run, *, is_in_company: bool) -> set[Waiting]:
        """Return those of a run whose worker was lost that may not be to blame for it.

        Args:
            run: It was under way.
            is_in_company: Other runs of the same worker have not been told yet that it was lost.
        """
        if run.life != self._last_life:
            self._last_life = run.life
            self._was_in_company = is_in_company or len(run.members) > 1
        if not self._was_in_company:
            return set()
        return {
            pending
            for pending in run.members
            if not (pending.call.is_finished or pending.is_second_try or pending.lane is not None)
        }
