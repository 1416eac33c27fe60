"""The part of Hugging Face's ``tokenizer.json`` that edged computes, as types. What is not here is refused, never computed otherwise.

The types are strict: an unknown key or kind of component is an error that names its JSON pointer. Of the whole file only ``decoder`` and
``truncation`` are not looked at, since ids are not turned back into text, and steps have their own limit of length.
"""

import re
from typing import Annotated, Literal

import msgspec

from edged.codec import Document
from edged.errors import BundleError, Problem

MAX_BYTES = 64 << 20
"""Largest tokenizer file: twice that of a vocabulary of 256,000 words with as many merges."""

Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Vocabulary = dict[str, Id]


class Component(Document, frozen=True, kw_only=True, tag_field="type"):
    """A part of a tokenizer; its kind is ``type``."""


class BertNormalizer(Component, frozen=True, kw_only=True, tag=True):
    """White space, ideographs, accents and case, as BERT has them."""

    clean_text: bool
    handle_chinese_chars: bool
    strip_accents: bool | None = None
    """None: as ``lowercase``."""
    lowercase: bool


class Nfc(Component, frozen=True, kw_only=True, tag="NFC"):
    """Normalization form C."""


class Nfd(Component, frozen=True, kw_only=True, tag="NFD"):
    """Normalization form D."""


class Nfkc(Component, frozen=True, kw_only=True, tag="NFKC"):
    """Normalization form KC."""


class Nfkd(Component, frozen=True, kw_only=True, tag="NFKD"):
    """Normalization form KD."""


class Lowercase(Component, frozen=True, kw_only=True, tag=True):
    """Each character by itself in lower case."""


class StripAccents(Component, frozen=True, kw_only=True, tag=True):
    """No marks."""


class Strip(Component, frozen=True, kw_only=True, tag=True):
    """No white space at an end."""

    strip_left: bool
    strip_right: bool


class Literally(Document, frozen=True, kw_only=True, rename={"string": "String"}):
    """A pattern that is a text."""

    string: Text


class Regex(Document, frozen=True, kw_only=True, rename={"regex": "Regex"}):
    """A pattern that is a regular expression."""

    regex: Text


class Replace(Component, frozen=True, kw_only=True, tag=True):
    """One text for another."""

    pattern: Literally
    content: str


class Prepend(Component, frozen=True, kw_only=True, tag=True):
    """A text before a text, unless that is empty."""

    prepend: Text


class Normalizers(Component, frozen=True, kw_only=True, tag="Sequence"):
    """One normalizer after the other."""

    normalizers: tuple["Normalizer", ...]


Normalizer = (
    BertNormalizer | Nfc | Nfd | Nfkc | Nfkd | Lowercase | StripAccents | Strip | Replace | Prepend | Normalizers
)


class BertPreTokenizer(Component, frozen=True, kw_only=True, tag=True):
    """At white space, and around each punctuation mark."""


class Whitespace(Component, frozen=True, kw_only=True, tag=True):
    r"""Into matches of ``\w+|[^\w\s]+``."""


class WhitespaceSplit(Component, frozen=True, kw_only=True, tag=True):
    """At white space."""


class Punctuation(Component, frozen=True, kw_only=True, tag=True):
    """Around each punctuation mark."""

    behavior: Literal["Isolated"] = "Isolated"


class Digits(Component, frozen=True, kw_only=True, tag=True):
    """Around numbers, or around each digit."""

    individual_digits: bool


class ByteLevel(Component, frozen=True, kw_only=True, tag=True):
    """Into matches of GPT-2's expression, each with a character for each of its bytes. As post-processor it changes no id."""

    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool = True


class Split(Component, frozen=True, kw_only=True, tag=True):
    """Into matches of an expression."""

    pattern: Regex
    behavior: Literal["Isolated", "Removed"]
    invert: bool


class PreTokenizers(Component, frozen=True, kw_only=True, tag="Sequence"):
    """Each divides what the one before it left."""

    pretokenizers: tuple["PreTokenizer", ...]


PreTokenizer = (
    BertPreTokenizer | Whitespace | WhitespaceSplit | Punctuation | Digits | ByteLevel | Split | PreTokenizers
)


class WordPiece(Component, frozen=True, kw_only=True, tag=True):
    """The longest known beginning, again and again."""

    unk_token: str
    continuing_subword_prefix: str
    max_input_chars_per_word: Annotated[int, msgspec.Meta(ge=1)]
    vocab: Vocabulary


class Bpe(Component, frozen=True, kw_only=True, tag="BPE"):
    """Pairs that were frequent in training become one, the most frequent first."""

    dropout: Annotated[float, msgspec.Meta(ge=0, le=0)] | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False
    vocab: Vocabulary
    merges: tuple[str | tuple[str, str], ...]


class AddedToken(Document, frozen=True, kw_only=True):
    """A token that is found in a text as it is."""

    id: Id
    content: Text
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool
    """It is looked for after normalization."""
    special: bool = False


class TemplateId(Document, frozen=True, kw_only=True):
    """A part of a template: a special token or the text."""

    id: str
    type_id: Id


class TemplatePiece(
    Document, frozen=True, kw_only=True, rename={"sequence": "Sequence", "special_token": "SpecialToken"}
):
    """Either one."""

    sequence: TemplateId | None = None
    special_token: TemplateId | None = None


class TemplateToken(Document, frozen=True, kw_only=True):
    """What a special token of a template stands for."""

    id: str
    ids: tuple[Id, ...]
    tokens: tuple[str, ...]


class TemplateProcessing(Component, frozen=True, kw_only=True, tag=True):
    """Special tokens around a text. ``pair`` is not used: steps take one text."""

    single: tuple[TemplatePiece, ...]
    pair: object = None
    special_tokens: dict[str, TemplateToken]


class BertProcessing(Component, frozen=True, kw_only=True, tag=True):
    """One token before and one after a text."""

    sep: tuple[str, Id]
    cls: tuple[str, Id]


class RobertaProcessing(Component, frozen=True, kw_only=True, tag=True):
    """As ``BertProcessing``; the rest is about positions in the text, which no step gives."""

    sep: tuple[str, Id]
    cls: tuple[str, Id]
    trim_offsets: bool = True
    add_prefix_space: bool = True


class Processors(Component, frozen=True, kw_only=True, tag="Sequence"):
    """One after the other; at most one of them adds tokens."""

    processors: tuple["Processor", ...]


Processor = TemplateProcessing | BertProcessing | RobertaProcessing | ByteLevel | Processors


class Padding(Document, frozen=True, kw_only=True):
    """What a text is filled up with. How far, and on which side, is for the step to say."""

    strategy: object = None
    direction: object = None
    pad_to_multiple_of: object = None
    pad_id: Id
    pad_type_id: Id = 0
    pad_token: str


class TokenizerFile(Document, frozen=True, kw_only=True):
    """A whole ``tokenizer.json``."""

    version: Literal["1.0"]
    truncation: object = None
    padding: Padding | None = None
    added_tokens: tuple[AddedToken, ...] = ()
    normalizer: Normalizer | None = None
    pre_tokenizer: PreTokenizer | None = None
    post_processor: Processor | None = None
    decoder: object = None
    model: WordPiece | Bpe


def read_tokenizer(data: bytes, path: str) -> TokenizerFile:
    """Read a ``tokenizer.json``.

    Raises:
        BundleError: It is too large, no JSON, or has what edged does not compute.
    """
    if len(data) > MAX_BYTES:
        raise BundleError(f"{path}: {len(data)} bytes, at most {MAX_BYTES} are read", hint="Use a smaller vocabulary.")
    try:
        return msgspec.json.decode(data, type=TokenizerFile)
    except msgspec.ValidationError as exc:
        what, _, where = str(exc).partition(" - at `$")
        # A path of the library's, $.model.merges[3]; of a value in a dictionary it does not know the key, and says [...].
        pointer = re.sub(r"\[(\d+)\]", r"/\1", where.rstrip("`").replace("[...]", "")).replace(".", "/")
        raise unsupported(path, pointer, what) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BundleError(f"{path}: not a JSON document: {exc}", hint="Use tokenizer.json as it was saved.") from exc


def unsupported(path: str, pointer: str, what: str) -> BundleError:
    """Return the error of a tokenizer with something that edged does not compute.

    Args:
        path: Of the file.
        pointer: JSON pointer of the place.
        what: Is wrong there.
    """
    return BundleError(
        f"{path}: {Problem(pointer=pointer, expected=what)}",
        hint="edged refuses what it would tokenize in another way; save the tokenizer with a supported component.",
        pointer=pointer,
    )
