import pytest

from edged.publish.building.naming import same_names, variant_ids
from edged.publish.building.recipe import Recipe, RecipeVariant, read_recipe
from tests.fakes.bundles import make_recipe


def recipe_of(tmp_path, *variants) -> Recipe:
    import msgspec

    base = read_recipe(make_recipe(tmp_path))
    made = []
    for changes in variants:
        targets = {"arch": changes.pop("arch", ["amd64", "arm64"])} | changes.pop("targets", {})
        document = {
            "model": "adder.onnx", "tier": "quality", "precision": "fp32", "targets": targets,
            "budget": {"latency_ms": 1.0, "memory_bytes": 1},
        } | changes  # fmt: skip
        made.append(msgspec.convert(document, RecipeVariant))
    return msgspec.structs.replace(base, variants=tuple(made))


@pytest.mark.parametrize(
    ("variants", "ids"),
    [
        ([{}], ["fp32-any"]),
        ([{"arch": ["arm64"]}, {"precision": "int8", "arch": ["amd64"]}], ["fp32-arm64", "int8-amd64"]),
        ([{}, {"format": "openvino"}], ["fp32-any", "fp32-any-openvino"]),
        ([{}, {"targets": {"cpu_features": ["dotprod"]}}], ["fp32-any", "fp32-any-dotprod"]),
        (
            [
                {"targets": {"cpu_features": ["avx2", "vnni"]}},
                {"targets": {"accelerators": ["gpu"]}},
                {"targets": {"accelerators": ["gpu", "cpu"]}},
            ],
            ["fp32-any-avx2-vnni", "fp32-any-gpu", "fp32-any"],
        ),
        ([{}, {"tier": "speed"}], ["fp32-any-quality", "fp32-any-speed"]),
        ([{"targets": {"cpu_features": ["fma"]}}], ["fp32-any"]),
    ],
)
def test_ids_say_as_much_as_it_takes_to_tell_variants_apart(tmp_path, variants, ids):
    recipe = recipe_of(tmp_path, *variants)

    assert variant_ids(recipe) == [f"adder-1.0.0-{name}" for name in ids]
    assert list(same_names(recipe)) == []


def test_variants_that_nothing_tells_apart_are_refused(tmp_path):
    (problem,) = same_names(recipe_of(tmp_path, {}, {"precision": "int8"}, {}))

    assert problem.pointer == "/variants/2"
    assert "tells it from /variants/0" in problem.expected
