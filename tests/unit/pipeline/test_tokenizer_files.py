"""What a tokenizer's file may have: anything that edged does not compute is refused, with the place where it stands."""

import copy
import json

import pytest

from edged.errors import BundleError
from edged.pipeline.tokenizers import document
from edged.pipeline.tokenizers.document import read_tokenizer
from edged.pipeline.tokenizers.tokenizer import tokenizer_of, tokenizer_of_vocabulary
from tests.golden.pipeline.text import BPE, VOCABULARY, WORDPIECE, added


def load(made):
    return tokenizer_of(read_tokenizer(json.dumps(made).encode(), "t.json"), "t.json")


def changed(made, pointer, value):
    made = copy.deepcopy(made)
    *parents, key = pointer.strip("/").split("/")
    place = made
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[int(key) if isinstance(place, list) else key] = value
    return made


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
SPLIT = {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}
GPT_2 = SPLIT | {"pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"}}
BERT = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
SEQUENCE_B = {"Sequence": {"id": "B", "type_id": 0}}


@pytest.mark.parametrize(
    ("made", "pointer", "value", "where"),
    [
        (WORDPIECE, "/version", "2.0", "/version"),
        (WORDPIECE, "/decoders", None, ""),
        (WORDPIECE, "/model/type", "Unigram", "/model/type"),
        (WORDPIECE, "/model/vocab/the", -1, "/model/vocab"),
        (WORDPIECE, "/model/vocab/the", 5.5, "/model/vocab"),
        (WORDPIECE, "/model/unk_token", "<unk>", "/model/unk_token"),
        (WORDPIECE, "/model/max_input_chars_per_word", 0, "/model/max_input_chars_per_word"),
        (WORDPIECE, "/normalizer/type", "Precompiled", "/normalizer/type"),
        (WORDPIECE, "/normalizer/lowercase", "yes", "/normalizer/lowercase"),
        (WORDPIECE, "/normalizer/strip_marks", True, "/normalizer"),
        (
            WORDPIECE,
            "/normalizer",
            {"type": "Sequence", "normalizers": [{"type": "Nmt"}]},
            "/normalizer/normalizers/0/type",
        ),
        (
            WORDPIECE,
            "/normalizer",
            {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""},
            "/normalizer/pattern",
        ),
        (WORDPIECE, "/pre_tokenizer", METASPACE, "/pre_tokenizer/type"),
        (WORDPIECE, "/pre_tokenizer", {"type": "Punctuation", "behavior": "Removed"}, "/pre_tokenizer/behavior"),
        (WORDPIECE, "/pre_tokenizer", SPLIT, "/pre_tokenizer/pattern/Regex"),
        (WORDPIECE, "/pre_tokenizer", GPT_2 | {"invert": True}, "/pre_tokenizer/invert"),
        (WORDPIECE, "/pre_tokenizer", GPT_2 | {"behavior": "Removed"}, "/pre_tokenizer/invert"),
        (WORDPIECE, "/pre_tokenizer", GPT_2 | {"behavior": "MergedWithNext"}, "/pre_tokenizer/behavior"),
        (
            WORDPIECE,
            "/pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [GPT_2, SPLIT]},
            "/pre_tokenizer/pretokenizers/1/pattern/Regex",
        ),
        (WORDPIECE, "/post_processor/single/1", SEQUENCE_B, "/post_processor/single/1"),
        (WORDPIECE, "/post_processor/single/0", {}, "/post_processor/single/0"),
        (WORDPIECE, "/post_processor/single", [], "/post_processor/single"),
        (WORDPIECE, "/post_processor/single/0/SpecialToken/id", "[MASK]", "/post_processor/single/0/SpecialToken/id"),
        (WORDPIECE, "/post_processor", {"type": "Sequence", "processors": [BERT, BERT]}, "/post_processor/processors"),
        (WORDPIECE, "/added_tokens/1/id", 7, "/added_tokens/1/id"),
        (WORDPIECE, "/added_tokens/1/single_word", True, "/added_tokens/1/single_word"),
        (WORDPIECE, "/added_tokens/1/content", "", "/added_tokens/1/content"),
        (BPE, "/added_tokens/2/id", 300, "/added_tokens/2/id"),
        (BPE, "/model/dropout", 0.1, "/model/dropout"),
        (BPE, "/model/unk_token", "<unk>", "/model/unk_token"),
        (BPE, "/model/byte_fallback", True, "/model/byte_fallback"),
        (BPE, "/model/merges/3", "a b c", "/model/merges/3"),
        (BPE, "/model/merges/3", ["a"], "/model/merges/3"),
        (BPE, "/model/merges/3", "a zz", "/model/merges/3"),
        (BPE, "/model/merges/3", "a b", "/model/merges/3"),
    ],
)
def test_what_is_not_computed_is_refused_where_it_stands(made, pointer, value, where):
    with pytest.raises(BundleError) as caught:
        load(changed(made, pointer, value))

    assert caught.value.facts["pointer"] == where
    assert caught.value.message.startswith(f"t.json: {where or '/'}: ")


def test_white_space_that_two_tokens_could_claim_is_refused():
    made = changed(BPE, "/added_tokens/0", added(266, "<s>") | {"rstrip": True})
    made["added_tokens"].append(added(269, " x"))

    with pytest.raises(BundleError, match="/added_tokens/3/content: expected no white space in front"):
        load(made)


@pytest.mark.parametrize("key", ["model", "version"])
def test_what_is_missing_is_named(key):
    with pytest.raises(BundleError, match=f"t.json: /: .*`{key}`"):
        load({name: value for name, value in WORDPIECE.items() if name != key})


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[PAD]\n", b"\xff", b'{"version":"\\ud800"}', b'{"normalizer":' * 5000, b"[" * 100_000]
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(BundleError, match=r"t\.json: "):
        read_tokenizer(data, "t.json")


def test_a_file_that_is_too_large_is_refused_unread(monkeypatch):
    monkeypatch.setattr(document, "MAX_BYTES", 10)

    with pytest.raises(BundleError, match="11 bytes, at most 10"):
        read_tokenizer(b"{" + b" " * 9 + b"}", "t.json")


def test_sections_that_say_nothing_about_tokens_may_have_anything_in_them():
    made = WORDPIECE | {"decoder": {"type": "Unheard"}, "truncation": {"strategy": "LongestFirst", "max_length": 3}}

    assert load(made).row([5, 6]).ids == [2, 5, 6, 3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "line 1 is empty"),
        (VOCABULARY + b"\nx\n", "line 27 is empty"),
        (VOCABULARY + b"fox\n", "line 27 is fox, which is there twice"),
        (VOCABULARY.replace(b"[CLS]\n", b""), r"expected the token \[CLS\]"),
        (b"[PAD]\n\xff\n", "byte 6 is not UTF-8"),
    ],
)
def test_vocabularies_that_are_none_are_refused(data, why):
    with pytest.raises(BundleError, match=rf"vocab\.txt: .*{why}"):
        tokenizer_of_vocabulary(data, "vocab.txt", lowercase=True, strip_accents=True)


def test_a_vocabulary_may_have_the_line_ends_of_windows_and_lack_the_mask():
    lines = VOCABULARY.replace(b"[MASK]\n", b"").replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    made = tokenizer_of_vocabulary(lines, "vocab.txt", lowercase=True, strip_accents=True)

    assert list(made.tokens("the [SEP] fox")) == [4, 3, 7]
