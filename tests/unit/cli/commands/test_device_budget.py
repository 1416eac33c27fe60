"""What ``edgectl device budget`` shows a person."""

import msgspec

from edged.api.documents.budget import BudgetDocument, Energy
from edged.cli.commands.device_budget import render
from tests.fakes.budgets import BUDGET

PAGE = """\
2026-11-23 (UTC)
  thermal   nominal 2 h, serious 1 min 30 s
  device    2.08 Wh in 2 h 1 min
  metadata  12.0 kB
  MODEL  VARIANT               RUNS  EACH     ENERGY   EACH      DRAWS    UPDATES  OFFLOAD
  gauge  gauge-1.0.0-fp32-any  1000  2.50 ms  8.0 J    10.00 mJ  4.00 W   1.1 MB   2 (4.1 kB out, 300 B in)
         gauge-1.0.0-int8-any  10    1.00 ms  unknown  unknown   unknown

2026-11-22 (UTC)
  MODEL   VARIANT  RUNS  EACH  ENERGY  EACH  DRAWS  UPDATES  OFFLOAD
  magika  -        0     -     -       -     -      3.2 MB   -

How energy is known: By looking. Idle baseline: 3.00 W.
"""


def test_days_are_shown_one_after_the_other():
    assert render(BUDGET, days=7) == PAGE


def test_only_as_many_days_as_asked_for_are_shown():
    assert "2026-11-22" not in render(BUDGET, days=1)


def test_why_energy_is_unknown_is_said():
    energy = Energy(baseline_watts=None, reason="nothing on this device measures power", method="By looking.")
    shown = render(msgspec.structs.replace(BUDGET, energy=energy), days=1)

    assert shown.endswith("Energy is not measured now: nothing on this device measures power.\n")


def test_a_device_that_was_just_started_knows_nothing():
    nothing = BudgetDocument(days=(), energy=BUDGET.energy)

    assert render(nothing, days=7).startswith("Nothing is known yet")
