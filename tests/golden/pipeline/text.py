"""Golden cases of ``edged.pipeline.steps.text``."""

import json

from edged.pipeline.steps.text import Bpe, CleanText, WordPiece, WordPieceVocabulary
from tests.golden.pipeline.vectors import case, texts

CLEAN = CleanText(input="raw", output="text")
NASTY = (
    "\ufeff\u039f\u0394\u039f\u03a3\u200b  \x00\x1fﬁ\r\n\u3000e\u0301\u0300 İ Ω 가 \U0001f469\u200d\U0001f680 \u202eabc\u2029".encode()
    # New in Unicode 15 and 16: an Arabic mark, a letter with a lower case, a combining letter.
    + "\U00010efd\ua7da\U0001e08f\u0301".encode()
)

NAMES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the quick brown fox un ##want ##ed run ##ning , ! ' cafe 1 ##2 ##3 漢 字 a ##b ##c"
)
TOKENS = NAMES.split()
VOCABULARY = "".join(f"{token}\n" for token in TOKENS).encode()


def added(token, content, *, normalized=False, lstrip=False):
    return {
        "id": token,
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": normalized,
        "special": True,
    }


WORDPIECE = {
    "version": "1.0",
    "added_tokens": [added(0, "[PAD]"), added(2, "[CLS]"), added(3, "[SEP]"), added(4, "[MASK]", lstrip=True)],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
        ],
        "pair": [],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
        },
    },
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 12,
        "vocab": {token: i for i, token in enumerate(TOKENS)},
    },
}


def letters():
    """The characters of byte-level vocabularies, as GPT-2's own list has them: the printable bytes, then the others."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [*map(chr, printable), *(chr(0x100 + i) for i in range(256 - len(printable)))]


MERGES = ["h e", "l l", "he ll", "Ġ t", "Ġt he", "hell o", "Ã ©", "Ġ Ġ", "1 2", "o o"]
BPE = {
    "version": "1.0",
    "added_tokens": [added(266, "<s>"), added(267, "</s>"), added(268, "<|end|>", normalized=True)],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 267], "cls": ["<s>", 266]},
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {
        "type": "BPE",
        "vocab": {token: i for i, token in enumerate([*letters(), *(merge.replace(" ", "") for merge in MERGES)])},
        "merges": MERGES,
    },
}
LATER = {
    **BPE,
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {
                    "Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
                },
                "behavior": "Isolated",
                "invert": False,
            },
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ],
    },
    "post_processor": None,
}


def written(document):
    return json.dumps(document, ensure_ascii=False).encode()


WORDS = WordPiece(
    input="text", ids="ids", attention_mask="mask", token_type_ids="types", file="t.json", max_length=16, pad="right"
)
LINES = WordPieceVocabulary(
    input="text", ids="ids", file="vocab.txt", max_length=12, lowercase=True, strip_accents=True
)
PAIRS = Bpe(input="text", ids="ids", attention_mask="mask", file="t.json", max_length=64)


CASES = [
    case("as it is by default", CLEAN, {"raw": texts(NASTY)}),
    case(
        "everything",
        CleanText(
            input="raw",
            output="text",
            invalid="replace",
            form="NFKC",
            lowercase=True,
            strip_accents=True,
            drop_formats=True,
        ),
        {"raw": texts(NASTY + b"\xff\xe2\x82 \xed\xa0\x80")},
    ),
    case(
        "nothing",
        CleanText(input="raw", output="text", form="none", drop_controls=False, white_space="keep"),
        {"raw": texts(NASTY)},
    ),
    case(
        "decomposed",
        CleanText(input="raw", output="text", form="NFKD", lowercase=True),
        {"raw": texts("\uff25\u0301 \ud55c \u1e9b\u0323 \u210c".encode())},
    ),
    case("no text", CLEAN, {"raw": texts(b" \n")}),
    case(
        "words, parts of words and unknown ones",
        WORDS,
        {"text": texts("The UNWANTED  running,\tCafé! 123 漢字 fox's\x00".encode())},
        files={"t.json": written(WORDPIECE)},
    ),
    case(
        "special tokens that the text spells out, and a word with too many characters",
        WORDS,
        {"text": texts(b"the [MASK] fox[SEP][cls] unwantedunwanted")},
        files={"t.json": written(WORDPIECE)},
    ),
    case(
        "cut and filled on the left",
        WordPiece(
            input="text", ids="ids", token_type_ids="types", file="t.json", max_length=5, pad="left", truncate="left"
        ),
        {"text": texts(b"the quick brown fox")},
        files={"t.json": written(WORDPIECE)},
    ),
    case(
        "no text",
        WordPiece(input="text", ids="ids", file="t.json", max_length=5, pad="left", pad_token="[MASK]"),
        {"text": texts(b"")},
        files={"t.json": written(WORDPIECE)},
    ),
    case("a vocabulary", LINES, {"text": texts("The Quick CAFÉ!".encode())}, files={"vocab.txt": VOCABULARY}),
    case(
        "a vocabulary with case and accents",
        WordPieceVocabulary(
            input="text", ids="ids", file="vocab.txt", max_length=12, lowercase=False, strip_accents=False
        ),
        {"text": texts("the THE café cafe [PAD] [MASK]".encode())},
        files={"vocab.txt": VOCABULARY},
    ),
    case(
        "bytes",
        PAIRS,
        {"text": texts("hello the  hellooo 1212 é 漢<|end|>it's\n\n x ".encode())},
        files={"t.json": written(BPE)},
    ),
    case("no text", PAIRS, {"text": texts(b"")}, files={"t.json": written(BPE)}),
    case(
        "numbers in threes, and what stands before letters",
        Bpe(input="text", ids="ids", file="t.json", max_length=64),
        {"text": texts("e\u0301 hello,the 12121\r\n\r\n  'LL".encode())},
        files={"t.json": written(LATER)},
    ),
]
