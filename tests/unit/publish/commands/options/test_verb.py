"""Texts of the command line fit the terminal that they are read on."""

import argparse

import pytest

from edged.publish.commands.options.verb import add_verb

LONG = "Have every device refuse a model, or some versions of it, from its next poll on. It holds across restarts."


@pytest.fixture
def help_of(monkeypatch):
    """Return the description of a verb as a terminal of 60 columns shows it."""
    monkeypatch.setenv("COLUMNS", "60")

    def show(text):
        parser = add_verb(argparse.ArgumentParser().add_subparsers(), "stop", summary="refuse", text=text)
        return parser.format_help().partition("\n\n")[2].partition("\n\noptions:")[0]

    return show


def test_a_paragraph_is_filled_whatever_its_own_line_breaks_are(help_of):
    broken = LONG.replace(" from", "\nfrom")

    shown = help_of(f"{broken}\n\nAnother.")

    assert shown.endswith("\n\nAnother.")
    assert " ".join(shown.split()) == f"{LONG} Another."
    assert max(map(len, shown.splitlines())) <= 58


def test_an_entry_is_wrapped_in_its_second_column_and_goes_on_there(help_of):
    shown = help_of(
        "Ways:\n  --lease N  a model that may answer only as long as\n             news come\n  --other    no"
    )

    assert shown.splitlines() == [
        "Ways:",
        "  --lease N  a model that may answer only as long as news",
        "             come",
        "  --other    no",
    ]


@pytest.mark.parametrize(
    "line", [f"  edge-publish {'x' * 70}", f"  edge-publish stop {'y' * 20}  and what it does, in words that are long"]
)
def test_commands_stay_on_one_line(help_of, line):
    assert help_of(f"Examples:\n{line}\n\nEnd.").splitlines()[1] == line
