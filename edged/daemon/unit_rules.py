"""Whether rules for systemd units can apply at all, and saying so where they cannot.

Nothing else would show it: their callers are served, with the limits of their users.
"""

import logging
from pathlib import Path

from edged import journal
from edged.callers.who import PROC, can_see_units
from edged.config.schema import LimitsConfig

LOG = logging.getLogger(__name__)


def report_hidden_units(limits: LimitsConfig, *, proc: Path = PROC) -> None:
    """Warn once when there are rules for units, and units of callers cannot be known here.

    Args:
        limits: That apply from now on.
        proc: Where processes are looked up; another directory in tests.
    """
    units = [rule.unit for rule in limits.callers if rule.unit]
    if units and not can_see_units(proc=proc):
        journal.event(LOG, journal.UNITS_HIDDEN, units=" ".join(units))
