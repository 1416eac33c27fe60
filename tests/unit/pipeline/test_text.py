"""Steps on text: what becomes of bytes that are none, of texts that are too long, and of rows that are filled up."""

from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import BundleError, TensorError
from edged.pipeline.kernels import compile_stage
from edged.pipeline.kernels.text import cleaner_of
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import Bpe, CleanText, WordPiece, WordPieceVocabulary
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.tokenizers import tokenizer
from edged.pipeline.tokenizers.unicode import Form, normalize_14
from edged.pipeline.tokenizers.wordpiece import wordpiece_of
from tests.golden.pipeline.text import BPE, VOCABULARY, WORDPIECE, written
from tests.golden.pipeline.vectors import texts

FILES = {"t.json": written(WORDPIECE), "bpe.json": written(BPE), "vocab.txt": VOCABULARY}
CLEAN = {"input": "text", "output": "clean"}
ROWS = {"input": "text", "ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}

booleans = {key: st.booleans() for key in ("lowercase", "strip_accents", "drop_controls", "drop_formats")}
cleaners = st.builds(
    CleanText,
    input=st.just("text"),
    output=st.just("clean"),
    form=st.sampled_from(["none", *get_args(Form)]),
    white_space=st.sampled_from(["keep", "collapse"]),
    **booleans,
)


def words(**keys):
    return WordPiece(**ROWS, **{"file": "t.json", "max_length": 8} | keys)


def run(step, data, files=FILES):
    return compile_stage([step], files, None).run({"text": texts(data)})


def ids(step, data):
    return run(step, data)["ids"].tolist()[0]


@given(step=cleaners, text=st.text())
def test_a_clean_text_has_what_was_asked_for(step, text):
    clean = cleaner_of(step)(text)

    if step.form != "none" and step.white_space == "keep":
        assert clean == normalize_14(step.form, clean)
    if step.white_space == "collapse":
        assert clean == " ".join(clean.split(" ")).strip(" ")
        assert not set(clean) & set("\t\n\r\x0b\x0c\x85\xa0\u2003\u3000")
    if step.drop_controls:
        assert not set(clean) & {*map(chr, (*range(9), 11, 12, *range(14, 32), *range(127, 160)))}
    if step.drop_formats:
        assert not set(clean) & set("\u200b\u200d\u202e\ufeff\xad")


@given(step=cleaners, text=st.text(st.characters(max_codepoint=0x24F)))
def test_cleaning_a_clean_text_changes_nothing(step, text):
    """Of the Latin scripts; elsewhere stripping accents may bring together what is then composed."""
    clean = cleaner_of(step)(text)

    assert cleaner_of(step)(clean) == clean


def test_what_lower_case_brings_together_is_composed():
    """There is no capital j with a caron, but there is a small one."""
    assert cleaner_of(CleanText(**CLEAN, lowercase=True))("J\u030c") == "\u01f0"


def test_accents_go_and_what_is_no_accent_is_composed_again():
    """Syllables of Hangul are decomposed on the way, and must not stay so."""
    step = CleanText(**CLEAN, strip_accents=True, form="none")

    assert cleaner_of(step)("\u00e9a\u0308 \ud55c \u0939\u093f") == "ea \ud55c \u0939\u093f"


@pytest.mark.parametrize("step", [CleanText(**CLEAN), words(), words(truncate="refuse")])
@pytest.mark.parametrize("data", [b"ab\xffc", b"ab\xc3", b"ab\xed\xa0\x80", b"ab\xf5\x80\x80\x80"])
def test_bytes_that_are_no_text_are_refused(step, data):
    with pytest.raises(TensorError, match="takes UTF-8, byte 2 of text is not"):
        run(step, data)


def test_bytes_that_are_no_text_may_be_replaced():
    """As many marks as the Unicode standard's own example has for these bytes (table 3-8)."""
    step = CleanText(**CLEAN, invalid="replace", drop_controls=False)

    clean = run(step, bytes.fromhex("61 f1 80 80 e1 80 c2 62 80 63 80 bf 64"))["clean"][0].decode()

    assert clean == "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd"


@pytest.mark.parametrize("step", [CleanText(**CLEAN, max_bytes=5), words(max_bytes=5)])
def test_a_text_with_too_many_bytes_is_refused(step):
    run(step, b"abcde")
    with pytest.raises(TensorError, match="at most 5 bytes, text has 6"):
        run(step, b"abcdef")


def test_a_text_may_be_a_view_of_memory():
    """Requests in shared memory are not copied."""
    assert ids(words(), memoryview(b"the fox")) == [2, 5, 8, 3]


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        ({}, ([2, 5, 6, 7, 8, 3], [1] * 6, [0, 0, 0, 0, 0, 1])),
        ({"max_length": 5}, ([2, 5, 6, 7, 3], [1] * 5, [0, 0, 0, 0, 1])),
        ({"max_length": 5, "truncate": "left"}, ([2, 6, 7, 8, 3], [1] * 5, [0, 0, 0, 0, 1])),
        ({"pad": "right"}, ([2, 5, 6, 7, 8, 3, 0, 0], [1] * 6 + [0, 0], [0, 0, 0, 0, 0, 1, 0, 0])),
        ({"pad": "left", "pad_token": "[MASK]"}, ([4, 4, 2, 5, 6, 7, 8, 3], [0, 0] + [1] * 6, [0] * 7 + [1])),
        ({"max_length": 3, "pad": "right"}, ([2, 5, 3], [1] * 3, [0, 0, 1])),
    ],
)
def test_a_row_is_cut_and_filled_where_the_step_says(keys, rows):
    given_ = run(words(**keys), b"the quick brown fox")

    assert tuple(given_[name].tolist()[0] for name in ("ids", "mask", "types")) == rows


def test_a_row_is_filled_with_what_the_file_says():
    padding = {
        "strategy": "BatchLongest",
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 9,
        "pad_type_id": 7,
        "pad_token": "un",
    }
    given_ = run(words(pad="right", max_length=4), b"the", {"t.json": written(WORDPIECE | {"padding": padding})})

    assert given_["ids"].tolist() == [[2, 5, 3, 9]]
    assert given_["types"].tolist() == [[0, 0, 1, 7]]


@settings(max_examples=40)
@given(
    text=st.lists(st.sampled_from(["the", "quick", "fox", "unwanted", "xyz"])).map(" ".join),
    max_length=st.integers(3, 20),
    pad=st.sampled_from(["none", "left", "right"]),
    truncate=st.sampled_from(["left", "right"]),
)
def test_rows_have_the_type_that_was_said(text, max_length, pad, truncate):
    step = words(max_length=max_length, pad=pad, truncate=truncate)
    said = step.gives({"text": TensorSpec(name="text", dtype="BYTES", shape=(1,))})

    given_ = run(step, text.encode())

    whole = ids(words(max_length=1000), text.encode())
    length = max_length if pad != "none" else min(len(whole), max_length)
    for spec in said:
        assert given_[spec.name].dtype == "int64"
        assert given_[spec.name].shape == (1, length)
        assert spec.shape == (1, -1 if pad == "none" else max_length)
    assert given_["mask"].sum() == min(len(whole), max_length)


def test_a_text_that_is_too_long_may_be_refused():
    step = words(truncate="refuse", max_length=6)

    assert ids(step, b"the quick brown fox") == [2, 5, 6, 7, 8, 3]
    with pytest.raises(TensorError, match=r"wordpiece@1 takes texts of at most 4 tokens, text has more"):
        run(step, b"the quick brown fox fox")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (words(max_length=2), "2 tokens are put around a text, the step's max_length is 2"),
        (words(pad="right", pad_token="<pad>"), "<pad> is not in it"),
        (Bpe(input="text", ids="ids", file="bpe.json", max_length=9, pad="left"), "no token to fill up with"),
        (words(file="bpe.json"), "/model/type: the step wordpiece@1 has the model WordPiece"),
        (Bpe(input="text", ids="ids", file="t.json", max_length=9), "/model/type: the step bpe@1 has the model Bpe"),
        (words(file="gone.json"), "names gone.json, which was not handed over"),
        (words(file="vocab.txt"), "vocab.txt: /: Expected `object`"),
        (
            WordPieceVocabulary(
                input="text", ids="ids", file="t.json", max_length=9, lowercase=True, strip_accents=True
            ),
            r"expected the token \[PAD\]",
        ),
    ],
)
def test_steps_that_do_not_fit_their_file_are_refused_when_they_are_compiled(step, why):
    with pytest.raises(BundleError, match=why):
        compile_stage([step], FILES, None)


@pytest.mark.parametrize(
    ("step", "spec", "key"),
    [
        (CleanText(**CLEAN), ("UINT8", (-1,)), "input"),
        (CleanText(**CLEAN), ("BYTES", (2,)), "input"),
        (words(), ("BYTES", (1, 1)), "input"),
        (words(pad_token="[PAD]"), ("BYTES", (1,)), "pad_token"),
        (Bpe(input="text", ids="ids", attention_mask="ids", file="t.json", max_length=9), ("BYTES", (1,)), "ids"),
    ],
)
def test_a_pipeline_that_does_not_fit_is_refused(step, spec, key):
    with pytest.raises(MisfitError) as caught:
        step.gives({"text": TensorSpec(name="text", dtype=spec[0], shape=spec[1])})
    assert caught.value.key == key


def test_a_tokenizer_is_a_file_of_the_bundle():
    assert words().files == {"t.json": "tokenizer"}
    assert words().writes == ("ids", "mask", "types")
    assert WordPiece(input="text", ids="ids", file="t.json", max_length=8).writes == ("ids",)


def test_threads_may_share_a_tokenizer():
    """Nothing of a text stays behind in it."""
    stage = compile_stage([words(max_length=64)], FILES, None)
    inputs = [f"the {'fox ' * i}unwanted".encode() for i in range(40)]

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda data: stage.run({"text": texts(data)})["ids"].tolist(), inputs * 5))

    assert rows == [[[2, 5, *[8] * i, 9, 10, 11, 3]] for i in range(40)] * 5


def test_a_long_text_is_read_only_as_far_as_it_is_needed(monkeypatch):
    """A text of a megabyte costs no more than its first words when it is cut on the right."""
    seen = []

    def watched(*args):
        ids_of = wordpiece_of(*args)
        return lambda word: seen.append(word) or ids_of(word)

    monkeypatch.setattr(tokenizer, "wordpiece_of", watched)

    run(words(max_length=5), b"the quick brown fox " * 1000)

    assert seen == ["the", "quick", "brown"]
