"""``edgectl update check`` and ``apply --from`` as a person runs them, with the real updater: what is printed where, and how they end."""

import shutil

import pytest

from edged.cli import edgectl
from tests.fakes.services import process, wait_for
from tests.fakes.updates import THREE_CHUNKS, blob_path


@pytest.fixture
def updater(site):
    """One that has everything."""
    with process("edged.egress", "--config", site.config), process("edged.update", "--config", site.config) as updater:
        wait_for(lambda: site.status().last_success_at)
        yield updater


@pytest.fixture
def edge(site, updater):
    """Return what runs a verb below ``edgectl update``."""

    def run(verb, *args):
        return edgectl.main(["update", verb, *map(str, args), "--updater", str(site.run / "control.sock")])

    return run


def test_check_says_what_it_brought_and_then_that_nothing_is_new(site, edge, capsys):
    site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)

    assert edge("check") == 0
    out, err = capsys.readouterr()
    assert out == "demo 1.1.0 is in the store\n"
    assert "polling\n" in err
    assert "demo 1.1.0: " in err

    assert edge("check") == 7
    assert capsys.readouterr().out == "Nothing is new.\n"


def test_a_stick_is_brought_in_and_one_with_wrong_bytes_is_not(site, edge, tmp_path, capsys):
    good = shutil.copytree(site.publisher.root, tmp_path / "good")
    assert edge("apply", "--from", good) == 7

    released = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    bad = shutil.copytree(site.publisher.root, tmp_path / "bad")
    blob = bad / blob_path(released)
    blob.write_bytes(bytes(blob.stat().st_size))
    capsys.readouterr()

    assert edge("apply", "--from", bad) == 10
    out, err = capsys.readouterr()
    assert out == ""
    assert "[digest-mismatch]" in err
    # What is on the host is all right.
    assert edge("check") == 0
