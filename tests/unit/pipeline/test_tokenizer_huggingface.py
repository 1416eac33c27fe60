"""Tokens are those of the program that tokenizers are trained with, for every character of Unicode 14 and for nasty texts."""

import json
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edged.pipeline.tokenizers import document
from edged.pipeline.tokenizers.ages import UNICODE_14
from edged.pipeline.tokenizers.normalizers import normalizer_of
from edged.pipeline.tokenizers.pre_tokenizers import BYTES_AS_TEXT, pre_tokenizer_of
from edged.pipeline.tokenizers.tokenizer import tokenizer_of, tokenizer_of_vocabulary
from tests.golden.pipeline import text as golden

hf = pytest.importorskip("tokenizers", reason="the comparison needs the tokenizers package, which Debian 13 has not")

README = Path(__file__).parents[3] / "README.md"
CHARACTERS = [
    chr(point)
    for first, last in UNICODE_14
    # Long ranges are ideographs, syllables and private characters, which are all alike: a few of them will do.
    for point in range(first, last + 1, 1 if last - first < 5000 else 211)
]
GPT_4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = GPT_4.replace("{1,3}", "")


@cache
def lines():
    return README.read_text(encoding="utf-8").splitlines()


def wordpiece(*, lowercase):
    made = hf.Tokenizer(hf.models.WordPiece(unk_token="[UNK]"))
    made.normalizer = hf.normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = hf.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(lines(), hf.trainers.WordPieceTrainer(vocab_size=700, special_tokens=special))
    made.post_processor = hf.processors.TemplateProcessing(
        single="[CLS] $A:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def byte_level(pre_tokenizer, normalizer=None):
    made = hf.Tokenizer(hf.models.BPE())
    made.pre_tokenizer = pre_tokenizer
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        lines(),
        hf.trainers.BpeTrainer(vocab_size=700, special_tokens=["<s>", "</s>", "<mask>"], initial_alphabet=alphabet),
    )
    if normalizer:
        made.normalizer = normalizer
    made.add_special_tokens([hf.AddedToken("<hole>", lstrip=True, rstrip=True, normalized=True)])
    made.add_tokens([hf.AddedToken("un\u00e9", normalized=True)])
    made.add_tokens([hf.AddedToken(token, normalized=False) for token in ("un", "unx", "unxy")])
    made.post_processor = hf.processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return made


def split_first(expression, behavior, *, invert=False):
    return hf.pre_tokenizers.Sequence(
        [
            hf.pre_tokenizers.Split(hf.Regex(expression), behavior, invert=invert),
            hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def whole_texts():
    """One word however long the text, and bytes for what the vocabulary lacks, as Llama 2 has it."""
    made = hf.Tokenizer(hf.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = hf.normalizers.Sequence([hf.normalizers.Prepend("▁"), hf.normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(lines(), hf.trainers.BpeTrainer(vocab_size=700, special_tokens=special))
    document_ = json.loads(made.to_str())
    # Tokens for bytes are there to fall back on, and are not found in texts.
    document_["added_tokens"] = document_["added_tokens"][:2]
    return hf.Tokenizer.from_str(json.dumps(document_))


def marked_characters(*, fuse):
    made = hf.Tokenizer(hf.models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=fuse))
    made.normalizer = hf.normalizers.Sequence(
        [hf.normalizers.NFKD(), hf.normalizers.Lowercase(), hf.normalizers.StripAccents(), hf.normalizers.Strip()]
    )
    made.pre_tokenizer = hf.pre_tokenizers.Sequence(
        [hf.pre_tokenizers.Whitespace(), hf.pre_tokenizers.Digits(individual_digits=True)]
    )
    made.train_from_iterator(
        lines(), hf.trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], end_of_word_suffix="</w>")
    )
    return made


def continuations():
    made = hf.Tokenizer(hf.models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    made.pre_tokenizer = hf.pre_tokenizers.Sequence(
        [hf.pre_tokenizers.WhitespaceSplit(), hf.pre_tokenizers.Punctuation()]
    )
    made.train_from_iterator(
        lines(), hf.trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], continuing_subword_prefix="##")
    )
    return made


def whole_words_first():
    """As Llama 3: a word of the vocabulary needs no merges."""
    document_ = json.loads(byte_level(split_first(GPT_4, "isolated")).to_str())
    document_["model"] |= {"ignore_merges": True, "merges": document_["model"]["merges"][:5]}
    document_["post_processor"] = {
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
            {"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]},
        ],
    }
    return hf.Tokenizer.from_str(json.dumps(document_))


MAKERS = {
    "wordpiece": lambda: wordpiece(lowercase=True),
    "wordpiece with case": lambda: wordpiece(lowercase=False),
    "gpt-2": lambda: byte_level(hf.pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "roberta": lambda: byte_level(hf.pre_tokenizers.ByteLevel(add_prefix_space=True), hf.normalizers.NFC()),
    "gpt-4": lambda: byte_level(split_first(GPT_4, "removed", invert=True)),
    "qwen 2": lambda: byte_level(split_first(QWEN_2, "isolated"), hf.normalizers.NFC()),
    "llama 2": whole_texts,
    "llama 3": whole_words_first,
    "marks at the ends of words": lambda: marked_characters(fuse=False),
    "fused unknown tokens": lambda: marked_characters(fuse=True),
    "marks of continuations": continuations,
}


@cache
def both(name):
    theirs = MAKERS[name]()
    return theirs, tokenizer_of(document.read_tokenizer(theirs.to_str().encode(), name), name)


def assert_same(theirs, ours, text):
    wanted, got = theirs.encode(text), ours.row(list(ours.tokens(text)))
    assert (got.ids, got.types, got.mask) == (wanted.ids, wanted.type_ids, wanted.attention_mask)


NASTY = [
    "",
    " ",
    "\n\n \r\n\t",
    "it's IT'S 'S '\u017f we'LL 'll'LL",
    "[CLS] [MASK][SEP]x<mask>  <mask> <hole> \u3000<hole><hole> \n the\u2003<hole></s><s> <|endoftext|>",
    "une\u0301 un\u00e9 unx unxx unxyunx un",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f3fd \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "漢字かな交じり文、한국어 텍스트.\u3000全角",
    "e\u0301\u0302\u0327 \u1e9b\u0323 \ufb01\ufb03 \u01c5 \u0130I\u0307 \u039f\u0394\u039f\u03a3.",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u202eabc\u202c \u200f\u0660\u0661\u0662",
    "\0\x01\x0b\x0c\x1c\x1f\x7f\x85\xa0\xad\ufeff\ufffd\ufffc\u2028\u2029",
    "1234567 ½ ² Ⅻ ٣ 12.5e-7 0x1F",
    "a" * 300 + " " * 50 + "!" * 100 + "\n" * 20 + "ab" * 120,
    "the the  the   the",
]
WORDS = ["the", "model", " edged", "bundle", ",", ".", "'s", "\n", " "]
texts = st.lists(
    st.sampled_from(CHARACTERS) | st.sampled_from(CHARACTERS[:3000]) | st.sampled_from(NASTY + WORDS), max_size=30
).map("".join)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("name", MAKERS)
def test_nasty_texts_get_the_same_tokens(name, text):
    assert_same(*both(name), text)


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=40)
@given(text=texts)
@example(text=" ".join(lines()[:40]))
def test_any_text_gets_the_same_tokens(name, text):
    assert_same(*both(name), text)


NORMALIZERS = {
    "clean": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "lowercase": False},
    "ideographs": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": True, "lowercase": False},
    "lowercase": {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "lowercase": True},
    **{name: {"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")},
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
}
PRE_TOKENIZERS = {
    **{name: {"type": name} for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")},
    "Punctuation": {"type": "Punctuation", "behavior": "Isolated"},
    "numbers": {"type": "Digits", "individual_digits": False},
    "digits": {"type": "Digits", "individual_digits": True},
    "ByteLevel": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    "GPT-4": {"type": "Split", "pattern": {"Regex": GPT_4}, "behavior": "Isolated", "invert": False},
    "Qwen 2": {"type": "Split", "pattern": {"Regex": QWEN_2}, "behavior": "Isolated", "invert": False},
}


def component(part, document_):
    """Return the other program's component, from a file with nothing else in it."""
    whole = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return getattr(hf.Tokenizer.from_str(json.dumps(whole | empty | {part: document_})), part)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_every_character_is_normalized_the_same(name):
    """Between letters, after a letter and before an accent, and at both ends."""
    theirs = component("normalizer", NORMALIZERS[name])
    ours = normalizer_of(msgspec.convert(NORMALIZERS[name], document.Normalizer))

    different = [
        c for c in CHARACTERS for text in (f"{c}a{c}\u0301\u0327", f" {c} ") if ours(text) != theirs.normalize_str(text)
    ]

    assert different == []


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_character_divides_words_the_same(name):
    """Beside letters, numbers, punctuation, white space, and itself."""
    theirs = component("pre_tokenizer", PRE_TOKENIZERS[name])
    ours = pre_tokenizer_of(msgspec.convert(PRE_TOKENIZERS[name], document.PreTokenizer), name)

    different = [
        c
        for c in CHARACTERS
        for text in (f"a{c}{c}1{c}!{c}\n{c}{c} {c}b'{c}",)
        if list(ours(text)) != [word for word, _ in theirs.pre_tokenize_str(text)]
    ]

    assert different == []


def test_bytes_are_written_with_the_same_characters():
    assert sorted(BYTES_AS_TEXT.values()) == sorted(hf.pre_tokenizers.ByteLevel.alphabet())
    assert list(BYTES_AS_TEXT) == list(range(256))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [False, True])
@pytest.mark.parametrize("text", [*NASTY, "The UNWANTED  running,\tCaf\u00e9! 123 漢字 fox's [MASK]"])
def test_a_vocabulary_is_read_as_berts_tokenizer_reads_it(tmp_path, text, lowercase, strip_accents):
    (tmp_path / "vocab.txt").write_bytes(golden.VOCABULARY)
    theirs = hf.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=lowercase, strip_accents=strip_accents)
    ours = tokenizer_of_vocabulary(golden.VOCABULARY, "vocab.txt", lowercase=lowercase, strip_accents=strip_accents)

    assert ours.row(list(ours.tokens(text))).ids == theirs.encode(text).ids


@pytest.mark.parametrize("made", [made for made in golden.CASES if "t.json" in made.files], ids=lambda made: made.name)
def test_golden_tokens_are_those_of_the_other_program(made):
    """The golden files were written by edged, so here they are held against something that edged did not write."""
    from tests.golden.pipeline.renew import given as given_by_edged

    theirs = hf.Tokenizer.from_str(made.files["t.json"])
    theirs.enable_truncation(
        made.step.max_length, direction="right" if made.step.truncate == "refuse" else made.step.truncate
    )
    if made.step.pad != "none":
        token = made.step.pad_token or "[PAD]"
        theirs.enable_padding(
            direction=made.step.pad, pad_id=theirs.token_to_id(token), pad_token=token, length=made.step.max_length
        )
    wanted = theirs.encode(made.inputs["text"].values[0])
    given_ = given_by_edged(made)

    assert given_[made.step.ids].tolist() == [wanted.ids]
    if made.step.attention_mask:
        assert given_[made.step.attention_mask].tolist() == [wanted.attention_mask]
    if made.step.token_type_ids:
        assert given_[made.step.token_type_ids].tolist() == [wanted.type_ids]
