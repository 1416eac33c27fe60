"""WordPiece: a word is the longest beginning that the vocabulary has, then the longest continuation, and so on."""

from collections.abc import Callable, Sequence

from edged.pipeline.tokenizers.document import WordPiece, unsupported

Model = Callable[[str], Sequence[int]]
"""The ids of one word, which is not empty."""


def wordpiece_of(document: WordPiece, path: str) -> Model:
    """Return the model of a ``tokenizer.json``.

    A word that the vocabulary cannot make, or that is longer than the file says, is the unknown token. The time for a word is bounded by
    the square of its characters, of which there are at most ``max_input_chars_per_word``, and its longest piece.

    Raises:
        BundleError: The unknown token is not in the vocabulary.
    """
    vocabulary = document.vocab
    if document.unk_token not in vocabulary:
        raise unsupported(path, "/model/unk_token", f"expected a token of the vocabulary, got {document.unk_token}")
    unknown = (vocabulary[document.unk_token],)
    longest = max(map(len, vocabulary))

    def ids(word: str) -> Sequence[int]:
        if len(word) > document.max_input_chars_per_word:
            return unknown
        found = []
        start, prefix = 0, ""
        while start < len(word):
            end = min(len(word), start + longest)
            while (piece := vocabulary.get(prefix + word[start:end])) is None:
                end -= 1
                if end == start:
                    return unknown
            found.append(piece)
            start, prefix = end, document.continuing_subword_prefix
        return found

    return ids
