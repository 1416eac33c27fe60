"""Which word was meant by one that there is not: a guess, for people."""

from collections.abc import Iterable


def nearest(found: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like another one; None when none is like it."""
    # Imported here: services whose documents are right never guess, and have 0.2 MB less without it.
    from difflib import get_close_matches  # noqa: PLC0415 - see above

    return next(iter(get_close_matches(found, list(known), n=1)), None)
