import pytest

from edged.errors import ManifestError, UsageError
from edged.publish.recipe import FIRST_EDGED, read_recipe
from tests.fakes.bundles import make_recipe


def problems_of(path):
    with pytest.raises(ManifestError) as caught:
        read_recipe(path)
    return {problem.pointer: problem.expected for problem in caught.value.problems}


def test_recipe_has_defaults_for_what_seldom_differs(tmp_path):
    recipe = read_recipe(make_recipe(tmp_path))

    assert recipe.min_edged == FIRST_EDGED
    assert recipe.variants[0].format == "onnx"
    assert recipe.variants[0].runtime.version == ">=1.20,<2"
    assert recipe.variants[0].arch == "any"


def test_all_problems_of_a_recipe_are_listed_at_once(tmp_path):
    recipe = make_recipe(tmp_path)
    text = recipe.read_text()
    text = (
        text.replace('"adder"', '"Adder"')
        .replace('tier = "quality"', 'tier = "best"')
        .replace("memory_bytes", "memory")
    )
    recipe.write_text(text.replace('licence = "Apache-2.0"', "surprise = 1"))

    assert set(problems_of(recipe)) == {"/name", "/variants/0/tier", "/variants/0/budget", "/provenance"}


@pytest.mark.parametrize("data", [b"name = ", b"\xff", b"a = 1\na = 2", b"[" * 5000, b"a = 2024-02-31"])
def test_what_is_not_toml_is_one_problem(tmp_path, data):
    (tmp_path / "recipe.toml").write_bytes(data)

    assert list(problems_of(tmp_path / "recipe.toml")) == [""]


def test_huge_recipe_is_refused(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(b"#" * (1 << 20) + b"#")

    assert "at most" in problems_of(tmp_path / "recipe.toml")[""]


def test_missing_recipe_is_a_usage_error(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="cannot read the recipe"):
            read_recipe(path)
