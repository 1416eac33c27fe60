"""What is counted about the shadow runs of a model's candidates, from the start of the daemon to its end. Pure."""

from collections import Counter
from typing import Final, Literal

from edged.telemetry.histogram import Histogram
from edged.telemetry.serving import DURATION_BOUNDS_S

ShadowResult = Literal["agreed", "differed", "failed", "shed"]
"""``shed``: chosen for the candidate and not asked, because others waited already, or because it was not the candidate's fault."""
RESULTS: Final[tuple[ShadowResult, ...]] = ("agreed", "differed", "failed", "shed")


class ShadowStats:
    """The counts of one model."""

    def __init__(self) -> None:
        self.results: Counter[ShadowResult] = Counter()
        """Requests that were chosen, by what became of them."""
        self.is_running = False
        self.active_run_s = Histogram(DURATION_BOUNDS_S)
        """Of answers that were compared: the time that the active version ran."""
        self.candidate_run_s = Histogram(DURATION_BOUNDS_S)
        """Likewise, the candidate."""
