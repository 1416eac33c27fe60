"""The ceremony as people hold it: at a terminal, with sticks, interruptions, mistakes, and a holder who is elsewhere."""

import shutil
from datetime import UTC, datetime

import pytest

from edged.files import hash_file
from edged.publish.keys.directory import Keyring
from edged.publish.main import main
from edged.publish.repository.operations import publish_bundle
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree
from tests.fakes.bundles import make_bundle
from tests.fakes.terminals import Person
from tests.fakes.tuf_clients import make_updater


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGE_PUBLISH_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def person(place):
    people = []

    def start(*arguments, **environment):
        people.append(Person(*arguments, stdout=place / "out", environment=environment))
        return people[-1].__enter__()

    yield start
    for one in people:
        one.__exit__(None, None, None)


def makes_key(person, number, name, stick):
    person.answers(f"Who holds root key {number}?:", name)
    person.answers(f"Is {name} here, to make the key now? yes or no [yes]:", "")
    answers_stick(person, stick or "")
    person.answers(f"New passphrase of root-{number}:", f"secret of {name}")
    person.answers("Once more:", f"secret of {name}")
    person.sees(f"{name}'s key has the ID")


def answers_stick(person, stick):
    person.sees("best on a stick of its own [")
    person.answers("]:", stick)


def signs(person, number, name):
    person.sees(f"{name} signs with")
    person.answers(f"Passphrase of root-{number}:", f"secret of {name}")


def test_three_people_make_a_repository_that_devices_trust(place, person):
    sticks = {name: str(place / "media" / name.lower()) for name in ("Ada", "Ben", "Cy")}
    it = person("init", "repo", "--keys", "keys", "--ceremony", "--root-keys", "3", "--root-threshold", "2")
    it.answers("Number of root keys [3]:", "")
    it.answers("How many of them must sign [2]:", "")
    for number, (name, stick) in enumerate(sticks.items(), 1):
        makes_key(it, number, name, stick)
    it.answers("Shall they have a passphrase? yes or no [yes]:", "no")
    it.answers("Has every holder found their own key ID here? yes or no [no]:", "yes")
    for number, name in enumerate(sticks, 1):
        signs(it, number, name)

    assert it.leaves() == 0
    assert "secret of" not in it.seen
    root = read_state(Tree(place / "repo")).root
    rings = {name: Keyring(directory=place / "media" / name.lower()) for name in sticks}
    keyids = [ring.public(f"root-{n}").keyid for n, ring in enumerate(rings.values(), 1)]
    assert (root.roles["root"].keyids, root.roles["root"].threshold) == (keyids, 2)
    assert all(" ".join(k[i : i + 8] for i in range(0, 64, 8)) in it.seen for k in keyids)
    assert all(ring.is_encrypted(f"root-{n}") for n, ring in enumerate(rings.values(), 1))
    out = (place / "out").read_text()
    assert f"SHA-256 {hash_file(place / 'repo/metadata/1.root.json')[0]}" in out
    assert all(f"{name}" in out and f"{stick}/root-" in out for name, stick in sticks.items())
    assert not (place / "repo.pending").exists()

    # What the ceremony made is what publishing needs, without any of the holders.
    publish_bundle(place / "repo", make_bundle(place / "b"), Keyring(directory=place / "keys"), now=datetime.now(UTC))
    updater = make_updater(
        f"{(place / 'repo').as_uri()}/", place / "device", (place / "repo/metadata/1.root.json").read_bytes()
    )
    assert updater.get_targetinfo("models/adder/1.0.0/manifest.json") is not None


def test_ceremony_that_was_killed_goes_on_where_it_stopped(place, person):
    """Nothing that was settled is asked again, no key is made twice, and nobody sees a repository before the end."""
    arguments = ("init", "repo", "--keys", "keys", "--ceremony")
    it = person(*arguments)
    it.answers("Number of root keys [5]:", "2")
    it.answers("How many of them must sign [2]:", "2")
    makes_key(it, 1, "Ada", None)
    it.answers("Who holds root key 2?:", "Ben")
    assert it.interrupts() == 130
    first = (place / "keys/root-1.pem").read_bytes()

    # A kill between making a key and noting it down leaves the key; its holder shows that it is theirs.
    Keyring(directory=place / "stick").add("root-2", b"secret of Ben")
    it = person(*arguments)
    it.sees("1 of 2 root keys are settled")
    it.answers("Who holds root key 2?:", "Ben")
    it.answers("[yes]:", "")
    answers_stick(it, "stick")
    it.sees("root-2.pem is there already")
    it.answers("Passphrase of root-2:", "secret of Ben")
    it.sees("Ben's key has the ID")
    it.is_killed()

    it = person(*arguments)
    it.sees("2 of 2 root keys are settled")
    it.answers("Shall they have a passphrase? yes or no [yes]:", "")
    it.answers("New passphrase of these keys:", "daily")
    it.answers("Once more:", "daily")
    it.answers("[no]:", "yes")
    signs(it, 1, "Ada")
    it.sees("Ben signs with")
    it.is_killed()
    assert not (place / "repo/metadata").exists()

    it = person(*arguments)
    it.answers("[no]:", "yes")
    signs(it, 2, "Ben")
    it.answers("Passphrase of targets:", "daily")
    assert it.leaves() == 0
    assert (place / "keys/root-1.pem").read_bytes() == first
    assert read_state(Tree(place / "repo")).root.roles["root"].threshold == 2
    assert "The repository repo is ready" in (place / "out").read_text()

    assert person(*arguments).leaves() == 2


def test_mistakes_are_told_and_asked_again(place, person):
    Keyring(directory=place / "elsewhere").add("root-dora", None)
    it = person("init", "repo", "--keys", "keys", "--ceremony", "--root-keys", "2", "--root-threshold", "1")
    it.answers("Number of root keys [2]:", "many")
    it.sees("'many' is not a number from 1 to 99")
    it.answers("Number of root keys [2]:", "")
    it.answers("[1]:", "3")
    it.sees("'3' is not a number from 1 to 2")
    it.answers("Number of root keys [2]:", "")
    it.answers("[1]:", "")
    it.answers("Who holds root key 1?:", "")
    it.sees("needs a holder with a name")
    it.answers("Who holds root key 1?:", "Ada")
    it.answers("[yes]:", "perhaps")
    it.sees("'perhaps' is neither yes nor no")
    it.answers("[yes]:", "yes")
    answers_stick(it, "repo/keys")
    it.sees("the keys lie in the repository")
    answers_stick(it, "")
    it.answers("New passphrase of root-1:", "")
    it.sees("an empty passphrase protects nothing")
    answers_stick(it, "")
    it.answers("New passphrase of root-1:", "one")
    it.answers("Once more:", "other")
    it.sees("the two passphrases differ")
    answers_stick(it, "")
    it.answers("New passphrase of root-1:", "one")
    it.answers("Once more:", "one")
    it.answers("Who holds root key 2?:", "Dora")
    it.answers("[yes]:", "no")
    for wrong, words in (
        ("nothing.pub", "there is no public key nothing.pub"),
        ("elsewhere/root-dora.pem", "is a private key, a public one was asked for"),
        ("keys/root-1.pub", "this is Ada's key"),
    ):
        it.answers("File with the public part of Dora's key:", wrong)
        it.sees(words)
    it.answers("File with the public part of Dora's key:", "elsewhere/root-dora.pub")
    it.answers("Shall they have a passphrase? yes or no [yes]:", "n")
    it.answers("[no]:", "")
    assert it.leaves() == 2
    assert "the key IDs were not confirmed" in it.seen
    assert "Traceback" not in it.seen


def test_holder_who_is_elsewhere_signs_a_copy(place, person, monkeypatch, capsys):
    monkeypatch.setenv("EDGE_PUBLISH_PASSPHRASE", "far away")
    assert main(["keys", "create", "root-dora", "--keys", "far"]) == 0
    assert main(["keys", "export-public", "root-dora", "--keys", "far", "--out", "dora.pub"]) == 0
    arguments = ("init", "repo", "--keys", "keys", "--ceremony", "--root-keys", "2", "--root-threshold", "2")
    it = person(*arguments)
    it.answers("Number of root keys [2]:", "")
    it.answers("How many of them must sign [2]:", "")
    makes_key(it, 1, "Ada", None)
    it.answers("Who holds root key 2?:", "Dora")
    it.answers("[yes]:", "no")
    it.answers("File with the public part of Dora's key:", "dora.pub")
    it.answers("Shall they have a passphrase? yes or no [yes]:", "no")
    it.answers("[no]:", "yes")
    signs(it, 1, "Ada")
    assert it.leaves() == 6
    out = (place / "out").read_text()
    assert "1 more of its keys must sign" in out
    assert out.splitlines()[-1].endswith("  Dora")
    assert not (place / "repo/metadata").exists()

    shutil.copy("repo.pending/1.root.json", "far")
    assert main(["root", "sign", "far/1.root.json", "--key", "far/root-dora.pem"]) == 0
    shutil.copy(capsys.readouterr().out.splitlines()[-1], "repo.pending")
    it = person(*arguments)
    assert it.leaves() == 0
    assert "The repository repo is ready" in (place / "out").read_text()
    assert "elsewhere" in (place / "out").read_text()


def test_ceremony_needs_a_terminal(place, capsys):
    assert main(["init", "repo", "--keys", "keys", "--ceremony"]) == 2
    assert "needs a terminal with people at it" in capsys.readouterr().err
