"""What a rule calls variants by, and which of them it means. Pure."""

from fnmatch import fnmatchcase

from edged.bundle.manifest import Variant


def is_meant(variant: Variant, selector: str) -> bool:
    """Tell whether a selector names a variant: by its precision (``int8``), its tier (``speed``), its id, or a pattern of its id."""
    return selector in {variant.precision, variant.tier, variant.id} or fnmatchcase(variant.id, selector)
