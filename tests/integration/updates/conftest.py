"""A publisher, its web server, the gate and a device: what every test of an update begins with."""

import pytest

from tests.fakes.certificates import write_certificate
from tests.fakes.gates import running_gate, short_directory
from tests.fakes.repositories import Publisher
from tests.fakes.services import Site
from tests.fakes.static_host import static_host
from tests.fakes.updates import device


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def web(publisher):
    with static_host(publisher.root) as host:
        yield host


@pytest.fixture
def gate(web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"]) as running:
        yield running


@pytest.fixture
def make_device(tmp_path, publisher, web, gate):
    def make(**options):
        return device(tmp_path / "store", web, gate, root=options.pop("root", publisher.root_metadata), **options)

    return make


@pytest.fixture
def it(make_device):
    with make_device() as made:
        yield made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for models.test, with its key."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "both.pem", "models.test")


@pytest.fixture
def site(tmp_path, publisher):
    """For the real processes: a published model, and a device's configuration."""
    publisher.release("1.0.0")
    with static_host(publisher.root) as web, short_directory() as run:
        made = Site(publisher=publisher, web=web, run=run, directory=tmp_path)
        made.configure()
        yield made
