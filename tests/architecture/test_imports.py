"""Imports go one way: a module may import its own layer's siblings of the same package, and lower layers, never higher ones."""

import ast
from pathlib import Path

import pytest

import edged

ROOT = Path(edged.__file__).parent

# Foundation, core (pure), shell (input and output), surface, roots: later layers import earlier ones. A module belongs to the layer
# of its longest listed prefix.
LAYERS = (
    "errors ids clock files codec journal notify sockets __init__",
    """config.schema pipeline.steps bundle.manifest bundle.kit store.layout store.slots store.candidate select
    update.phases update.rollout update.backoff egress.policy egress.request runtime.tensors runtime.wire""",
    "config pipeline bundle store update egress runtime",
    "api cli publish",
    "daemon dev __main__ update.__main__ egress.__main__ runtime.template publish.main cli.edgectl",
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}


def rank_of(module: str) -> int:
    """Return the layer's number of ``package.module``, by the longest prefix listed."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (rank := RANKS.get(".".join(parts[:length]))) is not None:
            return rank
    raise AssertionError(f"edged.{module} is in no layer: add it to LAYERS where it belongs")


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(ROOT.rglob("*.py"))
    }


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("edged.") for name in names if name.startswith("edged.")}


@pytest.mark.parametrize("module", modules())
def test_module_imports_no_higher_layer(module):
    path = modules()[module]
    for imported in imports_of(path):
        if imported == "__version__":
            continue
        assert rank_of(imported) <= rank_of(module), f"edged.{module} imports edged.{imported}, which is above it"


def test_relative_imports_are_not_used():
    for path in modules().values():
        tree = ast.parse(path.read_text())
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], path


def test_no_two_modules_import_each_other():
    """A circle has no direction; lazy imports inside functions count, too."""
    known = modules()
    graph = {
        module: {
            next((p for p in (name, name.rpartition(".")[0]) if p in known), name) for name in imports_of(path)
        } & known.keys()
        for module, path in known.items()
    }  # fmt: skip
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"circle: {' -> '.join([*trail[trail.index(module) :], module])}"
        if module in done:
            return
        for imported in sorted(graph[module] - {module}):
            visit(imported, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())
