"""``make demo``: one story, told with real processes; ends with exit code 1 when anything is not as it should be."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from demo.files import make_samples
from demo.magika import BIN, SCORE_TOLERANCE, Answer, ask_magika, edge_publish, write_sources

GOOD, BAD = "1.0.0", "1.1.0"
WAIT_S: Final = 60.0
GAUGE: Final = Path(__file__).parents[1] / "models/gauge"
GAUGES: Final = 8
"""How many pictures of gauges are read in the demonstration."""
GAUGE_LIMIT_DEGREES: Final = 2.5


class DemoFailedError(Exception):
    """Something in the story did not happen as it should."""


def main() -> int:
    """Tell the story and clean up after it."""
    started_s = time.monotonic()
    # Nothing is left behind when it is told to end, either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Short, because a Unix socket's path may have 107 bytes; open to all, because the processes may run as nobody.
    with tempfile.TemporaryDirectory(prefix="edged-demo-") as name, ExitStack() as stack:
        work = Path(name)
        work.chmod(0o755)
        try:
            tell(work, stack)
        except (DemoFailedError, subprocess.CalledProcessError) as exc:
            print(f"\nDEMO FAILED: {exc}", file=sys.stderr)
            log = work / "edged.log"
            if log.exists():
                print(f"--- last lines of edged's log\n{log.read_text()[-3000:]}", file=sys.stderr)
            return 1
    print(f"\nDone in {time.monotonic() - started_s:.0f} s. Everything is stopped and removed.")
    return 0


def tell(work: Path, stack: ExitStack) -> None:
    """Tell the story in ``work``; what is started is stopped by ``stack``."""
    samples = make_samples()

    step("A model: magika's file-type classifier; its own package judges the answers")
    answers = ask_magika(samples)
    print(f"{len(samples)} files in {len({a.label for a in answers.values()})} formats, golden outputs computed")

    step("A bundle and a signed repository of static files")
    edge_publish("init", work / "repo", "--keys", work / "keys")
    publish(work, GOOD, samples, answers)
    url = stack.enter_context(serve(work))

    step("A device: gate, updater and daemon, each an unprivileged process")
    device = work / "device"
    stack.enter_context(edged_dev(work, device, url))
    wait_for(
        lambda: active_version(device, "magika") == GOOD,
        "version 1.0.0 to be fetched, verified, validated and activated",
    )

    step("Files through POST /v2/models/magika/infer on the Unix socket")
    compare(device, samples, answers)

    step("edgectl status")
    edgectl(device, "status", expect=0)

    step("A second version, whose golden outputs do not match")
    wrong = dict(answers)
    wrong["average.py"] = replace(answers["average.py"], label="ruby")
    publish(work, BAD, samples, wrong)
    wait_for(lambda: bool(refusals(device)), "version 1.1.0 to be refused")
    edgectl(device, "status", expect=6)
    if active_version(device, "magika") != GOOD:
        raise DemoFailedError("version 1.0.0 no longer answers")
    compare(device, samples, answers, rows=3)

    step("A second model: edged's own gauge reader, in three precisions, beside the first")
    edge_publish("bundle", "build", GAUGE / "gauge.toml", "--out", work / "bundles")
    edge_publish("bundle", "validate", work / "bundles/gauge-1.0.0")
    edge_publish("publish", work / "bundles/gauge-1.0.0", "--repo", work / "repo", "--keys", work / "keys")
    wait_for(lambda: active_version(device, "gauge") is not None, "the gauge reader to answer")
    read_gauges(device)


def publish(work: Path, version: str, samples: dict[str, bytes], answers: dict[str, Answer]) -> None:
    """Build and publish one version."""
    recipe = write_sources(work / "sources", version, samples, answers)
    edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    edge_publish("publish", work / f"bundles/magika-{version}", "--repo", work / "repo", "--keys", work / "keys")


@contextmanager
def serve(work: Path) -> Iterator[str]:
    """Serve the repository as static files; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(BIN / "edge-publish"), "serve", str(work / "repo"), "--port", str(port)]
    with background(command, work / "host.log"):
        wait_for(lambda: is_listening(port), "the static web server")
        print(f"static files at http://localhost:{port}/")
        yield f"http://localhost:{port}/"


@contextmanager
def edged_dev(work: Path, device: Path, url: str) -> Iterator[None]:
    """Run ``edged dev`` against the repository."""
    command = [str(BIN / "edged"), "dev", "--dir", str(device), "--repository", url]
    command += ["--root", str(work / "repo/metadata/1.root.json"), "--poll-interval", "1"]
    print(f"$ edged dev --dir {device} --repository {url} --root repo/metadata/1.root.json --poll-interval 1")
    with background(command, work / "edged.log"):
        yield


@contextmanager
def background(command: list[str], log: Path) -> Iterator[None]:
    """Run a command beside the story; ended with SIGTERM, and killed when it does not end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # noqa: S603 - ours
    try:
        yield
        if process.poll() is not None:
            raise DemoFailedError(f"{' '.join(command[:4])} ended by itself with {process.returncode}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(device: Path, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """Send one request to the device's socket and return the JSON it answers.

    Raises:
        DemoFailedError: Any status but 200.
        OSError: Nobody listens.
    """
    connection = SocketConnection(device / "run/edged.sock")
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise DemoFailedError(f"{method} {path}: {response.status} {data.decode(errors='replace')}")
    return json.loads(data)


def status_of(device: Path) -> dict[str, Any]:
    """Return the status document, or nothing while the daemon does not answer yet."""
    try:
        status: dict[str, Any] = ask(device, "GET", "/edged/v1/status")
    except OSError:
        return {"models": []}
    return status


def active_version(device: Path, name: str) -> str | None:
    """Return the version of a model that answers and has proven itself."""
    for model in status_of(device)["models"]:
        for slot in model["slots"]:
            if model["name"] == name and slot["slot"] == model.get("active") and slot["state"] == "good":
                return str(slot["version"])
    return None


def refusals(device: Path) -> list[Any]:
    """Return what the device turned down."""
    return [refusal for model in status_of(device)["models"] for refusal in model["refused"]]


def compare(device: Path, samples: dict[str, bytes], answers: dict[str, Answer], *, rows: int | None = None) -> None:
    """Ask the device about each file, print a table, and hold every answer against the package's.

    Raises:
        DemoFailedError: One differs.
    """
    print(f"{'file':<18}{'answer':<12}{'confidence':>10}  {'variant':<24}{'latency':>9}")
    different = []
    for name in list(samples)[:rows]:
        reply, latency_ms = infer(device, "magika", samples[name])
        outputs = {output["name"]: output["data"][0] for output in reply["outputs"]}
        label, score = outputs["label"], outputs["score"]
        variant = reply["parameters"]["variant"]
        print(f"{name:<18}{label:<12}{score:>10.4f}  {variant:<24}{latency_ms:>6.1f} ms")
        if label != answers[name].label or abs(score - answers[name].score) > SCORE_TOLERANCE:
            different.append(
                f"{name}: {label} {score:.4f}, magika says {answers[name].label} {answers[name].score:.4f}"
            )
    if different:
        raise DemoFailedError("answers differ from the magika package's:\n  " + "\n  ".join(different))
    print(f"{len(samples) if rows is None else rows} answers, all equal to the magika package's")


def read_gauges(device: Path) -> None:
    """Send pictures of dials, as files, and hold the readings against where the needles really point.

    Raises:
        DemoFailedError: They are further off, on average, than the model's own limit.
    """
    kit = json.loads((GAUGE / "kit/kit.json").read_text())
    print(f"{'picture':<24}{'needle':>8}{'reading':>9}{'off':>7}  {'sure':>5}  {'variant':<24}{'latency':>9}")
    errors = []
    for sample in kit["samples"][:GAUGES]:
        picture = (GAUGE / "kit" / sample["input"]).read_bytes()
        reply, latency_ms = infer(device, "gauge", picture)
        read = {output["name"]: output["data"][0] for output in reply["outputs"]}
        true = next(item["data"][0] for item in sample["truth"] if item["name"] == "angle")
        off = (read["angle"] - true + 180) % 360 - 180
        errors.append(abs(off))
        print(
            f"{sample['input']:<24}{true:>8.1f}{read['angle']:>9.1f}{off:>+7.1f}  {read['confidence']:>5.2f}  "
            f"{reply['parameters']['variant']:<24}{latency_ms:>6.1f} ms"
        )
    mean = sum(errors) / len(errors)
    if mean > GAUGE_LIMIT_DEGREES:
        raise DemoFailedError(f"readings are {mean:.1f} degrees off on average, {GAUGE_LIMIT_DEGREES:g} is the limit")
    print(f"{len(errors)} dials read, {mean:.1f} degrees off on average")


def infer(device: Path, model: str, content: bytes) -> tuple[Any, float]:
    """Send a file to a model and return what it answers and how long that took in milliseconds."""
    begun_s = time.perf_counter()
    # Content-Length 0 of the inference header says: the whole body is the one input.
    reply = ask(device, "POST", f"/v2/models/{model}/infer", content, {"Inference-Header-Content-Length": "0"})
    return reply, (time.perf_counter() - begun_s) * 1000


def edgectl(device: Path, verb: str, *, expect: int) -> None:
    """Run ``edgectl`` for the reader.

    Raises:
        DemoFailedError: It ended with another exit code.
    """
    sys.stdout.flush()
    command = [str(BIN / "edgectl"), "--socket", str(device / "run/edged.sock"), verb]
    ended = subprocess.run(command, check=False)  # noqa: S603 - ours
    if ended.returncode != expect:
        raise DemoFailedError(f"edgectl {verb} ended with {ended.returncode}, not {expect}")


def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so.

    Raises:
        DemoFailedError: It was not within ``WAIT_S``.
    """
    print(f"waiting for {what} ...", end="", flush=True)
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() - begun_s > WAIT_S:
            print()
            raise DemoFailedError(f"waited {WAIT_S:g} s for {what}")
        time.sleep(0.1)
    print(f" {time.monotonic() - begun_s:.1f} s")


def step(title: str) -> None:
    """Begin a chapter."""
    print(f"\n== {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
