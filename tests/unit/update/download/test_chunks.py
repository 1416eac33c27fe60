"""Which parts of a file are fetched."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle.manifest import CHUNK_BYTES
from edged.codec import encode_canonical
from edged.errors import DigestMismatchError, TrustError
from edged.update.download.chunks import Span, chunk_size, index_limit_bytes, parse_index, plan_spans, whole_file_index
from tests.fakes.repositories import entry_for, index_for, some_bytes

DATA = some_bytes(2 * CHUNK_BYTES + 5, "chunks")
ENTRY = entry_for("model.onnx", "model", DATA)


@given(st.sets(st.integers(0, 60)))
def test_spans_cover_the_missing_chunks_and_nothing_else(missing):
    spans = plan_spans(sorted(missing))

    assert [n for span in spans for n in range(span.first, span.stop)] == sorted(missing)


def test_neighbours_are_one_request():
    assert plan_spans([0, 1, 2, 5, 7, 8]) == [Span(first=0, stop=3), Span(first=5, stop=6), Span(first=7, stop=9)]


def test_signed_index_is_read():
    index = parse_index(ENTRY, encode_canonical(index_for(DATA)))

    assert [chunk_size(index, n) for n in range(3)] == [CHUNK_BYTES, CHUNK_BYTES, 5]


@pytest.mark.parametrize("chunks", [1, 2, 1023, 1 << 14])
def test_limit_admits_every_honest_index(chunks):
    """Of any size up to the last byte of its last chunk."""
    size = chunks * CHUNK_BYTES
    entry = type(ENTRY)(path="m", role="model", sha256="0" * 64, size=size, index="0" * 64)
    document = {"schema": 1, "chunk_bytes": CHUNK_BYTES, "size": size, "sha256": ["0" * 64] * chunks}

    assert len(encode_canonical(document)) <= index_limit_bytes(entry)


def test_altered_index_is_refused():
    data = encode_canonical(index_for(DATA)).replace(b"1", b"2", 1)

    with pytest.raises(DigestMismatchError):
        parse_index(ENTRY, data)


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"no JSON",
        encode_canonical(index_for(DATA[:-1])),
        encode_canonical({"schema": 1, "chunk_bytes": CHUNK_BYTES, "size": len(DATA), "sha256": ["0" * 64]}),
    ],
)
def test_signed_index_that_does_not_fit_the_file_is_refused(document):
    """A publisher's mistake must not make the device fetch for ever."""
    entry = type(ENTRY)(
        path="m", role="model", sha256=ENTRY.sha256, size=ENTRY.size, index=hashlib.sha256(document).hexdigest()
    )

    with pytest.raises(TrustError):
        parse_index(entry, document)


def test_small_file_is_one_chunk():
    entry = entry_for("kit.json", "kit", b"abc")

    assert whole_file_index(entry).sha256 == (entry.sha256,)
