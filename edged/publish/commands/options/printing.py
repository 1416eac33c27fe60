"""``--json``, and what a verb prints: results on standard output, progress on standard error."""

import argparse
import json
import sys

from edged.cli.table import printable


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def report(line: str) -> None:
    """Show progress on standard error; a line may quote what comes from outside."""
    sys.stderr.write(f"{printable(line)}\n")


def print_json(value: object) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def print_line(line: str = "") -> None:
    """Print a result for people, at once: a server prints its address and goes on running."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()
