"""edgectl's manual page has every verb and every option, and no others."""

import argparse
import re
from pathlib import Path

import pytest

from edged.cli.edgectl import make_parser
from edged.cli.exits import INTERRUPTED, Exit

PAGE = (Path(__file__).resolve().parents[2] / "debian" / "edgectl.1").read_text(encoding="utf-8").replace("\\-", "-")
COMMANDS = PAGE.partition(".SH COMMANDS")[2].partition(".SH OPTIONS")[0]


def leaves(parser, name=""):
    """Return the parsers of all verbs, by their names."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return {name: parser}
    # One with verbs below it may be one itself.
    own = {name: parser} if parser.get_default("run") else {}
    return own | {
        leaf: found
        for verb, child in below[0].choices.items()
        for leaf, found in leaves(child, f"{name} {verb}".strip()).items()
    }


VERBS = leaves(make_parser())


def described():
    """Return the line of each verb, by its name."""
    lines = re.findall(r'(?m)^\.TP\n\.BR "([a-z ]+?) ?"(.*)$', COMMANDS)
    return {name: re.sub(r"\\f.|[\"\[\]|]", " ", rest) for name, rest in lines}


def test_every_verb_is_described():
    assert described().keys() == VERBS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_described_with_all_of_its_options(verb):
    options = {
        option for action in VERBS[verb]._actions for option in action.option_strings if option not in {"-h", "--help"}
    }

    assert set(re.findall(r"--[a-z-]+", described()[verb])) == options


def test_every_exit_code_is_described():
    codes = PAGE.partition(".SH EXIT STATUS")[2].partition(".SH EXAMPLES")[0]

    assert re.findall(r"(?m)^\.B (\d+)$", codes) == [str(int(code)) for code in (*Exit, INTERRUPTED)]
