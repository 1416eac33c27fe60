import json
import shutil

import pytest

from edged.bundle.kit import Kit
from edged.bundle.parse import parse_manifest
from edged.codec import decode_json
from edged.errors import BundleError, ManifestError, ModelLoadError, UnsafeModelError, UsageError
from edged.files import hash_bytes
from edged.publish.building.build import build_bundle
from tests.fakes.bundles import SAMPLES, adder_model, make_recipe


def build(recipe, out, **options):
    return build_bundle(recipe, out, report=lambda _line: None, **options)


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def problems_of(recipe, out):
    with pytest.raises(ManifestError) as caught:
        build(recipe, out)
    return {problem.pointer for problem in caught.value.problems}


@pytest.fixture
def recipe(tmp_path):
    return make_recipe(tmp_path / "sources")


def test_manifest_describes_the_files_beside_it(adder):
    manifest = parse_manifest((adder / "manifest.json").read_bytes(), source="manifest")

    assert {e.path: e.sha256 for e in manifest.files_for(manifest.variants)} == {
        path: hash_bytes(data) for path, data in contents(adder).items() if path != "manifest.json"
    }


def test_tensors_are_read_from_the_model(adder):
    variant = parse_manifest((adder / "manifest.json").read_bytes(), source="manifest").variants[0]

    assert [(spec.name, spec.dtype, spec.shape) for spec in variant.inputs] == [("window", "INT32", (1, 8))]
    assert [(spec.name, spec.dtype, spec.shape) for spec in variant.outputs] == [("sum", "FP32", (1, 1))]


def test_variant_id_names_precision_and_architecture(adder, recipe, tmp_path):
    assert json.loads((adder / "manifest.json").read_bytes())["variants"][0]["id"] == "adder-1.0.0-fp32-any"

    recipe.write_text(recipe.read_text().replace('["amd64", "arm64"]', '["arm64"]'))
    built = build(recipe, tmp_path)
    assert json.loads((built / "manifest.json").read_bytes())["variants"][0]["id"] == "adder-1.0.0-fp32-arm64"


def test_kit_names_its_samples_by_their_paths_in_the_bundle(adder):
    kit = decode_json(Kit, (adder / "kit/kit.json").read_bytes(), source="kit")

    assert {s.input: (adder / s.input).read_bytes() for s in kit.samples} == {
        f"kit/samples/{n}": d for n, d in SAMPLES.items()
    }


def test_kit_may_be_named_by_its_document(recipe, adder, tmp_path):
    recipe.write_text(recipe.read_text().replace('kit = "kit"', 'kit = "kit/kit.json"'))

    built, before = contents(build(recipe, tmp_path)), contents(adder)
    for path in built.keys() - {"manifest.json", "sbom.cdx.json"}:  # they have the recipe's digest
        assert built[path] == before[path]


def test_same_recipe_and_files_give_same_bytes(recipe, adder, tmp_path):
    for path in (tmp_path / "sources").rglob("*"):
        path.touch()

    assert contents(build(recipe, tmp_path / "again", built_unix_s=None)) == contents(adder)


def test_building_again_replaces_the_bundle_and_leaves_nothing_else(recipe, tmp_path):
    built = build(recipe, tmp_path / "out")
    (built / "left-over").write_text("x")
    build(recipe, tmp_path / "out")

    assert [p.name for p in (tmp_path / "out").iterdir()] == ["adder-1.0.0"]
    assert not (built / "left-over").exists()


def test_directory_that_is_no_bundle_is_not_replaced(recipe, tmp_path):
    (tmp_path / "out/adder-1.0.0").mkdir(parents=True)
    (tmp_path / "out/adder-1.0.0/thesis.txt").write_text("irreplaceable")
    with pytest.raises(UsageError, match="is in the way"):
        build(recipe, tmp_path / "out")

    assert (tmp_path / "out/adder-1.0.0/thesis.txt").exists()


def test_everything_that_is_missing_is_listed_at_once(recipe, tmp_path):
    recipe.write_text(
        recipe.read_text().replace('"adder.onnx"', '"absent.onnx"')
        + '[[files]]\nsource = "absent.txt"\npath = "labels.txt"\nrole = "labels"\n'
    )
    (tmp_path / "sources/kit/samples/one.bin").unlink()

    assert problems_of(recipe, tmp_path / "out") == {"/variants/0/model", "/files/0/source", "/validation/kit"}


@pytest.mark.parametrize("path", ["manifest.json", "sbom.cdx.json", "kit/kit.json", "kit/samples/one.bin/x", "models"])
def test_two_files_cannot_have_one_place(recipe, tmp_path, path):
    extra = f'[[files]]\nsource = "adder.onnx"\npath = "{path}"\nrole = "document"\n'
    recipe.write_text(recipe.read_text() + extra)

    assert problems_of(recipe, tmp_path / "out") <= {"/files/0/source", "/variants/0/model", "/validation/kit"}


@pytest.mark.parametrize("kit", [b"", b"{}", b'{"schema": 1, "reference": "x", "samples": []}'])
def test_problems_of_the_kit_name_the_kit(recipe, tmp_path, kit):
    (tmp_path / "sources/kit/kit.json").write_bytes(kit)
    with pytest.raises(ManifestError, match=r"kit/kit\.json"):
        build(recipe, tmp_path / "out")


def test_missing_kit_is_a_problem_of_the_recipe(recipe, tmp_path):
    shutil.rmtree(tmp_path / "sources/kit")

    assert problems_of(recipe, tmp_path / "out") == {"/validation/kit"}


def test_rules_between_recipe_and_model_are_checked(recipe, tmp_path):
    recipe.write_text(recipe.read_text().replace('output = "window"', 'output = "other"'))

    assert problems_of(recipe, tmp_path / "out") == {"/variants/0/inputs/0/name"}
    assert list((tmp_path / "out").iterdir()) == []


def test_unsafe_model_is_refused_before_it_is_loaded(recipe, tmp_path):
    """ONNX Runtime up to 1.21 follows references out of a model file, so it never sees one that has any."""
    (tmp_path / "sources/adder.onnx").write_bytes(adder_model().replace(b"Cast", b"Cust", 1)[:-3])
    with pytest.raises((UnsafeModelError, ModelLoadError)):
        build(recipe, tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_model_with_an_operator_nobody_has_cannot_be_loaded(recipe, tmp_path):
    (tmp_path / "sources/adder.onnx").write_bytes(adder_model().replace(b"ReduceMax", b"ReduceMex"))

    with pytest.raises(ModelLoadError, match="ONNX Runtime cannot load"):
        build(recipe, tmp_path / "out")


def test_a_kit_no_device_would_run_is_not_built(recipe, tmp_path):
    path = recipe.parent / "kit/kit.json"
    path.write_text(path.read_text().replace('"FP32"', '"INT32"'))

    with pytest.raises(BundleError, match=r"kit: empty\.bin: golden sum: is INT32, the pipeline gives FP32"):
        build(recipe, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("least", "is_noted"), [(2 << 30, True), (1900 << 20, False), (0, False)])
def test_asking_for_the_memory_a_machine_is_sold_with_is_noted(recipe, tmp_path, least, is_noted):
    """A machine sold with 2 GiB reports 1.8 to 1.95 of them, and would not get a variant that asks for 2."""
    recipe.write_text(recipe.read_text().replace('"arm64"] }', f'"arm64"], min_memory_bytes = {least} }}'))
    lines = []
    build_bundle(recipe, tmp_path / "out", report=lines.append)

    assert (
        any("asks for 2.0 GiB of memory; machines sold with that much report less" in line for line in lines)
        is is_noted
    )
