"""``python -m bench``: measure, print a table, write JSON.

Every server runs at the same time, and is asked in turn: the ratios of one run can be trusted where its figures cannot. Nothing here
judges; README quotes a run.
"""

import argparse
import importlib.util
import json
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench import device
from bench.awareness import measure_awareness, print_awareness
from bench.decisions import measure_decisions, print_decisions
from bench.fast import fast_path
from bench.known import measure_known, print_known
from bench.load import AnswerError, Client, Connect
from bench.measure import Ask, Row, Target, measure_latencies, measure_throughputs, p50_us, p99_us
from bench.messages import binary_request, json_request
from bench.models import Model, read_models
from bench.overload import measure_overload
from bench.processes import ServerFailedError, pss_bytes, running, unix_connection, wait_until
from bench.servers.sessions import new_session
from bench.steered import measure_steered, print_steered
from bench.switching import measure_switching, print_switching
from bench.table import print_tables
from bench.updates import measure_updates, print_updates

IN_PROCESS: Final = "in process"
AIOHTTP: Final = "aiohttp, minimal"
EDGED: Final = "edged, HTTP binary"
EDGED_JSON: Final = "edged, HTTP JSON"
EDGED_FAST: Final = "edged, fast path"
OVERLOADED: Final = "magika"
"""The model that is asked for too much: its runs are long enough for this process to ask ten times as often."""
LARGE_BYTES: Final = 1 << 20
"""Above this, a request as JSON takes so long that it says nothing more."""
FULL_BYTES: Final = 1 << 30
"""In the store of a device that has had many versions of many models."""


def main() -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What serving costs, side by side.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests: to see whether it works")
    parser.add_argument("--only", metavar="MODEL", action="append", help="these models (may be given again)")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="where models are kept (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path(".bench/results.json"), help="(%(default)s)")
    arguments = parser.parse_args()
    models = [model for model in read_models(arguments.cache) if not arguments.only or model.name in arguments.only]
    # Short, because a Unix socket's path may have 107 bytes; open to all, because edged's processes may run as nobody.
    with tempfile.TemporaryDirectory(prefix="edged-bench-") as name:
        work = Path(name)
        work.chmod(0o755)
        results = measure(models, work, scale=0.1 if arguments.quick else 1.0)
    print_tables(results)
    print_updates(results["updates"])
    print_decisions(results["decisions"])
    print_switching(results["switching"])
    print_steered(results["steered"])
    print_known(results["known"])
    print_awareness(results["awareness"])
    arguments.json.write_text(json.dumps(results, indent=2))
    print(f"\nwritten to {arguments.json}")
    return 0


def measure(models: Sequence[Model], work: Path, *, scale: float) -> dict[str, Any]:
    """Measure what serving these models costs.

    Args:
        models: What to measure.
        work: A directory for everything that is written.
        scale: Of the number of requests.
    """
    say("publishing the models, signed, and fetching them with edged")
    device.publish(models, work)
    device.fetch_all(models, work, work / "d")
    rows: list[Row] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(server) for server in servers_of(models, work / "d", work)]
        for model in models:
            say(f"{model.name}: latency, one client")
            rows += measure_model(model, servers, work / "d", scale=scale)
    model = next((model for model in models if model.name == OVERLOADED), models[0])
    say(f"{model.name}: ten times as many requests as can be answered")
    with edged_server(models, work / "d", work) as server:
        connect = partial(unix_connection, device.socket_of(work / "d"))
        overload = measure_overload(connect, binary_request(model), server.pid, scale=scale)
    say("updates: polls, stops, going back")
    updates = measure_updates(models[0], work / "u", scale=scale)
    say("memory and start, one small model")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "versions": {"python": platform.python_version()}
        | {n: version(n) for n in ("onnxruntime", "aiohttp", "numpy")},
        "rows": [asdict(row) for row in rows],
        "overload": {"model": model.name} | overload,
        "service": measure_service(models[0], work),
        "updates": updates,
        "decisions": measure_decisions(scale=scale),
        "switching": measure_switching(models[0], work / "switching", scale=scale),
        "steered": measure_steered(models[0], work / "steered", scale=scale),
        "known": measure_known(model if model.name == OVERLOADED else None, work / "known", scale=scale),
        "awareness": measure_awareness(models[0], work / "awareness", scale=scale),
    }


class Server:
    """A server that runs, and how to reach a model of it."""

    def __init__(self, name: str, pid: int, connect: Callable[[str], Connect | None], *, is_json: bool = False) -> None:
        self.name = name
        self.pid = pid
        self.connect = connect
        """By model; None where this server does not have it."""
        self.is_json = is_json


@contextmanager
def unix_server(name: str, module: str, models: Sequence[Model], work: Path) -> Iterator[Server]:
    """Run one of ``bench.servers`` on a Unix socket, with all models."""
    path, log = work / f"{module}.sock", work / f"{module}.log"
    command = [sys.executable, "-m", f"bench.servers.{module}", str(path)]
    with running([*command, *(f"{model.name}={model.path.resolve()}" for model in models)], log) as process:
        wait_until(lambda: is_reachable(partial(unix_connection, path)), name, process, log)
        yield Server(name, process.pid, lambda _model: partial(unix_connection, path))


@contextmanager
def port_server(name: str, module: str, model: Model, work: Path) -> Iterator[Server]:
    """Run one of ``bench.servers`` on a loopback port, with one model, asked in JSON."""
    log = work / f"{module}.log"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", f"bench.servers.{module}", str(port), f"{model.name}={model.path.resolve()}"]
    connect = partial(socket.create_connection, ("127.0.0.1", port), 60)
    with running(command, log) as process:
        wait_until(lambda: is_answering(connect, json_request(model)), name, process, log)
        yield Server(name, process.pid, lambda asked: connect if asked == model.name else None, is_json=True)


@contextmanager
def edged_server(models: Sequence[Model], directory: Path, work: Path) -> Iterator[Server]:
    """Run the whole of edged."""
    log = work / "edged.log"
    path = device.socket_of(directory)
    with device.edged(directory, work, log) as process:
        wait_until(lambda: device.answering(directory) >= {model.name for model in models}, EDGED, process, log)
        yield Server(EDGED, process.pid, lambda _model: partial(unix_connection, path))


def servers_of(models: Sequence[Model], directory: Path, work: Path) -> Iterator[Any]:
    """Give every server that can run here, not started yet."""
    yield unix_server(AIOHTTP, "minimal_aiohttp", models, work)
    yield edged_server(models, directory, work)
    yield from optional_servers(models, work)


def optional_servers(models: Sequence[Model], work: Path) -> Iterator[Any]:
    """Give what else is installed here, and say what is not."""
    for packages, server in (
        (("fastapi", "uvicorn"), unix_server("FastAPI, uvicorn", "fastapi_uvicorn", models, work)),
        (("litserve",), port_server("LitServe, JSON", "litserve_api", models[0], work)),
        (("mlserver",), port_server("MLServer, JSON", "mlserver_runtime", models[0], work)),
    ):
        if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
            say(f"left out, because it is not installed: {', '.join(missing)}")
        else:
            yield server


def measure_model(model: Model, servers: Sequence[Server], directory: Path, *, scale: float) -> list[Row]:
    """Measure every way to one model."""
    session = new_session(model.path)
    ways: dict[str, Ask] = {IN_PROCESS: lambda: timed(lambda: session.run(None, dict(model.inputs)))}
    targets: dict[str, Target] = {}
    is_large = sum(array.nbytes for array in model.inputs.values()) > LARGE_BYTES
    with ExitStack() as stack:
        for server in servers:
            if (connect := server.connect(model.name)) is None or (is_large and server.is_json):
                continue
            request = json_request(model) if server.is_json else binary_request(model)
            targets[server.name] = Target(connect=connect, request=request, pid=server.pid)
            ways[server.name] = stack.enter_context(client(connect, request))
            if server.name == EDGED and not is_large:
                ways[EDGED_JSON] = stack.enter_context(client(connect, json_request(model)))
        ways[EDGED_FAST] = stack.enter_context(fast_path(directory, model))
        once_s = ways[IN_PROCESS]()
        latencies = measure_latencies(ways, requests=round(scale * min(4000, max(200, 8 / once_s))), rounds=20)
    rows = {name: Row(model=model.name, way=name, p50_us=p50_us(v), p99_us=p99_us(v)) for name, v in latencies.items()}
    for name, row in rows.items():
        row.added_us = row.p50_us - rows[IN_PROCESS].p50_us if name != IN_PROCESS else None
    rows[IN_PROCESS].per_s[1] = 1e6 / rows[IN_PROCESS].p50_us
    # 32 large requests at once are more than edged lets one user have by default.
    for clients in (8,) if is_large else (8, 32):
        say(f"{model.name}: {clients} clients")
        for name, (per_s, cpu_ms) in measure_throughputs(
            targets, clients=clients, seconds=max(0.5, 3 * scale), rounds=3
        ).items():
            rows[name].per_s[clients] = per_s
            if clients == 8:
                rows[name].cpu_ms_per_request = cpu_ms
    return list(rows.values())


def measure_service(model: Model, work: Path) -> dict[str, Any]:
    """Measure memory and start of each server with one small model, each alone; of edged also with a store full of other models."""
    (work / "one").mkdir()
    device.publish([model], work / "one")
    device.fetch_all([model], work / "one", work / "o")
    found = dict(measure_alone(entry, model) for entry in servers_of([model], work / "o", work / "one"))
    device.fill_store(work / "o", FULL_BYTES)
    _, full = measure_alone(edged_server([model], work / "o", work / "one"), model)
    return found | {"edged, 1 GiB stored": full}


def measure_alone(entry: AbstractContextManager[Server], model: Model) -> tuple[str, dict[str, Any]]:
    """Start a server, and return its name and what it took until its first answer, and what it takes then."""
    started_s = time.monotonic()
    with entry as server:
        request = json_request(model) if server.is_json else binary_request(model)
        if (connect := server.connect(model.name)) is None:
            raise ServerFailedError(f"{server.name} does not have {model.name}")
        with client(connect, request) as ask:
            ask()
        cold_s = time.monotonic() - started_s
        sizes = settled_pss(server.pid)
        return server.name, {"cold_start_s": cold_s, "pss_bytes": sum(sizes.values()), "processes": sizes}


def settled_pss(pid: int) -> dict[str, int]:
    """Return the memory of a process tree once it no longer changes by more than one part in a hundred, or after ten seconds."""
    sizes = pss_bytes(pid)
    for _ in range(10):
        time.sleep(1)
        before, sizes = sizes, pss_bytes(pid)
        if abs(sum(sizes.values()) - sum(before.values())) < sum(before.values()) / 100:
            break
    return sizes


@contextmanager
def client(connect: Connect, request: bytes) -> Iterator[Ask]:
    """Hold one connection."""
    one = Client(connect, request)
    try:
        yield one.ask
    finally:
        one.close()


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    started_s = time.perf_counter()
    run()
    return time.perf_counter() - started_s


def is_reachable(connect: Connect) -> bool:
    """Tell whether somebody listens."""
    try:
        connect().close()
    except OSError:
        return False
    return True


def is_answering(connect: Connect, request: bytes) -> bool:
    """Tell whether a first answer comes."""
    try:
        one = Client(connect, request)
    except OSError:
        return False
    try:
        one.ask()
    except (OSError, AnswerError):
        return False
    finally:
        one.close()
    return True


def say(text: str) -> None:
    """Show progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
