"""A tokenizer put together from its file: from a text to a row of ids, of the length that a model takes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from edged.errors import BundleError
from edged.pipeline.tokenizers.added import Find, check_added, finder_of
from edged.pipeline.tokenizers.bpe import bpe_of
from edged.pipeline.tokenizers.document import (
    AddedToken,
    BertNormalizer,
    BertPreTokenizer,
    BertProcessing,
    Bpe,
    Padding,
    TokenizerFile,
    Vocabulary,
    WordPiece,
    unsupported,
)
from edged.pipeline.tokenizers.normalizers import normalizer_of
from edged.pipeline.tokenizers.pre_tokenizers import Divide, pre_tokenizer_of
from edged.pipeline.tokenizers.templates import Template, template_of
from edged.pipeline.tokenizers.wordpiece import wordpiece_of

Side = Literal["left", "right"]

SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens of a ``vocab.txt``, as BERT has them; it may lack the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The tokens of one text; all three are of one length."""

    ids: Sequence[int]
    mask: Sequence[int]
    """1 for a token, 0 for what fills up."""
    types: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """Threads may use it at the same time: it keeps nothing of a text."""

    path: str
    vocabulary: Vocabulary
    """With the added tokens."""
    padding: Padding | None
    template: Template
    find: Find
    divide: Divide
    model: Callable[[str], Sequence[int]]

    def tokens(self, text: str) -> Iterator[int]:
        """Give the ids of a text, without those around it; they are computed as they are asked for."""
        for part in self.find(text):
            if isinstance(part, int):
                yield part
            else:
                for word in self.divide(part):
                    yield from self.model(word)

    def room(self, max_length: int) -> int:
        """Return how many tokens of a text fit beside those around it.

        Raises:
            BundleError: None.
        """
        if (room := max_length - self.template.size) < 1:
            raise BundleError(
                f"{self.path}: {self.template.size} tokens are put around a text, the step's max_length is {max_length}",
                hint="Set max_length to what the model takes.",
            )
        return room

    def filling(self, name: str | None) -> tuple[int, int]:
        """Return id and type of the token that fills up a row.

        Args:
            name: The token; None: the one of the file's ``padding``, or else ``[PAD]`` or ``<pad>``.

        Raises:
            BundleError: There is none.
        """
        if name is None and self.padding is not None:
            return self.padding.pad_id, self.padding.pad_type_id
        for candidate in ("[PAD]", "<pad>") if name is None else (name,):
            if (found := self.vocabulary.get(candidate)) is not None:
                return found, 0
        raise BundleError(
            f"{self.path}: {'no token to fill up with' if name is None else f'{name} is not in it'}",
            hint="Name a token of the vocabulary with the step's pad_token.",
        )

    def row(self, tokens: Sequence[int]) -> Row:
        """Put around tokens what belongs there."""
        template = self.template
        around = (*template.before, *((token, template.type_id) for token in tokens), *template.after)
        return Row(ids=[token for token, _ in around], mask=[1] * len(around), types=[type_ for _, type_ in around])


def cut(tokens: Iterator[int], room: int, *, side: Side) -> list[int]:
    """Return at most ``room`` tokens, without those on one side that are too many.

    Cutting on the right ends the work with the last token that is needed; a text cut on the left is read to its end.
    """
    return list(islice(tokens, room)) if side == "right" else list(tokens)[-room:]


def tokenizer_of(document: TokenizerFile, path: str) -> Tokenizer:
    """Put a tokenizer together.

    Raises:
        BundleError: Its parts do not fit together, or one of them has what edged does not compute.
    """
    check_added(document.added_tokens, document.model.vocab, path)
    match document.model:
        case WordPiece():
            model = wordpiece_of(document.model, path)
        case Bpe():
            model = bpe_of(document.model, path)
    return Tokenizer(
        path=path,
        vocabulary=document.model.vocab | {token.content: token.id for token in document.added_tokens},
        padding=document.padding,
        template=template_of(document.post_processor, path),
        find=finder_of(document.added_tokens, normalizer_of(document.normalizer)),
        divide=pre_tokenizer_of(document.pre_tokenizer, path),
        model=model,
    )


def tokenizer_of_vocabulary(data: bytes, path: str, *, lowercase: bool, strip_accents: bool) -> Tokenizer:
    """Put BERT's tokenizer together around a ``vocab.txt``: UTF-8, one token a line, the first with id 0.

    Raises:
        BundleError: It is not UTF-8, a line is empty or there twice, or a special token is missing.
    """
    try:
        lines = [line.removesuffix("\r") for line in data.decode().removesuffix("\n").split("\n")]
    except UnicodeDecodeError as exc:
        raise BundleError(f"{path}: byte {exc.start} is not UTF-8", hint="Use vocab.txt as it was saved.") from exc
    vocabulary: Vocabulary = {}
    for number, token in enumerate(lines):
        if not token or token in vocabulary:
            raise BundleError(
                f"{path}: line {number + 1} is {f'{token}, which is there twice' if token else 'empty'}",
                hint="Write each token once, one a line.",
            )
        vocabulary[token] = number
    if missing := [token for token in SPECIAL[:-1] if token not in vocabulary]:
        raise unsupported(path, "", f"expected the token {missing[0]}")
    special = [token for token in SPECIAL if token in vocabulary]
    document = TokenizerFile(
        version="1.0",
        added_tokens=tuple(
            AddedToken(id=vocabulary[token], content=token, normalized=False, special=True) for token in special
        ),
        normalizer=BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=lowercase
        ),
        pre_tokenizer=BertPreTokenizer(),
        post_processor=BertProcessing(sep=("[SEP]", vocabulary["[SEP]"]), cls=("[CLS]", vocabulary["[CLS]"])),
        model=WordPiece(
            unk_token=SPECIAL[1],
            continuing_subword_prefix="##",
            max_input_chars_per_word=100,
            vocab=vocabulary,
        ),
    )
    return tokenizer_of(document, path)
