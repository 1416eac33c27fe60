"""The updater's question to the host, through the real gate: yes only when that is certain, and for few bytes."""

import shutil
import signal
import ssl
import subprocess
from contextlib import closing
from threading import Timer

import pytest

from edged.clock import SystemClock
from edged.sockets import bind_unix
from edged.update.lookout.question import Question
from edged.update.waits.waiting import ApplyAskedError, StopAskedError
from tests.fakes.gates import running_gate, short_directory
from tests.fakes.static_host import Fault, static_host
from tests.fakes.waits import real_waits

TIMESTAMP = "metadata/timestamp.json"
TRUSTED, NEWER = b'{"version": 1}', b'{"version": 2}'
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.fixture
def waits():
    with real_waits() as made:
        yield made


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "www/metadata").mkdir(parents=True)
    (tmp_path / "www" / TIMESTAMP).write_bytes(TRUSTED)
    return tmp_path / "www"


@pytest.fixture
def web(repository):
    with static_host(repository) as host:
        yield host


@pytest.fixture
def gate(web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"]) as running:
        yield running


@pytest.fixture
def make(waits):
    made = []

    def question(url, gate, **options):
        options = {"timeout_s": 10.0, **options}
        made.append(Question(url=url, gate=gate, waits=waits, clock=SystemClock(), **options))
        return made[-1]

    yield question
    for one in made:
        one.close()


@pytest.fixture
def question(make, web, gate):
    return make(web.url, gate.path)


def is_unchanged(question, trusted):
    """Tell whether the host certainly still has what this device trusts."""
    return question.fetch(trusted) == trusted


def test_unchanged_file_is_sent_once_and_then_only_confirmed(question, web):
    """On one connection, which stays open between the questions."""
    assert [is_unchanged(question, TRUSTED) for _ in range(4)] == [True] * 4

    assert web.paths() == [TIMESTAMP] * 4
    assert web.unchanged == 3
    assert web.connections == 1


@pytest.mark.parametrize("is_chunked", [False, True])
def test_new_file_is_noticed_and_confirmed_as_soon_as_it_is_trusted(question, web, repository, is_chunked):
    """The bytes that made the question's answer no are known already when they are the trusted ones."""
    web.is_chunked = is_chunked
    assert is_unchanged(question, TRUSTED)
    (repository / TIMESTAMP).write_bytes(NEWER)

    assert not is_unchanged(question, TRUSTED)
    assert is_unchanged(question, NEWER)

    assert web.unchanged == 1


class Interrupted:
    """Real waits, that somebody ends who brings updates, as long as they are told to."""

    def __init__(self, waits):
        self.waits = waits
        self.is_ended = False

    def until_ready(self, connection, to, *, deadline_s):
        self.waits.until_ready(connection, to, deadline_s=deadline_s)
        if self.is_ended and to == "read":
            raise ApplyAskedError


def ask_until_it_waits(question):
    """An answer that is there at once needs no wait."""
    while True:
        is_unchanged(question, b"another")


def test_question_that_was_ended_leaves_no_answer_behind(web, gate, repository, waits):
    """What the host has said to it is not taken for the answer to the next one."""
    interrupted = Interrupted(waits)
    question = Question(url=web.url, gate=gate.path, timeout_s=10.0, waits=interrupted, clock=SystemClock())
    with closing(question):
        assert is_unchanged(question, TRUSTED)
        interrupted.is_ended = True
        with pytest.raises(ApplyAskedError):
            ask_until_it_waits(question)
        interrupted.is_ended = False
        (repository / TIMESTAMP).write_bytes(NEWER)

        assert is_unchanged(question, NEWER)


def test_file_that_is_not_what_is_trusted_is_never_confirmed(question, repository):
    """Also when the host confirms that it is what it sent last."""
    (repository / TIMESTAMP).write_bytes(NEWER)

    assert [is_unchanged(question, TRUSTED) for _ in range(3)] == [False] * 3


def test_host_without_validators_sends_the_file_each_time(question, web):
    web.has_etags = False

    assert [is_unchanged(question, TRUSTED) for _ in range(3)] == [True] * 3

    assert web.conditions == []


def test_host_with_times_only_is_asked_by_time(question, web):
    web.has_etags = False
    web.faults[TIMESTAMP] = Fault(fields=(("Last-Modified", LONG_AGO),))

    assert [is_unchanged(question, TRUSTED) for _ in range(2)] == [True] * 2

    assert (web.conditions, web.unchanged) == ([LONG_AGO], 1)


def test_file_of_this_very_second_is_asked_for_plainly(question, web):
    """A second version of the same second would go by the same ETag and the same time."""
    web.date = LONG_AGO
    web.faults[TIMESTAMP] = Fault(fields=(("Last-Modified", LONG_AGO),))

    assert [is_unchanged(question, TRUSTED) for _ in range(2)] == [True] * 2

    assert web.conditions == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=304),
        Fault(status=404),
        Fault(status=500),
        Fault(status=302, fields=(("Location", "http://portal.test/"),)),
        Fault(body=b"<html>Welcome to our network</html>", content_type="text/html"),
        Fault(body=b"x" * 100_000),
        Fault(body=TRUSTED[:-1]),
        Fault(body=b""),
        Fault(cut_after=0),
        Fault(cut_after=5),
        Fault(fields=(("X", "x" * 20_000),)),
    ],
)
def test_whatever_else_the_host_answers_is_no(question, web, fault):
    """What it is will be found out by the refresh; the next good answer counts again."""
    web.faults[TIMESTAMP] = fault
    assert not is_unchanged(question, TRUSTED)

    web.heal()
    assert is_unchanged(question, TRUSTED)


def test_connection_that_was_closed_while_idle_is_opened_again(question, web):
    """The host says so with its last answer, or the gate ends it without a word."""
    web.faults[TIMESTAMP] = Fault(fields=(("Connection", "close"),), times=1)

    assert [is_unchanged(question, TRUSTED) for _ in range(2)] == [True] * 2

    assert web.connections == 2


def test_gate_that_was_restarted_is_no_failure(make, web):
    with short_directory() as directory:
        path = directory / "proxy.sock"
        allow = [f"{web.name}:{web.port}"]
        with running_gate(allow_private=allow) as first:
            path.symlink_to(first.path)
            question = make(web.url, path)
            assert is_unchanged(question, TRUSTED)
        path.unlink()
        with running_gate(allow_private=allow) as second:
            path.symlink_to(second.path)

            assert is_unchanged(question, TRUSTED)


def test_gate_that_is_away_or_refuses_is_no(make, gate, tmp_path):
    assert not is_unchanged(make("http://models.test/", tmp_path / "absent"), TRUSTED)
    assert not is_unchanged(make("http://elsewhere.test/", gate.path), TRUSTED)


@pytest.mark.parametrize("url", ["http://models.test/ä/", "http://müller.test/"])
def test_name_that_cannot_be_asked_for_is_no(make, gate, url):
    assert not is_unchanged(make(url, gate.path), TRUSTED)


def test_silence_is_no(make):
    with short_directory() as directory, bind_unix(directory / "silent", mode=0o600):
        assert not is_unchanged(make("http://models.test/", directory / "silent", timeout_s=0.05), TRUSTED)


def test_stop_ends_the_question(make):
    timer = Timer(0.02, signal.raise_signal, [signal.SIGTERM])
    with short_directory() as directory, bind_unix(directory / "silent", mode=0o600):
        question = make("http://models.test/", directory / "silent", timeout_s=60.0)
        timer.start()
        with pytest.raises(StopAskedError):
            is_unchanged(question, TRUSTED)
    timer.join()


@pytest.fixture
def secure(repository, certificate):
    with (
        static_host(repository, certificate=certificate) as web,
        running_gate(allow_private=[f"{web.name}:{web.port}"]) as gate,
    ):
        yield web, gate


def test_https_is_asked_inside_tls(make, secure, certificate):
    web, gate = secure
    question = make(web.url, gate.path, tls=ssl.create_default_context(cafile=certificate))

    assert [is_unchanged(question, TRUSTED) for _ in range(3)] == [True] * 3

    assert (web.unchanged, web.connections) == (2, 1)


CDN = (
    ("Server", "nginx/1.26.3"),
    ("Last-Modified", LONG_AGO),
    ("Connection", "keep-alive"),
    ("Cache-Control", "public, max-age=5"),
    ("Vary", "Accept-Encoding"),
    ("Via", "1.1 varnish"),
)
"""What hosts say beside their answer."""


@pytest.mark.parametrize("is_tls", [False, True])
def test_poll_that_changes_nothing_costs_six_hundred_bytes_at_most(make, web, gate, secure, certificate, is_tls):
    """Both ways, on the connection that is open already, counted where they cross the gate."""
    host, relay = secure if is_tls else (web, gate)
    host.faults[TIMESTAMP] = Fault(fields=CDN)
    question = make(host.url, relay.path, tls=ssl.create_default_context(cafile=certificate) if is_tls else None)
    assert is_unchanged(question, TRUSTED)
    before = relay.gate.counters.relayed_bytes

    for _ in range(20):
        assert is_unchanged(question, TRUSTED)

    assert host.unchanged == 20
    # The gate may count the last block after it has passed it on; that of the first answer is among these.
    assert 19 * 200 < relay.gate.counters.relayed_bytes - before <= 20 * 600


@pytest.mark.parametrize("is_metered", [False, True])
def test_gate_that_tells_about_its_link_is_understood(make, web, is_metered):
    with running_gate(allow_private=[f"{web.name}:{web.port}"], is_metered=is_metered) as gate:
        assert is_unchanged(make(web.url, gate.path), TRUSTED)


def test_host_without_a_trusted_certificate_is_no(make, secure):
    web, gate = secure

    assert not is_unchanged(make(web.url, gate.path), TRUSTED)
    assert web.requests == []


def test_certificates_of_the_environments_file_are_trusted(make, secure, certificate, monkeypatch):
    web, gate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert is_unchanged(make(web.url, gate.path), TRUSTED)


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs the openssl command, to name a certificate by its hash"
)
def test_certificates_are_found_in_a_directory(make, secure, certificate, monkeypatch, tmp_path):
    """As Debian's /etc/ssl/certs is made."""
    web, gate = secure
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate)]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "certs").mkdir()
    (tmp_path / f"certs/{name}.0").symlink_to(certificate)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))

    assert is_unchanged(make(web.url, gate.path), TRUSTED)
