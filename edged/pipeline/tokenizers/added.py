"""Tokens that are found in a text as they are, before anything divides it: the special ones, and others that were added to a vocabulary.

Whoever writes a text may write special tokens into it; they count as what they are, as they did in training.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from edged.pipeline.tokenizers.document import AddedToken, Vocabulary, unsupported
from edged.pipeline.tokenizers.normalizers import Normalize
from edged.pipeline.tokenizers.unicode import WHITE_SPACE

Find = Callable[[str], Iterator[str | int]]
"""Gives a text's parts in order: texts, none of them empty, and the ids of the tokens between them."""

_SPACE: Final = re.compile(f"[{WHITE_SPACE}]*")


def check_added(tokens: Sequence[AddedToken], vocabulary: Vocabulary, path: str) -> None:
    """Check that each token has the id that it gets when the file is read by those who wrote it.

    A token of the vocabulary keeps its id; others are numbered from the end of the vocabulary on, or from the last such token.

    Raises:
        BundleError: One has another, is found between words only, or begins with white space that the token before it may take.
    """
    last = len(vocabulary) - 1
    for i, token in enumerate(tokens):
        if (known := vocabulary.get(token.content)) is None:
            known = last + 1
        if token.id != known:
            raise unsupported(path, f"/added_tokens/{i}/id", f"expected {known}, got {token.id}")
        last = max(last, known)
        if token.single_word:
            raise unsupported(path, f"/added_tokens/{i}/single_word", "expected false, got true")
        if token.content[0] in WHITE_SPACE and any(other.rstrip for other in tokens):
            raise unsupported(
                path, f"/added_tokens/{i}/content", f"expected no white space in front, got {token.content!r}"
            )


def finder_of(tokens: Sequence[AddedToken], normalize: Normalize) -> Find:
    """Return what finds tokens: first those that are looked for in the text as it is, then, in what is between them, the others.

    Args:
        tokens: All of them.
        normalize: Is done in between, to the texts and to the contents of the others.
    """
    raw = _finder({token.content: token for token in tokens if not token.normalized})
    normalized = _finder({normalize(token.content): token for token in tokens if token.normalized})

    def find(text: str) -> Iterator[str | int]:
        for part in raw(text):
            if isinstance(part, int):
                yield part
            else:
                yield from normalized(normalize(part))

    return find


def _finder(tokens: dict[str, AddedToken]) -> Find:
    """Find the leftmost and longest ones, with the white space that belongs to them."""
    tokens.pop("", None)
    if not tokens:
        return lambda text: iter((text,) if text else ())
    names = "|".join(re.escape(content) for content in sorted(tokens, key=len, reverse=True))
    pattern = re.compile(names)

    def find(text: str) -> Iterator[str | int]:
        end = 0
        while found := pattern.search(text, end):
            token = tokens[found.group()]
            before = text[end : found.start()]
            if token.lstrip:
                before = before.rstrip(WHITE_SPACE)
            if before:
                yield before
            yield token.id
            end = found.end()
            if token.rstrip and (space := _SPACE.match(text, end)):
                end = space.end()
        if end < len(text):
            yield text[end:]

    return find
