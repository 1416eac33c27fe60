"""A developer tries offload: ``edged dev`` with an endpoint on this machine, from a signed repository to an answer from outside."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

import pytest

from edged.cli.edgectl import main as edgectl
from edged.client import Client
from edged.codec import encode_canonical
from edged.egress.link import LinkReport, read_link_report
from edged.errors import EdgedError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.sense.context import Link
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.certificates import write_certificate
from tests.fakes.gates import short_directory
from tests.fakes.https_endpoints import answer, https_endpoint
from tests.fakes.services import stop, wait_for
from tests.fakes.static_host import static_host

POLICY = """\
schema = 1
name = "outside"

[[rule]]
name = "ask-the-cloud"
then = { offload = "prefer" }
"""
FAR = 4711.0
FILE = b"Hello, edge"
INPUTS = {"file": FILE}
HOST = "localhost"


@contextmanager
def edged_dev(directory, *options, certificate):
    """Run ``edged dev`` in a directory, in which it may be run by nobody."""
    command = [sys.executable, "-m", "edged", "dev", "--dir", directory, *options]
    running = subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            stop(running)
        running.communicate()


def assume_a_link(report):
    """Say that there is a network where this machine has none; the gate says so itself only when something changes."""
    wait_for(report.exists)
    if read_link_report(report).link is Link.OFFLINE:
        report.write_bytes(encode_canonical(LinkReport(link=Link.ETHERNET, interface="eth0", since_unix_s=0.0)))


def serves(client):
    try:
        client.infer("adder", INPUTS)
    except EdgedError:
        return False
    return True


@contextmanager
def offloading():
    """A device that was asked for with a repository, an endpoint and its credential."""
    with short_directory() as directory:
        directory.chmod(0o755)
        certificate = write_certificate(directory / "both.pem", HOST)
        certificate.chmod(0o644)
        (directory / "credentials").mkdir()
        (directory / "credentials/cloud").write_text("Authorization: Bearer s3cret\n")
        (directory / "policy.toml").write_text(POLICY)
        keys = Keyring(directory=directory / "keys")
        now = datetime.now(UTC)
        init_repository(directory / "repository", keys, now=now, root_count=1, root_threshold=1)
        publish_bundle(directory / "repository", make_bundle(directory / "bundles"), keys, now=now)
        far = answer([("sum", "FP32", [1, 1], pack("<f", FAR))])
        with static_host(directory / "repository") as host, https_endpoint(certificate, lambda _: far) as web:
            (directory / "further.toml").write_text(
                f'[policy]\nfile = "{directory}/policy.toml"\n\n[offload.endpoints.adder]\nprivate = true\n'
                f'url = "https://{HOST}:{web.port}/v2/models/adder/infer"\ncredential = "cloud"\n'
            )
            options = [
                f"--repository=http://{HOST}:{host.port}/",
                f"--root={directory}/repository/metadata/1.root.json",
                f"--config={directory}/further.toml",
                f"--credentials={directory}/credentials",
                "--poll-interval=0.5",
            ]
            with edged_dev(directory / "device", *options, certificate=certificate) as running:
                run = directory / "device/run"
                with Client(str(run / "edged.sock"), tensor_path=None) as client:
                    wait_for(lambda: serves(client))
                    assume_a_link(run / "link.json")
                    yield running, client, web


@pytest.fixture(scope="module")
def world():
    """One that all share."""
    with offloading() as world:
        yield world


def test_an_app_that_consents_is_answered_from_outside(world):
    _, client, web = world
    wait_for(lambda: client.infer("adder", INPUTS, may_offload=True).is_offloaded)

    result = client.infer("adder", INPUTS, may_offload=True)

    assert result.is_offloaded
    assert result["sum"].item() == FAR
    assert web.asked[-1].fields["authorization"] == "Bearer s3cret"
    assert FILE in web.asked[-1].inputs["file"]


def test_an_app_that_does_not_is_answered_by_the_device(world):
    _, client, web = world
    before = len(web.asked)

    result = client.infer("adder", INPUTS)

    assert not result.is_offloaded
    assert result["sum"].item() == adder_answer(FILE)
    assert len(web.asked) == before


def test_edgectl_consents_when_told_to(world, tmp_path, capsys):
    _, client, _ = world
    (tmp_path / "file").write_bytes(FILE)

    assert edgectl(["--socket", client.path, "infer", "--offload", "adder", str(tmp_path / "file")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:3] == ["4711", "cloud"]


@pytest.fixture
def ending():
    """One that a test may end: who shares the other may come later."""
    with offloading() as world:
        yield world


def test_it_ends_with_its_terminal_and_takes_everything_along(ending):
    """The credential's copy is gone, too."""
    running, client, _ = ending
    (announced,) = running.stdout.readline().splitlines()
    assert [word for word in announced.split() if word.isalpha()][:4] == ["egress", "offload", "update", "run"]
    run = Path(client.path).parent
    assert (run / "credentials").exists()

    running.send_signal(signal.SIGHUP)

    assert running.wait(60) == 0
    assert not [*run.glob("*.sock"), *run.glob("credentials")]
