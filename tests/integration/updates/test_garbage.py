"""What a refresh does about versions that the rollout no longer names: those in use are looked after, the others make room."""

import pytest

from edged.bundle.read import read_bundle, verify_files
from edged.ids import ModelName, Version
from edged.store.in_use import write_in_use
from edged.update.refresh.bundles import StoreRules
from tests.fakes.updates import bundle_of

MODEL = ModelName("demo")


@pytest.fixture
def in_use(tmp_path):
    """The daemon's document; a test says what it uses."""
    path = tmp_path / "in-use.json"

    def say(*versions):
        write_in_use(path, {MODEL: frozenset(map(Version.parse, versions))})

    say.path = path
    return say


@pytest.fixture
def it(make_device, in_use):
    with make_device(rules=StoreRules(in_use=in_use.path, keep_versions=1, disk_reserve_bytes=0)) as made:
        yield made


def release(it, publisher, *versions):
    for version in versions:
        publisher.release(version)
        assert it.poll().staged == (f"demo {version}",)


def is_whole(it, version):
    bundle = read_bundle(it.layout.bundle(MODEL, Version.parse(version)))
    verify_files(bundle, bundle.manifest.files_for(bundle.manifest.variants))
    return True


def test_refresh_removes_what_nobody_needs_and_spares_what_is_configured(it, publisher, in_use):
    in_use("1.0.0")
    release(it, publisher, "1.0.0", "1.1.0", "1.2.0", "1.3.0")
    in_use("1.3.0", "1.0.0")

    it.poll()

    assert it.installed() == ["demo/1.0.0", "demo/1.2.0", "demo/1.3.0"]


def test_refresh_removes_nothing_while_the_daemon_says_nothing(it, publisher):
    release(it, publisher, "1.0.0", "1.1.0", "1.2.0")

    it.poll()

    assert it.installed() == ["demo/1.0.0", "demo/1.1.0", "demo/1.2.0"]


def test_file_that_the_disk_changed_in_the_version_to_fall_back_to_is_mended(it, publisher, in_use, web):
    """Nothing loads it, so nobody else would notice before it is needed."""
    release(it, publisher, "1.0.0", "1.1.0")
    in_use("1.0.0", "1.1.0")
    path = bundle_of(it, "1.0.0").directory / "model.onnx"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    web.requests.clear()

    it.refresh.make_bundles().checked_unix_s.clear()
    summary = it.poll()

    assert summary.staged == ("demo 1.0.0",)
    assert not summary.undone
    assert is_whole(it, "1.0.0")
    assert len([request for request in web.paths() if request.startswith("blobs/")]) == 1


def test_version_in_use_that_the_repository_no_longer_has_is_left_as_it_is(it, publisher, in_use, web):
    """It goes on being used; that nobody can mend it any more is no failure of the update."""
    release(it, publisher, "1.0.0", "1.1.0")
    in_use("0.9.0", "1.1.0")

    summary = it.poll()

    assert (summary.staged, summary.undone) == ((), ())
    assert it.installed() == ["demo/1.0.0", "demo/1.1.0"]
