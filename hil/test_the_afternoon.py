"""The scripted afternoon with the kernel's own drivers: it has to give the decisions that the made-up device gave.

``tests/integration/test_afternoon.py`` has the other side. Here the 30 seconds that a sensor has to be cool for are real ones.
"""

import json
import shlex
import tomllib
from pathlib import Path

NOTICED_S = 300
AFTERNOON = Path(__file__).parent / "afternoon"


def test_afternoon_gives_the_golden_decisions(gauge, chips):
    golden = (AFTERNOON / "decisions.log").read_text()
    steps = tomllib.loads((AFTERNOON / "scenario.toml").read_text())["step"]
    told, known = [], 0
    for step in steps:
        for name in ("heat", "battery", "network"):
            if name in step:
                chips.set(name, *words(step[name]))
        gauge.wait_for(f"ask noticed {shlex.quote(json.dumps(step['until']))}", timeout_s=NOTICED_S)
        gauge.run("ask both")
        lines = gauge.run("ask decisions").splitlines()
        told += [step["name"], *(f"  {line}" for line in lines[known:])]
        known = len(lines)

    assert told == golden.splitlines()


def words(setting):
    """Return a setting of the scenario as words of ``hil/board/chips``."""
    if isinstance(setting, bool):
        return ["on" if setting else "off"]
    return setting if isinstance(setting, list) else [setting]
