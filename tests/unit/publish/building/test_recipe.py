import pytest

from edged.errors import ManifestError, UsageError
from edged.publish.building.recipe import FIRST_EDGED, read_recipe
from tests.fakes.bundles import make_recipe


def problems_of(path):
    with pytest.raises(ManifestError) as caught:
        read_recipe(path)
    found = {}
    for problem in caught.value.problems:
        found[problem.pointer] = f"{found.get(problem.pointer, '')}{problem.expected}\n"
    return found


def test_recipe_has_defaults_for_what_seldom_differs(tmp_path):
    recipe = read_recipe(make_recipe(tmp_path))

    assert recipe.min_edged == FIRST_EDGED
    assert recipe.variants[0].format == "onnx"
    assert recipe.variants[0].runtime is None
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


@pytest.mark.parametrize(
    ("before", "after", "pointer", "advice"),
    [
        ("latency_ms = 1000.0", 'latency_ms = "1s"', "/variants/0/budget/latency_ms", "write 1000"),
        ("memory_bytes = 134217728", 'memory_bytes = "128 MiB"', "/variants/0/budget/memory_bytes", "write 134217728"),
        ("licence =", "license =", "/provenance", "did you mean 'licence'?"),
        ('op = "bytes_window@1"', 'op = "byte_window@1"', "/pipeline/pre/0/op", "did you mean 'bytes_window@1'?"),
        ('precision = "fp32"', 'precision = "float32"', "/variants/0/precision", "expected one of bf16, fp16, fp32"),
        ("targets = {", 'making = "x"\ntargets = {', "/variants/0", "'making' was unexpected"),
    ],
)
def test_a_mistake_is_told_with_what_to_write_instead(tmp_path, before, after, pointer, advice):
    path = make_recipe(tmp_path)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))

    assert advice in problems_of(path)[pointer]
