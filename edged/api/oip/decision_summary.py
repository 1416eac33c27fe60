"""What an answer says about the decision behind it, in a header and in a parameter of the same text. Pure.

It is a dictionary of structured fields (RFC 9651, section 3.2): ``rule="hot", variant="m-1.0.0-int8-any", scale=0.5``. It says what the
rule asked for. What became of that is said apart: ``Edged-Variant`` is what answered, which is another one until the variant that was
asked for is loaded.
"""

from typing import Final

from edged.select.decision import Decision

DECISION: Final = "Edged-Decision"
"""There whenever a rule decided, the built-in one included; not where a stand-in answered."""


def summarize(decision: Decision) -> str:
    """Write the text."""
    # Names of rules and variants are of letters, digits and a few marks: nothing in them has to be escaped.
    parts = [f'rule="{decision.rule}"']
    if decision.variant is not None:
        parts.append(f'variant="{decision.variant}"')
    if decision.scale != 1.0:
        # A decimal has at most three digits after its point (section 3.3.2), and at least one.
        parts.append(f"scale={max(round(decision.scale, 3), 0.001)}")
    return ", ".join(parts)
