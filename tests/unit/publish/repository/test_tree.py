import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from edged.errors import BundleError, StoreError, UnavailableError
from edged.files import hash_bytes
from edged.publish.repository.tree import NS_PER_S, Tree


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "repo")


def test_immutable_file_is_written_once(tree):
    assert tree.add("a/b/file", b"x") is True
    assert tree.add("a/b/file", b"x") is False
    assert tree.read("a/b/file") == b"x"


def test_immutable_file_never_changes(tree):
    """Caches between host and device keep these for ever; other bytes under the same name would reach some devices and not others."""
    tree.add("file", b"x")
    with pytest.raises(StoreError, match="exists with other content"):
        tree.add("file", b"y")

    assert tree.read("file") == b"x"


def test_copy_is_what_the_digest_says(tree, tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    digest = hash_bytes(b"x" * 3_000_000)

    assert tree.add_copy("blobs/file", tmp_path / "source", digest) is True
    assert tree.add_copy("blobs/file", tmp_path / "source", digest) is False
    assert tree.read("blobs/file") == b"x" * 3_000_000


def test_source_that_changed_is_not_published(tree, tmp_path):
    (tmp_path / "source").write_bytes(b"other")
    with pytest.raises(BundleError, match="changed while it was being published"):
        tree.add_copy("blobs/file", tmp_path / "source", hash_bytes(b"x"))

    assert [p for p in tree.root.rglob("*") if p.is_file()] == []


def test_damaged_blob_is_not_taken_for_published(tree, tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    tree.add("blobs/file", b"damaged")

    with pytest.raises(StoreError, match="exists with other content"):
        tree.add_copy("blobs/file", tmp_path / "source", hash_bytes(b"x"))


def test_replaced_file_gets_another_second_each_time(tree):
    """Nginx makes ETags of whole seconds and size, so a changed file of the same length must not keep its second."""
    seconds = set()
    for content in (b"a", b"b", b"c"):
        tree.replace("timestamp.json", content)
        seconds.add((tree.root / "timestamp.json").stat().st_mtime_ns // NS_PER_S)

    assert len(seconds) == 3
    assert tree.read("timestamp.json") == b"c"


def test_two_publishers_do_not_write_at_once(tree):
    with (
        tree.locked(),
        pytest.raises(UnavailableError, match="another edge-publish"),
        Tree(tree.root, patience_s=0).locked(),
    ):
        pass
    with (
        tree.working(),
        pytest.raises(UnavailableError, match="another edge-publish"),
        Tree(tree.root).working(),
    ):
        pass
    with Tree(tree.root).locked(), Tree(tree.root).working():
        pass


def test_short_work_of_another_publisher_is_waited_for(tree):
    """A timer that signs the timestamp anew must not keep anybody from stopping a model."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        with tree.locked():
            waiting = pool.submit(lambda: hold(Tree(tree.root)))
            assert not waiting.done()
        assert waiting.result(timeout=30) == "held"


def hold(tree):
    with tree.locked():
        return "held"


def test_lock_clears_away_what_a_killed_publisher_left(tree):
    tree.add("blobs/aa/file", b"x")
    tree.add("targets/ops/file", b"x")
    torn = {"blobs": tree.root / "blobs/aa/.other.new", "targets": tree.root / "targets/ops/.other.new"}
    for path in torn.values():
        path.write_bytes(b"half")
    (tree.root / ".notes.new").write_bytes(b"of somebody else")
    with tree.locked():
        assert not torn["targets"].exists()
        # Another publisher may be writing it.
        assert torn["blobs"].exists()
    with tree.working():
        assert not torn["blobs"].exists()
        assert (tree.root / ".notes.new").exists()

    assert tree.read("blobs/aa/file") == b"x"


def test_directories_are_readable_whatever_the_umask_is(tree):
    """A web server runs as another user."""
    before = os.umask(0o077)
    try:
        tree.add("a/b/file", b"x")
    finally:
        os.umask(before)

    assert {(tree.root / name).stat().st_mode & 0o777 for name in (".", "a", "a/b")} == {0o755}
    assert (tree.root / "a/b/file").stat().st_mode & 0o777 == 0o644
