"""What the variants of a recipe are called. Pure.

An id is NAME-VERSION-PRECISION-ARCH, where ARCH is ``any`` for more than one architecture; then the format, unless it is ONNX. Where that
is the same for several variants, those go on with what they ask of a machine beyond that (CPU features, accelerators other than the CPU),
and where that is the same, too, with their tier.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from edged.errors import Problem
from edged.publish.building.recipe import Recipe, RecipeVariant


def variant_ids(recipe: Recipe) -> list[str]:
    """Return the ids of a recipe's variants, in their order."""
    bundle = f"{recipe.name}-{recipe.version}"
    ids = [_joined(bundle, v.precision, v.arch, "" if v.format == "onnx" else v.format) for v in recipe.variants]
    for more in (_demands, lambda variant: variant.tier):
        ids = [
            _joined(name, more(variant)) if times > 1 else name
            for name, times, variant in zip(ids, _times(ids), recipe.variants, strict=True)
        ]
    return ids


def same_names(recipe: Recipe) -> Iterator[Problem]:
    """Yield a problem for each variant that differs from an earlier one in nothing that a name can tell."""
    ids = variant_ids(recipe)
    for i, name in enumerate(ids):
        if name in ids[:i]:
            yield Problem(
                pointer=f"/variants/{i}",
                expected=f"expected something that tells it from /variants/{ids.index(name)}: precision, architecture, format, CPU features"
                " or tier",
                found=name,
            )


def _demands(variant: RecipeVariant) -> str:
    accelerators = [name for name in variant.targets.accelerators if "cpu" not in variant.targets.accelerators]
    return _joined(*variant.targets.cpu_features, *accelerators)


def _joined(*parts: str) -> str:
    return "-".join(part for part in parts if part)


def _times(names: Sequence[str]) -> list[int]:
    counts = Counter(names)
    return [counts[name] for name in names]
