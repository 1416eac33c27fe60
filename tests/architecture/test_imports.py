"""Imports go one way: a module may import its own layer's siblings of the same package, and lower layers, never higher ones."""

import ast
from pathlib import Path

import pytest

import edged

ROOT = Path(edged.__file__).parent

# Foundation, core (pure), shell (input and output), surface, roots: later layers import earlier ones. A module belongs to the layer
# of its longest listed prefix.
LAYERS = (
    """errors problems statuses ids clock hours files codec nearest diagnosis http_head quantities journal notify sockets no_tls footprint
    __init__""",
    """config.schema config.checks pipeline.steps pipeline.spec pipeline.pipeline pipeline.datatypes bundle.fallback
    bundle.manifest bundle.parse bundle.kit
    store.layout store.slots store.history store.kept store.collectable activation ops select
    update.protocol.phases update.protocol.messages update.protocol.asking update.freshness.timestamp update.lookout.backoff
    update.lookout.answer update.traffic.budget update.traffic.meter update.refresh.undone
    egress.policy egress.request egress.link egress.routes runtime.tensors runtime.wire runtime.calls schedule validation.comparison
    validation.closeness validation.metrics validation.verdict validation.quality validation.report validation.junit onnx
    tensor_socket callers.caller callers.rules callers.bucket callers.quotas telemetry.histogram telemetry.serving telemetry.shadow
    telemetry.exposition sense policy energy.attribution energy.days frequency.wish frequency.caps presence.report presence.sessions
    api.documents""",
    """callers config pipeline bundle ops.identity store telemetry update egress runtime validation host worker energy frequency presence
    sense.sysfs sense.attributes""",
    "api cli client publish offload",
    """process event_loop daemon dev __main__ update.__main__ update.refresh.__main__ update.refresh.finding egress.__main__ worker.template
    offload.__main__ frequency.__main__ presence.__main__ publish.main cli.edgectl""",
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


def imported_modules() -> dict[str, set[str]]:
    """Every module of edged with those it imports; lazy imports inside functions count, too."""
    known = modules()
    return {
        module: {name if name in known else name.rpartition(".")[0] for name in imports_of(path)} & known.keys()
        for module, path in known.items()
    }


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(node: str, trail: tuple[str, ...]) -> None:
        assert node not in trail, f"circle: {' -> '.join([*trail[trail.index(node) :], node])}"
        if node not in done:
            for following in sorted(graph[node] - {node}):
                visit(following, (*trail, node))
            done.add(node)

    for node in graph:
        visit(node, ())


def test_no_modules_import_each_other_in_a_circle():
    assert_no_circle(imported_modules())


def test_no_packages_import_each_other_in_a_circle():
    """What is true of modules is true of the packages they form; roots, which know everything, are left out."""
    roots = len(LAYERS) - 1
    graph: dict[str, set[str]] = {}
    for module, imported in imported_modules().items():
        if rank_of(module) < roots:
            package = module.partition(".")[0]
            graph.setdefault(package, set()).update(name.partition(".")[0] for name in imported)
    assert_no_circle(graph)


def rooms_of(package: str) -> dict[str, set[str]]:
    """Every folder and every module of a package with those of them that it imports from."""
    depth = package.count(".") + 1
    graph: dict[str, set[str]] = {}
    for module, imported in imported_modules().items():
        if module.startswith(f"{package}."):
            room = module.split(".")[depth]
            graph.setdefault(room, set()).update(
                name.split(".")[depth] for name in imported if name.startswith(f"{package}.")
            )
    return {room: lower - {room} for room, lower in graph.items()}


@pytest.mark.parametrize("package", ["api", "cli.commands", "publish.commands", "update"])
def test_rooms_of_a_package_import_each_other_one_way(package):
    assert_no_circle(rooms_of(package))


def test_what_is_said_over_http_and_how_know_nothing_of_the_rest_of_the_api():
    rooms = rooms_of("api")

    assert rooms["documents"] == rooms["http"] == set()
    assert rooms["ports"] == {"documents"}


def test_an_inference_knows_nothing_of_its_connection_nor_of_any_endpoint():
    assert rooms_of("api")["oip"] == {"http", "limits", "ports"}


def test_command_lines_know_what_the_api_says_and_nothing_of_its_server():
    known = {
        name.split(".")[1]
        for module, imported in imported_modules().items()
        if module.startswith("cli.")
        for name in imported
        if name.startswith("api.")
    }

    assert known == {"documents", "oip"}


def test_verbs_of_the_publisher_share_their_options_and_nothing_else():
    rooms = rooms_of("publish.commands")

    assert set().union(*rooms.values()) == {"options"}


def test_processes_of_the_updater_share_what_they_say_and_how_old_things_are():
    """What one of them brings along, the other is spared."""
    rooms = rooms_of("update")

    def reached_from(room: str) -> set[str]:
        return {room}.union(*(reached_from(lower) for lower in rooms[room]))

    assert reached_from("service") & reached_from("refresh") == {"protocol", "freshness"}
