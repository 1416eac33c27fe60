"""``make demo``: one story, told with real processes; ends with exit code 1 when anything is not as it should be."""

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from demo.answers import GAUGE, compare, read_gauges
from demo.files import make_samples
from demo.heat import Zone, heat_and_cool
from demo.magika import Answer, ask_magika, edge_publish, write_sources
from demo.processes import (
    DemoFailedError,
    active_version,
    complain,
    edgectl,
    edged_dev,
    free_port,
    log_of,
    refusals,
    serve,
    step,
    wait_for,
)
from demo.updates import Roles, canary, first_download, roll_back, stop_and_lift

GOOD, BAD, MENDED, SPOILED = "1.0.0", "1.1.0", "1.1.1", "1.2.0"
PERCENT: Final = 10
"""Of the fleet, for the canary."""


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
            complain(str(exc), [log_of(work / "device"), log_of(work / "other")])
            return 1
    print(f"\nDone in {time.monotonic() - started_s:.0f} s. Everything is stopped and removed.")
    return 0


def tell(work: Path, stack: ExitStack) -> None:
    """Tell the story in ``work``; what is started is stopped by ``stack``."""
    samples = make_samples()
    keys = ("--repo", work / "repo", "--keys", work / "keys")
    roles = Roles.drawn(rollout="gauge-1.0.0", percent=PERCENT)

    step("A model: magika's file-type classifier; its own package judges the answers")
    answers = ask_magika(samples)
    print(f"{len(samples)} files in {len({a.label for a in answers.values()})} formats, golden outputs computed")

    step("A bundle and a signed repository of static files")
    edge_publish("init", work / "repo", "--keys", work / "keys")
    publish(work, GOOD, samples, answers)

    step(
        "A device on a slow link: gate, updater and daemon, each an unprivileged process. The host goes away and comes back"
    )
    device, port = work / "device", free_port()
    url = f"http://localhost:{port}/"
    zone = Zone(work)
    options = ("--device-id", roles.insider, "--config", str(zone.settings()))
    stack.enter_context(edged_dev(work, device, url, *options))
    first_download(work, device, port)
    stack.enter_context(serve(work, port))
    wait_for(lambda: active_version(device, "magika") == GOOD, "version 1.0.0 to be verified, validated and activated")

    step("Files through POST /v2/models/magika/infer on the Unix socket")
    compare(device, samples, answers)
    edgectl(device, "status")

    step("A second version, whose golden outputs do not match: refused before it is activated")
    wrong = dict(answers)
    wrong["average.py"] = replace(answers["average.py"], label="ruby")
    publish(work, BAD, samples, wrong)
    wait_for(lambda: BAD in refusals(device, "magika"), "version 1.1.0 to be refused")
    edgectl(device, "status", expect=6)
    if active_version(device, "magika") != GOOD:
        raise DemoFailedError("version 1.0.0 no longer answers")
    compare(device, samples, answers, rows=3)
    publish(work, MENDED, samples, answers)
    wait_for(lambda: active_version(device, "magika") == MENDED, "the publisher's correction, version 1.1.1, to answer")

    step(
        f"A second model, edged's own gauge reader, for {PERCENT} % of the fleet first; another device decides for itself"
    )
    edge_publish("bundle", "build", GAUGE / "gauge.toml", "--out", work / "bundles")
    edge_publish("bundle", "validate", work / "bundles/gauge-1.0.0")
    edge_publish("publish", work / "bundles/gauge-1.0.0", "--percent", PERCENT, *keys)
    canary(work, device, url, roles, keys)
    read_gauges(device)

    step("A third version that passes its own kit and fails its users: rolled back during its trial")
    roll_back(work, device, samples, answers, version=SPOILED, before=MENDED, keys=keys)
    compare(device, samples, answers, rows=3)
    edgectl(device, "update", "history", "magika", "--limit", "8")

    step("The device gets hot: its policy has a lighter variant answer, then none, until it is cool again")
    heat_and_cool(device, zone)

    step("The stop switch: a signed word, and within seconds no device answers with this model any more")
    stop_and_lift(device, "gauge", keys)
    read_gauges(device)


def publish(work: Path, version: str, samples: dict[str, bytes], answers: dict[str, Answer]) -> None:
    """Build and publish one version."""
    recipe = write_sources(work / "sources", version, samples, answers)
    edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    edge_publish("publish", work / f"bundles/magika-{version}", "--repo", work / "repo", "--keys", work / "keys")


if __name__ == "__main__":
    sys.exit(main())
