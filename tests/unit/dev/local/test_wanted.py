"""A model that cannot be served is refused by name, with advice, before anything is started."""

import os

import pytest

from edged.codec import encode_canonical
from edged.dev.local.wanted import read_wanted
from edged.errors import UsageError
from edged.ops.rollout import Rollout, RolloutEntry
from edged.store.layout import StoreLayout


@pytest.fixture
def layout(tmp_path):
    return StoreLayout(tmp_path / "store")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gauge.onnx"
    path.write_bytes(b"a model")
    return path


def refusal(given, layout):
    with pytest.raises(UsageError) as told:
        read_wanted(given, layout=layout)
    assert told.value.hint
    return told.value.message


@pytest.mark.parametrize("name", ["Gauge", "", "-gauge", "a/b", "g" * 64])
def test_a_name_that_no_model_may_have(name, file, layout):
    assert "cannot be a model's name" in refusal([(name, str(file))], layout)


def test_a_name_that_is_given_twice(file, layout):
    assert refusal([("gauge", str(file)), ("gauge", str(file))], layout) == "--model names gauge twice"


def test_a_name_that_the_repository_has(file, layout):
    layout.ops.mkdir(parents=True)
    models = {"gauge": RolloutEntry(version="1.0.0")}
    layout.rollout.write_bytes(encode_canonical(Rollout(schema=1, issued="2026-11-22T10:00:00Z", models=models)))

    assert "has a model gauge" in refusal([("gauge", str(file))], layout)
    assert read_wanted([("other", str(file))], layout=layout)


@pytest.mark.parametrize("name", ["missing.onnx", "missing/gauge.onnx", "gauge.onnx/manifest.json"])
def test_a_file_that_is_not_there(name, file, layout):
    assert "cannot read" in refusal([("gauge", str(file.parent / name))], layout)


def test_a_directory_that_is_no_bundle(tmp_path, layout):
    assert "is no bundle" in refusal([("gauge", str(tmp_path))], layout)


def test_what_is_no_file_is_not_even_opened(tmp_path, layout):
    """Opening a pipe would wait for somebody who writes."""
    os.mkfifo(tmp_path / "pipe")

    assert "is no file" in refusal([("gauge", str(tmp_path / "pipe"))], layout)


def test_a_link_that_points_to_another_file_is_a_change(file, layout):
    link = file.with_name("newest.onnx")
    link.symlink_to(file)
    (wanted,) = read_wanted([("gauge", str(link))], layout=layout)
    before = wanted.stamp()

    other = file.with_name("other.onnx")
    other.write_bytes(b"another model")
    link.unlink()
    link.symlink_to(other)

    assert wanted.stamp() not in {before, None}


def test_a_recipe_is_to_be_built_first(tmp_path, layout):
    with pytest.raises(UsageError, match="is a recipe") as told:
        read_wanted([("gauge", str(tmp_path / "gauge.toml"))], layout=layout)

    assert "edge-publish bundle build gauge.toml" in told.value.hint


def test_a_file_is_found_wherever_it_is_named_from(file, layout, monkeypatch):
    monkeypatch.chdir(file.parent)

    (wanted,) = read_wanted([("gauge", "gauge.onnx")], layout=layout)

    assert wanted.source == file


def test_a_changed_file_has_another_stamp(file, layout):
    (wanted,) = read_wanted([("gauge", str(file))], layout=layout)
    before = wanted.stamp()
    assert before == wanted.stamp() is not None

    file.write_bytes(b"a larger model")
    changed = wanted.stamp()
    file.unlink()

    assert changed not in {before, None}
    assert wanted.stamp() is None


def test_a_bundle_changes_with_what_pins_its_files(tmp_path, layout):
    (tmp_path / "b").mkdir()
    manifest = tmp_path / "b/manifest.json"
    manifest.write_bytes(b"{}")
    (wanted,) = read_wanted([("gauge", str(tmp_path / "b"))], layout=layout)
    before = wanted.stamp()

    manifest.write_bytes(b'{"a": 1}')

    assert wanted.stamp() not in {before, None}
