"""Byte-pair encoding: a word begins as its characters, and pairs become one as they did in training, the most frequent first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

from edged.pipeline.tokenizers.document import Bpe, unsupported

Model = Callable[[str], Sequence[int]]
"""The ids of one word, which is not empty."""
Merges = Mapping[tuple[int, int], tuple[int, int]]
"""Two ids -> the rank of their merge (smaller is earlier) and the id they become."""


def bpe_of(document: Bpe, path: str) -> Model:
    """Return the model of a ``tokenizer.json``.

    Raises:
        BundleError: A merge, the unknown token or a byte is not in the vocabulary.
    """
    vocabulary = document.vocab
    merges = _merges(document, path)
    if document.unk_token is not None and document.unk_token not in vocabulary:
        raise unsupported(path, "/model/unk_token", f"expected a token of the vocabulary, got {document.unk_token}")
    if document.byte_fallback and (missing := [name for name in map(_byte, range(256)) if name not in vocabulary]):
        raise unsupported(path, "/model/byte_fallback", f"expected a token for every byte, got none for {missing[0]}")

    def ids(word: str) -> Sequence[int]:
        if document.ignore_merges and (whole := vocabulary.get(word)) is not None:
            return (whole,)
        return merged(list(_characters(document, word)), merges)

    return ids


def merged(symbols: list[int], merges: Merges) -> list[int]:
    """Merge pairs of neighbours until none is left that can be; the earliest rank first, the leftmost among equals.

    Takes time in the order of n log n for n symbols: a word without any space in it may be as long as the text.

    Args:
        symbols: The ids of a word's characters; used up.
        merges: As in training.
    """
    count = len(symbols)
    if count < 2:
        return symbols
    before, after = list(range(-1, count - 1)), [*range(1, count), -1]
    is_gone = [False] * count
    pairs = enumerate(pairwise(symbols))
    queue = [(found[0], at, found[1]) for at, pair in pairs if (found := merges.get(pair))]
    heapify(queue)
    while queue:
        _, at, new = heappop(queue)
        right = after[at]
        # What was queued may have changed since: one of the two was merged with its other neighbour.
        if is_gone[at] or right < 0:
            continue
        merge = merges.get((symbols[at], symbols[right]))
        if merge is None or merge[1] != new:
            continue
        symbols[at], is_gone[right] = new, True
        after[at] = after[right]
        if after[at] >= 0:
            before[after[at]] = at
        for left in (before[at], at):
            if left >= 0 and after[left] >= 0 and (found := merges.get((symbols[left], symbols[after[left]]))):
                heappush(queue, (found[0], left, found[1]))
    return [symbol for symbol, is_out in zip(symbols, is_gone, strict=True) if not is_out]


def _merges(document: Bpe, path: str) -> Merges:
    """Turn pairs of texts into pairs of ids."""
    vocabulary = document.vocab
    # The mark of continuations is not repeated within a token.
    cut = len(document.continuing_subword_prefix or "")
    merges = {}
    for rank, pair in enumerate(document.merges):
        parts = tuple(pair.split(" ")) if isinstance(pair, str) else pair
        if len(parts) != 2:
            raise unsupported(path, f"/model/merges/{rank}", f"expected two tokens with a space between, got {pair!r}")
        left, right = parts
        try:
            merges[vocabulary[left], vocabulary[right]] = (rank, vocabulary[left + right[cut:]])
        except KeyError as exc:
            raise unsupported(
                path, f"/model/merges/{rank}", f"expected tokens of the vocabulary, got {exc.args[0]!r}"
            ) from exc
    return merges


def _characters(document: Bpe, word: str) -> Iterator[int]:
    """Give the ids of a word's characters, each with the marks of its place in the word.

    One that is not in the vocabulary is its bytes, or else the unknown token, once for several in a row if these are fused; without
    an unknown token it is left out.
    """
    vocabulary = document.vocab
    prefix, suffix = document.continuing_subword_prefix or "", document.end_of_word_suffix or ""
    unknown = None if document.unk_token is None else vocabulary[document.unk_token]
    was_unknown = False
    for at, character in enumerate(word):
        marked = (prefix if at else "") + character + (suffix if at == len(word) - 1 else "")
        found = vocabulary.get(marked)
        if found is not None:
            yield found
        elif document.byte_fallback:
            yield from (vocabulary[_byte(byte)] for byte in marked.encode())
        elif unknown is not None and not (was_unknown and document.fuse_unk):
            yield unknown
        was_unknown = found is None


def _byte(byte: int) -> str:
    return f"<0x{byte:02X}>"
