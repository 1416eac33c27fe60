"""A published tree is damaged in every way there is, one or several at a time; each is named with its place."""

import json
import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from edged.codec import encode_canonical
from edged.files import hash_file
from edged.ids import Version
from edged.ops.policy import Policy
from edged.ops.rollout import Next, Rollout, RolloutEntry
from edged.policy.document import PolicyFile
from edged.publish.fleet.rollout import start
from edged.publish.fleet.stop import stop_model
from edged.publish.keys.directory import Keyring
from edged.publish.repository.changing import Repository
from edged.publish.repository.documents import ROLLOUT, change_document
from edged.publish.repository.fleet import apply_floor, change_rollout, change_stops
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.roles import Expiry
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree
from edged.publish.verify.check import verify_place
from edged.publish.verify.findings import Report, compare_mirrors
from edged.publish.verify.places import DirectoryPlace
from tests.fakes.bundles import make_bundle
from tests.fakes.policies import SITE

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Two models, one of them with a file of more than one chunk; not to be changed."""
    place = tmp_path_factory.mktemp("published")
    keys = Keyring(directory=place / "keys")
    init_repository(place / "repo", keys, now=NOW, root_count=1, root_threshold=1)
    for name, version, padding in (("adder", "1.0.0", 1_500_000), ("adder", "1.1.0", 0), ("gauge", "1.0.0", 0)):
        bundle = make_bundle(place / "bundles", name=name, version=version, padding_bytes=padding)
        publish_bundle(place / "repo", bundle, keys, now=NOW)
    return place


@pytest.fixture
def place(published, tmp_path):
    shutil.copytree(published / "repo", tmp_path / "repo")
    shutil.copytree(published / "keys", tmp_path / "keys")
    return tmp_path


@pytest.fixture
def repo(place):
    return place / "repo"


@pytest.fixture
def root(published):
    return (published / "repo/metadata/1.root.json").read_bytes()


@pytest.fixture
def repository(place):
    return Repository(tree=Tree(place / "repo"), keys=Keyring(directory=place / "keys"), now=NOW)


@pytest.fixture
def look(repo, root):
    def look(*, now=NOW, is_deep=False):
        return verify_place(
            DirectoryPlace(repo), root, now=now, expiry=Expiry(), is_deep=is_deep, tell=lambda _line: None
        )

    return look


def errors(report):
    return [(finding.where, finding.what) for finding in report.findings if finding.severity == "error"]


def newest(repo, role):
    return max((repo / "metadata").glob(f"*.{role}.json"), key=lambda path: int(path.name.split(".")[0]))


def large_blob(repo):
    return max((path for path in (repo / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def in_repo(repo, path):
    return path.relative_to(repo).as_posix()


@pytest.mark.parametrize("is_deep", [False, True])
def test_a_repository_as_it_was_published_is_good(look, is_deep):
    report = look(is_deep=is_deep)

    assert report.is_good
    assert [finding.severity for finding in report.findings] == ["note"]  # rollouts that were replaced
    assert (report.counts.roles, report.counts.versions, report.counts.is_deep) == (8, 3, is_deep)
    assert report.counts.file_bytes > 1_500_000


def test_nothing_in_it_is_changed_by_looking(look, repo):
    before = {path: path.stat().st_mtime_ns for path in repo.rglob("*")}
    look(is_deep=True)

    assert {path: path.stat().st_mtime_ns for path in repo.rglob("*")} == before


def test_every_file_that_is_wrong_is_named_at_once(look, repo):
    blobs = sorted(path for path in (repo / "blobs").rglob("*") if path.is_file() and path != large_blob(repo))
    blobs[0].unlink()
    blobs[1].write_bytes(blobs[1].read_bytes() + b"x")
    [index] = (repo / "index").iterdir()
    index.write_bytes(index.read_bytes()[:-1] + b" ")

    found = dict(errors(look()))

    assert found.keys() == {in_repo(repo, path) for path in (blobs[0], blobs[1], index)}
    assert "is not there" in found[in_repo(repo, blobs[0])]
    assert "bytes" in found[in_repo(repo, blobs[1])]
    assert all(finding.advice for finding in look().findings if finding.severity == "error")


def test_bytes_that_changed_without_the_size_are_found_by_reading_them(look, repo):
    path = large_blob(repo)
    data = bytearray(path.read_bytes())
    data[700_000] ^= 1
    path.write_bytes(data)

    assert look().is_good
    assert errors(look(is_deep=True)) == [(in_repo(repo, path), "its bytes are not those that are signed")]


def test_a_missing_index_is_found(look, repo):
    [index] = (repo / "index").iterdir()
    index.unlink()

    assert [where for where, _ in errors(look())] == [in_repo(repo, index)]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_chain_that_breaks_at_the_top_is_the_only_thing_said(look, repo, role):
    path = repo / "metadata/timestamp.json" if role == "timestamp" else newest(repo, role)
    path.write_bytes(path.read_bytes().replace(b'"expires":"2', b'"expires":"3'))
    report = look()

    assert [where for where, _ in errors(report)] == ["metadata"]
    assert report.timestamp_version is None


def test_one_models_role_that_breaks_leaves_the_others_to_be_looked_at(look, repo):
    newest(repo, "m-adder").write_bytes(b"{}")
    [blob] = [p for p in (repo / "blobs").rglob("*") if p.is_file() and p.name == _first_blob_of(repo, "gauge")]
    blob.unlink()

    where = [where for where, _ in errors(look())]

    assert in_repo(repo, newest(repo, "m-adder")) in where
    assert in_repo(repo, blob) in where


def _first_blob_of(repo, model):
    [path] = (repo / f"targets/models/{model}/1.0.0").iterdir()
    return json.loads(path.read_bytes())["variants"][0]["files"][0]["sha256"]


def test_another_root_is_not_trusted(look, repo, tmp_path):
    keys = Keyring(directory=tmp_path / "other-keys")
    init_repository(tmp_path / "other", keys, now=NOW, root_count=1, root_threshold=1)
    root = (tmp_path / "other/metadata/1.root.json").read_bytes()
    report = verify_place(DirectoryPlace(repo), root, now=NOW, expiry=Expiry(), is_deep=False, tell=lambda _line: None)

    assert not report.is_good


def test_every_role_that_has_expired_is_named_not_only_the_first(look):
    expired = {finding.where for finding in look(now=NOW + timedelta(days=31)).findings if finding.severity == "error"}

    assert expired == {"timestamp", "snapshot", "ops"}


def test_what_expires_before_long_is_a_warning(look):
    report = look(now=NOW + timedelta(hours=20))

    assert report.is_good
    assert [finding.where for finding in report.findings if finding.severity == "warning"] == ["timestamp"]


def test_a_manifest_that_is_not_what_was_signed_is_found(look, repo):
    [path] = (repo / "targets/models/gauge/1.0.0").iterdir()
    path.write_bytes(path.read_bytes() + b" ")

    assert [where for where, _ in errors(look())] == ["models/gauge/1.0.0/manifest.json"]


def sign(repository, role, path, data):
    """Sign something that the publisher's tool would not."""

    def change(transaction):
        transaction.set_target(role, path, data)

    repository.change(change)


def test_signed_documents_that_no_device_can_read_are_found(look, repository):
    sign(repository, "ops", "ops/flags.json", b"[]")
    sign(repository, "m-gauge", "models/gauge/1.1.0/manifest.json", b"{}")
    sign(repository, "ops", "ops/weather.json", b"{}")
    report = look()

    assert [where for where, _ in errors(report)] == ["models/gauge/1.1.0/manifest.json", "ops/flags.json"]
    assert ("note", "ops/weather.json") in [(finding.severity, finding.where) for finding in report.findings]


def test_a_manifest_under_the_path_of_another_version_is_found(look, repository, repo):
    [path] = (repo / "targets/models/gauge/1.0.0").iterdir()
    sign(repository, "m-gauge", "models/gauge/2.0.0/manifest.json", path.read_bytes())

    assert errors(look()) == [("models/gauge/2.0.0/manifest.json", "it is the manifest of gauge 1.0.0")]


def test_a_rollout_has_to_fit_what_is_published(look, repository):
    models = {
        "adder": RolloutEntry(version="9.0.0"),
        "nobody": RolloutEntry(version="1.0.0"),
        "gauge": RolloutEntry(version="1.0.0"),
    }
    document = Rollout(schema=1, issued=(NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"), models=models)
    sign(repository, "ops", "ops/rollout.json", encode_canonical(document))

    found = dict(errors(look()))

    assert found.keys() == {"ops/rollout.json", "ops/rollout.json: adder", "ops/rollout.json: nobody"}
    assert "in the future" in found["ops/rollout.json"]
    assert found["ops/rollout.json: adder"] == "9.0.0 is not published"


def test_rules_that_devices_refuse_are_found(look, repository):
    rules = msgspec.convert(tomllib.loads(SITE.replace('variant = "int8" }\n', 'variant = "fp32" }\n')), PolicyFile)
    document = Policy(schema=1, issued=NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), rules=rules)
    sign(repository, "ops", "ops/policy.json", encode_canonical(document))

    ((where, what),) = errors(look())

    assert where == "ops/policy.json"
    assert what.startswith('devices refuse its rules: test "hot: int8": variant: expected fp32, got int8')


def test_a_rollout_below_the_floor_is_found(look, repository):
    def change(transaction):
        apply_floor(transaction, "adder", Version.parse("1.1.0"))
        change_document(transaction, ROLLOUT, lambda rollout, _: Rollout(
            schema=1, issued=rollout.issued, models={"adder": RolloutEntry(version="1.0.0")}))  # fmt: skip

    repository.change(change)

    assert errors(look()) == [("ops/rollout.json: adder", "1.0.0 is below the floor 1.1.0, and devices refuse it")]


def test_a_floor_that_no_version_reaches_is_found(look, repository):
    def change(transaction):
        role = transaction.state.targets["m-adder"]
        for file in role.targets.values():
            file.unrecognized_fields["custom"] = {"min_version": "7.0.0"}
        transaction.mark_changed("m-adder")

    repository.change(change)

    assert ("m-adder", "no published version reaches the floor 7.0.0, so no device can run the model") in errors(look())


def test_slips_are_warned_about(look, repository):
    def starting(entry, issued):
        return start(entry, Next(id="r", version="1.0.0", percent=1, since=issued, flag="go"))

    change_rollout(repository, "adder", starting)
    change_stops(
        repository,
        "adder",
        lambda stops, issued: stop_model(stops, "ader", reason="x", versions=(), action="refuse", since=issued),
    )
    report = look()

    assert report.is_good
    assert [finding.where for finding in report.findings if finding.severity == "warning"] == [
        "ops/rollout.json: adder",
        "stop/stop.json: ader",
    ]


def test_what_nothing_refers_to_is_a_note(look, repo):
    (repo / "blobs/aa").mkdir(exist_ok=True)
    (repo / "blobs/aa" / ("a" * 64)).write_bytes(b"left over")
    (repo / "README").write_text("ours")
    report = look()

    assert report.is_good
    notes = {finding.where: finding.what for finding in report.findings if finding.severity == "note"}
    assert notes.keys() == {"targets", "blobs", "the top directory"}
    assert notes["blobs"].startswith("a file, 9 bytes, is referred to by nothing in force, blobs/aa/aaaa")


def test_a_mirror_that_is_behind_is_found(look, repo, repository, root, tmp_path):
    shutil.copytree(repo, tmp_path / "mirror")
    state = read_state(repository.tree)
    sign(repository, "ops", "ops/weather.json", b"{}")
    reports = [look(), verify_place(
        DirectoryPlace(tmp_path / "mirror"), root, now=NOW, expiry=Expiry(), is_deep=False, tell=lambda _line: None
    )]  # fmt: skip
    assert all(report.is_good for report in reports)

    compare_mirrors(reports)

    assert [report.is_good for report in reports] == [True, False]
    version = state.timestamp.version
    assert errors(reports[1]) == [
        (
            "metadata/timestamp.json",
            f"it is behind: its timestamp is version {version}, {repo} has {version + 1}",
        )
    ]


def test_places_that_cannot_be_trusted_are_no_measure_for_others():
    reports = [Report(place="a", timestamp_version=3), Report(place="b")]
    compare_mirrors(reports)

    assert [report.findings for report in reports] == [[], []]


def test_sizes_are_those_of_the_signed_files(look, published):
    report = look()
    blobs = [path for path in (published / "repo/blobs").rglob("*") if path.is_file()]

    assert report.counts.files == len(blobs)
    assert report.counts.file_bytes == sum(hash_file(Path(path))[1] for path in blobs)
