"""What the normalizers of a ``tokenizer.json`` do to a text."""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Final, assert_never

from edged.pipeline.tokenizers.ages import UNICODE_8, UNICODE_9
from edged.pipeline.tokenizers.document import (
    BertNormalizer,
    Lowercase,
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Normalizer,
    Normalizers,
    Prepend,
    Replace,
    Strip,
    StripAccents,
)
from edged.pipeline.tokenizers.unicode import WHITE_SPACE, Form, characters, lower, normalize_12, replace

Normalize = Callable[[str], str]

# Tab, newline and carriage return are white space to BERT; other control characters, even if they are white space, are dropped.
_BERT_CONTROLS: Final = r"\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd"
_BERT_IDEOGRAPHS: Final = (
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    # The training program has a gap before U+2B920, by a slip that every model since was trained with.
    r"\U00020000-\U0002a6df\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f"
)

_FORMS: Final[Mapping[type, Form]] = {Nfc: "NFC", Nfd: "NFD", Nfkc: "NFKC", Nfkd: "NFKD"}


def normalizer_of(document: Normalizer | None) -> Normalize:  # noqa: PLR0911 - a kind each
    """Return what a normalizer does; None does nothing."""
    match document:
        case None:
            return lambda text: text
        case BertNormalizer():
            return _bert(document)
        case Nfc() | Nfd() | Nfkc() | Nfkd():
            return partial(normalize_12, _FORMS[type(document)])
        case Lowercase():
            return lower
        case StripAccents():
            return _without_marks()
        case Strip():
            return _strip(document)
        case Replace(pattern=pattern, content=content):
            return lambda text: text.replace(pattern.string, content)
        case Prepend(prepend=prepend):
            return lambda text: prepend + text if text else text
        case Normalizers():
            return _in_turn([normalizer_of(part) for part in document.normalizers])
        case _:
            assert_never(document)


def _in_turn(steps: list[Normalize]) -> Normalize:
    return lambda text: reduce(lambda changed, step: step(changed), steps, text)


def _bert(document: BertNormalizer) -> Normalize:
    steps: list[Normalize] = []
    if document.clean_text:
        steps += (
            replace(f"[{_BERT_CONTROLS}{characters('Cf', 'Co', among=UNICODE_8)}]+", ""),
            replace(f"[{WHITE_SPACE}]", " "),
        )
    if document.handle_chinese_chars:
        steps.append(replace(f"([{_BERT_IDEOGRAPHS}])", r" \1 "))
    if document.lowercase if document.strip_accents is None else document.strip_accents:
        steps += (partial(normalize_12, "NFD"), _without_accents())
    if document.lowercase:
        steps.append(lower)
    return _in_turn(steps)


def _without_accents() -> Normalize:
    """Drop what was of category Mn in Unicode 8.

    Until 14, U+1734 ceased to be, and U+1885 and U+1886 (Lo), U+A9BD (Mc) and U+111C9 (Po) became of that category.
    """
    return replace(f"(?![\u1885\u1886\ua9bd\U000111c9])[\u1734{characters('Mn', among=UNICODE_8)}]", "")


def _without_marks() -> Normalize:
    """Drop what was a mark in Unicode 9; until 14, U+1CF2 and U+1CF3 ceased to be, and U+111C9 became one."""
    return replace(f"(?!\U000111c9)[\u1cf2\u1cf3{characters('M', among=UNICODE_9)}]", "")


def _strip(document: Strip) -> Normalize:
    steps: list[Normalize] = []
    if document.strip_left:
        steps.append(replace(f"\\A[{WHITE_SPACE}]+", ""))
    if document.strip_right:
        steps.append(replace(f"(?<![{WHITE_SPACE}])[{WHITE_SPACE}]+\\Z", ""))
    return _in_turn(steps)
