"""The table of README.md is true: it names every test of an attack, and nothing else."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
NOT_ATTACKS = {
    "test_rollback.py::test_honest_host_is_followed",
    "test_key_compromise.py::test_three_of_five_root_keys_are_what_it_takes",
}
"""They show that others fail for the right reason."""


def written() -> set[str]:
    found = set()
    for path in HERE.glob("test_*.py"):
        tree = ast.parse(path.read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        found |= {f"{path.name}::{node.name}" for node in functions if node.name.startswith("test_")}
    return found - {name for name in found if name.startswith(f"{Path(__file__).name}::")}


def rows() -> list[list[str]]:
    lines = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_row_names_a_test_and_each_test_is_in_a_row():
    named = [row[-1].strip("`") for row in rows()]

    assert len(named) == len(set(named))
    assert set(named) == written() - NOT_ATTACKS
    assert written() >= NOT_ATTACKS


def test_each_code_is_one_that_errors_have():
    import edged.errors

    known = {error.code for error in vars(edged.errors).values() if hasattr(error, "code")}

    assert {code for row in rows() for code in re.findall(r"`([a-z-]+)`", row[2])} <= known
