"""What docs/policy.md says of quantities, keys and packaged policies is what the code says; its example is a policy that works."""

import re
from pathlib import Path
from typing import get_args

from edged.policy.document import Then
from edged.policy.quantities import QUANTITIES
from edged.policy.ranked import Origin
from edged.select.check import read_policy

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")


def row(name, quantity):
    values = ", ".join(quantity.words) or f"{quantity.kind}{quantity.span}"
    return f"| `{name}` | {values} | {quantity.unit} | {quantity.meaning} |".replace("|  |", "| |")


def test_every_quantity_has_its_row_in_order():
    table = PAGE.partition("| quantity | values | unit | meaning |\n|---|---|---|---|\n")[2].partition("| `flag.NAME`")[
        0
    ]

    assert table.splitlines() == [row(name, quantity) for name, quantity in QUANTITIES.items()]


def test_origins_stand_in_the_order_in_which_they_are_asked():
    section = PAGE.partition("## Whose")[2].partition("\n## ")[0]

    assert tuple(re.findall(r"(?m)^\| `([a-z-]+)` \|", section)) == get_args(Origin)


def test_every_key_of_a_rule_is_explained():
    section = PAGE.partition("## Then")[2].partition("\n## ")[0]

    assert set(re.findall(r"(?m)^\| `(\w+)` \|", section)) == set(Then.__struct_fields__)


def test_every_packaged_policy_is_listed():
    section = PAGE.partition("## The policies that come with edged")[2]

    listed = set(re.findall(r"(?m)^\| `([a-z-]+)` \|", section))

    assert listed == {path.stem for path in (ROOT / "policies").glob("*.toml")}


def test_the_example_is_a_policy_whose_tests_pass():
    example = "\n".join(
        line[4:] for line in PAGE.partition("## Whose")[0].splitlines() if line.startswith("    ") or not line
    )

    policy = read_policy(example.encode(), source="docs/policy.md")

    assert [rule.name for rule in policy.rules] == ["hot", "background-by-day"]


def test_the_example_of_a_limit_passes_its_test():
    section = PAGE.partition("### Time, power and energy")[2].partition("\n## ")[0]
    example = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))

    policy = read_policy(f'schema = 1\nname = "site"\n{example}'.encode(), source="docs/policy.md")

    assert (policy.rules[0].then.max_joules, len(policy.tests)) == (0.5, 1)
