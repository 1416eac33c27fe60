"""How the pre-tokenizers of a ``tokenizer.json`` divide a text into words.

Each of them is a regular expression whose matches are the words. Python's own classes follow the interpreter's version of Unicode, so
letters, numbers and white space are written out: categories of Unicode 14, and for BERT's punctuation those of Unicode 8. Expressions with
them are long, so each is made only for a tokenizer that has it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, assert_never

from edged.pipeline.tokenizers.ages import UNICODE_8
from edged.pipeline.tokenizers.document import (
    BertPreTokenizer,
    ByteLevel,
    Digits,
    PreTokenizer,
    PreTokenizers,
    Punctuation,
    Split,
    Whitespace,
    WhitespaceSplit,
    unsupported,
)
from edged.pipeline.tokenizers.unicode import WHITE_SPACE, characters

Divide = Callable[[str], Iterable[str]]
"""Divides a text into words, none of them empty, in order."""

_S: Final = WHITE_SPACE


def _punctuation() -> str:
    """Return ASCII's symbols, and what was punctuation in Unicode 8; until 14, U+166D and U+111C9 ceased to be."""
    return r"!-/:-@\[-`{-~\u166d\U000111c9" + characters("P", among=UNICODE_8)


def _bert() -> str:
    return f"[{_punctuation()}]|[^{_S}{_punctuation()}]+"


def _isolated_punctuation() -> str:
    return f"[{_punctuation()}]|[^{_punctuation()}]+"


def _words() -> str:
    """Divide as UTS 18 does: words are alphabetic characters, marks, decimal digits, connectors, and the two joiners."""
    symbols = (
        r"\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"  # alphabetic, but no letters
    )
    word = characters("L", "M", "Nd", "Nl", "Pc") + r"\u200c\u200d" + symbols
    return f"[{word}]+|[^{word}{_S}]+"


def _between_space() -> str:
    return f"[^{_S}]+"


def _gpt_2() -> str:
    letter, number = characters("L"), characters("N")
    return f"'s|'t|'re|'ve|'m|'ll|'d| ?[{letter}]+| ?[{number}]+| ?[^{_S}{letter}{number}]+|[{_S}]+(?![^{_S}])|[{_S}]+"


def _gpt_4(numbers: str = "{1,3}") -> str:
    letter, number = characters("L"), characters("N")
    return (
        f"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n{letter}{number}]?[{letter}]+|[{number}]{numbers}"
        f"| ?[^{_S}{letter}{number}]+[\\r\\n]*|[{_S}]*[\\r\\n]+|[{_S}]+(?![^{_S}])|[{_S}]+"
    )


def _qwen_2() -> str:
    return _gpt_4(numbers="")


_GPT_4: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_EXPRESSIONS: Final[Mapping[str, Callable[[], str]]] = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": _gpt_2,
    _GPT_4: _gpt_4,
    _GPT_4.replace("{1,3}", ""): _qwen_2,
}
"""The expressions that a file may ask for: those of GPT-2, of GPT-4 and Llama 3, and of Qwen 2.

Others are refused. Engines differ in what expressions mean, and one from a file could take for ever on some texts; these are read in
one pass, and every character is part of a match.
"""


def _visible(byte: int) -> str:
    """Return the character that byte-level vocabularies have for a byte."""
    if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF:
        return chr(byte)
    # The 68 others are numbered from U+0100, in order.
    return chr(0x100 + (byte if byte <= 0x20 else byte - 0x7F + 0x21 if byte <= 0xA0 else 67))


BYTES_AS_TEXT: Final = {byte: _visible(byte) for byte in range(256)}


def _matches(expression: str) -> Divide:
    """Find one match after the other: most texts are longer than what a model takes of them."""
    pattern = re.compile(expression)
    return lambda text: (found.group() for found in pattern.finditer(text))


_PLAIN: Final[Mapping[type, Callable[[], str]]] = {
    BertPreTokenizer: _bert,
    Whitespace: _words,
    WhitespaceSplit: _between_space,
    Punctuation: _isolated_punctuation,
}


def pre_tokenizer_of(document: PreTokenizer | None, path: str, pointer: str = "/pre_tokenizer") -> Divide:
    """Return how a pre-tokenizer divides; None takes all as one word.

    Args:
        document: The pre-tokenizer.
        path: Of its file, for errors.
        pointer: Of its place there.

    Raises:
        BundleError: It has an expression that is not known.
    """
    match document:
        case None:
            return lambda text: (text,)
        case BertPreTokenizer() | Whitespace() | WhitespaceSplit() | Punctuation():
            return _matches(_PLAIN[type(document)]())
        case Digits():
            number, many = characters("N"), "" if document.individual_digits else "+"
            return _matches(f"[{number}]{many}|[^{number}]+")
        case ByteLevel():
            return _byte_level(document)
        case Split():
            return _split(document, path, pointer)
        case PreTokenizers():
            parts = enumerate(document.pretokenizers)
            return _in_turn([pre_tokenizer_of(part, path, f"{pointer}/pretokenizers/{i}") for i, part in parts])
        case _:
            assert_never(document)


def _in_turn(steps: Sequence[Divide]) -> Divide:
    def divide(text: str) -> Iterable[str]:
        words: Iterable[str] = (text,)
        for step in steps:
            words = _each(step, words)
        return words

    return divide


def _each(step: Divide, words: Iterable[str]) -> Iterable[str]:
    for word in words:
        yield from step(word)


def _byte_level(document: ByteLevel) -> Divide:
    divide: Divide = _matches(_gpt_2()) if document.use_regex else lambda text: (text,)
    has_prefix = document.add_prefix_space

    def words(text: str) -> Iterable[str]:
        for word in divide(f" {text}" if has_prefix and not text.startswith(" ") else text):
            yield word.encode().decode("latin-1").translate(BYTES_AS_TEXT)

    return words


def _split(document: Split, path: str, pointer: str) -> Divide:
    expression = _EXPRESSIONS.get(document.pattern.regex)
    if expression is None:
        raise unsupported(
            path, f"{pointer}/pattern/Regex", "expected the expression of GPT-2, of GPT-4 and Llama 3, or of Qwen 2"
        )
    # What matches is kept either way, and nothing lies between matches.
    if (document.behavior == "Removed") != document.invert:
        raise unsupported(path, f"{pointer}/invert", "expected behavior Isolated, or Removed and inverted")
    return _matches(expression())
