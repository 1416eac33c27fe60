"""A publisher, its web server, the gate and a device: what every test of an update begins with."""

from datetime import UTC, datetime, timedelta

import pytest

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
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "models.test")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("models.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + cert.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def site(tmp_path, publisher):
    """For the real processes: a published model, and a device's configuration."""
    publisher.release("1.0.0")
    with static_host(publisher.root) as web, short_directory() as run:
        made = Site(publisher=publisher, web=web, run=run, directory=tmp_path)
        made.configure()
        yield made
