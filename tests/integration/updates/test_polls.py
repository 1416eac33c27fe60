"""Polls against a real repository on a real web server, through the real gate: what is staged, and what each trouble is called."""

import pytest

from edged.bundle.read import verify_files
from edged.errors import (
    FileMissingError,
    IncompatibleError,
    PortalError,
)
from edged.update.protocol.messages import Trusted
from edged.update.protocol.phases import Phase
from tests.fakes.repositories import make_files, make_manifest, some_model
from tests.fakes.static_host import Fault
from tests.fakes.updates import THREE_CHUNKS, blob_path, bundle_of


def test_poll_stages_what_the_rollout_names(it, publisher):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    publisher.release("2.0.0", name="other")

    summary = it.poll()

    assert summary.staged == ("demo 1.0.0", "other 2.0.0")
    assert not summary.undone
    bundle = bundle_of(it)
    assert bundle.manifest == manifest
    verify_files(bundle, manifest.files_for(manifest.variants))
    assert list(it.layout.partial.iterdir()) == []


def test_poll_without_news_fetches_two_small_files(it, publisher, web):
    """The next root, which is not there, and the timestamp; on the connection that is open already."""
    publisher.release("1.0.0")
    it.poll()
    web.requests.clear()

    assert it.poll().staged == ()

    assert web.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert web.connections == 1


def test_phases_are_reported_in_order_with_all_bytes(it, publisher):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    it.poll()

    phases = [phase for phase, _ in it.reports]
    assert list(dict.fromkeys(phases)) == [Phase.POLLING, Phase.DOWNLOADING, Phase.STAGING]
    received = [progress.received_bytes for _, progress in it.reports if progress]
    total = sum(entry.size for entry in manifest.files_for(manifest.variants))
    assert received == sorted(received)
    assert received[-1] == total


def test_light_refresh_brings_documents_and_says_which_blobs_are_wanted(it, publisher, web):
    """It may run beside one that brings bundles, so it touches nothing that this one works on."""
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    milestones = []

    summary = it.refresh.run(it.reports, tell=milestones.append, brings_bundles=False)

    assert set(summary.wanted) == {entry.digest for entry in manifest.files_for(manifest.variants)}
    assert it.layout.rollout.is_file()
    assert not any(path.startswith(("blobs/", "index/")) for path in web.paths())
    assert [list(place.iterdir()) for place in (it.layout.partial, it.layout.bundles, it.layout.blobs)] == [[], [], []]
    assert [type(milestone) for milestone in milestones] == [Trusted]


def test_blobs_that_are_wanted_are_not_told_while_a_manifest_is_missing(it, publisher, web):
    """Then a download that runs is not ended for it."""
    publisher.release("1.0.0")
    publisher.release("1.0.0", name="other")
    web.faults[publisher.metadata("m-other")] = Fault(status=404)

    assert it.refresh.run(it.reports, brings_bundles=False).wanted is None


def test_only_files_this_machine_can_use_are_fetched(make_device, publisher, web):
    files = {**make_files(), "small.onnx": some_model(500, "small")}
    manifest = make_manifest(files)
    publisher.publish(manifest, files)

    with make_device(usable=lambda m: [v for v in m.variants if v.precision == "int8"]) as it:
        it.poll()
        assert [v.precision for v in bundle_of(it).variants] == ["int8"]
    assert blob_path(manifest) not in web.paths()

    with make_device() as it:
        assert it.poll().staged == ("demo 1.0.0",)
        assert [v.precision for v in bundle_of(it).variants] == ["fp32", "int8"]


def test_rolling_back_needs_no_download(it, publisher, web):
    """The rollout document is kept before anything else is fetched."""
    publisher.release("1.0.0")
    it.poll()
    first = it.layout.rollout.read_bytes()
    publisher.release("1.1.0")
    web.faults[publisher.metadata("m-demo")] = Fault(status=404)

    it.poll()

    assert it.layout.rollout.read_bytes() != first
    assert it.installed() == ["demo/1.0.0"]


def test_bundle_for_a_newer_edged_does_not_stop_the_others(it, publisher):
    files = make_files()
    publisher.publish(make_manifest(files, min_edged="99.0.0"), files)
    publisher.release("1.0.0", name="other")

    summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    (failure,) = summary.undone
    assert isinstance(failure.error, IncompatibleError)
    assert "needs edged 99.0.0" in failure.error.message


def test_bundle_without_a_usable_variant_does_not_stop_the_others(make_device, publisher):
    publisher.release("1.0.0")
    publisher.release("1.0.0", name="other")

    with make_device(usable=lambda m: m.variants if m.name == "other" else []) as it:
        summary = it.poll()

    assert summary.staged == ("other 1.0.0",)
    assert isinstance(summary.undone[0].error, IncompatibleError)


def test_captive_portal_is_named(it, publisher, web):
    publisher.release("1.0.0")
    portal = Fault(body=b"<html>Welcome to our network</html>", content_type="text/html")
    web.faults["metadata/2.root.json"] = web.faults["metadata/timestamp.json"] = portal

    with pytest.raises(PortalError, match="text/html") as caught:
        it.poll()

    assert "captive portal" in caught.value.hint


def test_portal_that_hides_its_kind_is_not_believed(it, publisher, web):
    publisher.release("1.0.0")
    web.faults["metadata/2.root.json"] = Fault(body=b"<html>Welcome</html>")

    with pytest.raises(PortalError, match="a page"):
        it.poll()


def test_repository_that_is_not_there_is_named(it, publisher, web):
    publisher.release("1.0.0")
    web.faults["metadata/timestamp.json"] = Fault(status=404)

    with pytest.raises(FileMissingError) as caught:
        it.poll()

    assert "repository.url" in caught.value.hint


def test_file_that_the_disk_changed_is_fetched_again(make_device, publisher):
    """Whatever its size: bundles are hashed again when the updater starts, and then once a day."""
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
        entry = bundle_of(it).manifest.variants[0].files[0]
        path = bundle_of(it).directory / entry.path
    path.chmod(0o644)
    path.write_bytes(bytes(entry.size))

    with make_device() as it:
        assert it.poll().staged == ("demo 1.0.0",)
        verify_files(bundle_of(it), [entry])
        assert it.poll().staged == ()


def test_host_that_redirects_one_file_does_not_stop_the_other_models(it, publisher, web):
    first = publisher.release("1.0.0", name="aaa")
    publisher.release("1.0.0", name="zzz")
    web.faults[blob_path(first)] = Fault(status=302)

    summary = it.poll()

    assert summary.staged == ("zzz 1.0.0",)
    assert [one.subject for one in summary.undone] == ["aaa 1.0.0"]
