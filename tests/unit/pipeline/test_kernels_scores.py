"""Every step against its description, and against an independent reference where there is one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import BundleError, TensorError
from edged.pipeline.kernels import compile_stage
from edged.pipeline.kernels.files import bytes_window
from edged.pipeline.kernels.scores import read_labels, softmax, top_k
from edged.pipeline.steps import BytesWindow, Labels, Softmax, TopK

WINDOW = BytesWindow(input="content", output="window", begin=4, end=3, block=8, padding=256)
WHITE = " \t\n\r\x0b\x0c"

finite = st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32)
rows = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=finite)


def no_graphs(*_):
    raise AssertionError("none of these steps has a graph")


def texts(*items: bytes) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def reference_window(data: bytes, begin: int, end: int, block: int, padding: int) -> list[int]:
    """The step's description, one byte at a time."""
    first = list(data[:block])
    while first and chr(first[0]) in WHITE:
        first.pop(0)
    last = list(data[-block:])
    while last and chr(last[-1]) in WHITE:
        last.pop()
    first, last = first[:begin], last[-end:]
    return first + [padding] * (begin - len(first)) + [padding] * (end - len(last)) + last


@pytest.mark.parametrize(
    ("data", "window"),
    [
        (b"", [256, 256, 256, 256, 256, 256, 256]),
        (b"a", [97, 256, 256, 256, 256, 256, 97]),
        (b" \n\t ", [256, 256, 256, 256, 256, 256, 256]),
        (b"abcdefghij", [97, 98, 99, 100, 104, 105, 106]),
        (b"  ab", [97, 98, 256, 256, 32, 97, 98]),
        (b"ab  ", [97, 98, 32, 32, 256, 97, 98]),
        (b"\x00ab\x00", [0, 97, 98, 0, 97, 98, 0]),
        (b"x" + b" " * 8, [120, 32, 32, 32, 256, 256, 256]),
        (b" " * 8 + b"x", [256, 256, 256, 256, 32, 32, 120]),
    ],
)
def test_a_window_holds_the_first_and_last_bytes(data, window):
    """White space goes from the outside of each block; padding comes after the first part and before the last."""
    assert bytes_window(data, WINDOW).tolist() == [window]


@given(
    data=st.binary(max_size=40) | st.text(WHITE + "ab", max_size=40).map(str.encode),
    begin=st.integers(1, 12),
    end=st.integers(1, 12),
    block=st.integers(1, 20),
)
def test_a_window_follows_its_description_for_any_file(data, begin, end, block):
    step = BytesWindow(input="i", output="o", begin=begin, end=end, block=block, padding=-1)

    window = bytes_window(data, step)

    assert window.dtype == np.int32
    assert window.tolist() == [reference_window(data, begin, end, block, -1)]


def test_a_window_equals_what_magika_computes():
    """The step exists to feed magika's model, so it must agree with the package byte for byte, block boundaries included."""
    magika = pytest.importorskip("magika", reason="the comparison needs the magika package (the demo extra)")
    from io import BytesIO

    from magika.types import Seekable

    step = BytesWindow(input="i", output="o", begin=1024, end=1024, block=4096, padding=256)
    for size in (0, 1, 7, 8, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 5000, 8191, 8192, 8193):
        for before, after in ((0, 0), (3, 0), (0, 3), (4096, 4096)):
            body = bytes(33 + i % 200 for i in range(size))
            data = b" " * before + body + b"\n" * after
            wanted = magika.Magika._extract_features_from_seekable(
                Seekable(BytesIO(data)),
                beg_size=1024,
                mid_size=0,
                end_size=1024,
                padding_token=256,
                block_size=4096,
                use_inputs_at_offsets=False,
            )
            assert bytes_window(data, step)[0].tolist() == [*wanted.beg, *wanted.end]


@given(rows)
def test_softmax_equals_its_definition_in_double_precision(values):
    shares = softmax(values)

    assert shares.dtype == np.float32
    assert shares.shape == values.shape
    for row, share in zip(values.reshape(-1, values.shape[-1]), shares.reshape(-1, values.shape[-1]), strict=True):
        powers = [math.exp(float(v) - float(row.max())) for v in row]
        np.testing.assert_allclose(share, np.array(powers) / sum(powers), atol=1e-6)


@pytest.mark.parametrize("row", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_softmax_of_a_row_without_one_is_nan(row):
    """Nothing is invented for values that have no softmax; the kit's comparison refuses NaN."""
    assert np.isnan(softmax(np.array([row], dtype=np.float32))).any()


@given(rows, st.data())
def test_top_k_equals_sorting_by_value_then_index(values, data):
    k = data.draw(st.integers(1, values.shape[-1]))

    largest, indices = top_k(values, k)

    assert (largest.dtype, indices.dtype) == (np.float32, np.int64)
    flat = zip(values.reshape(-1, values.shape[-1]), largest.reshape(-1, k), indices.reshape(-1, k), strict=True)
    for row, got, where in flat:
        wanted = sorted(range(len(row)), key=lambda i, row=row: (-row[i], i))[:k]
        assert where.tolist() == wanted
        assert got.tolist() == [row[i] for i in wanted]


def test_top_k_puts_the_smaller_index_first_among_equals():
    values, indices = top_k(np.array([[1, 3, 3, 2, 3]], dtype=np.float32), 4)

    assert values.tolist() == [[3, 3, 3, 2]]
    assert indices.tolist() == [[1, 2, 4, 3]]


def test_top_k_puts_nan_last():
    assert top_k(np.array([np.nan, -np.inf, 1], dtype=np.float32), 3)[1].tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\n", [b"a", b""]),
        ("über\n".encode(), ["über".encode()]),
    ],
)
def test_labels_are_the_lines_of_their_file(data, labels):
    assert read_labels(data, "labels.txt").tolist() == labels


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\n"])
def test_labels_without_lines_or_not_utf8_are_refused(data):
    with pytest.raises(BundleError, match=r"labels\.txt"):
        read_labels(data, "labels.txt")


def classify(*, k: int = 2, labels: bytes = b"cat\ndog\nowl\n"):
    post = (
        Softmax(input="scores", output="shares"),
        TopK(input="shares", values="confidence", indices="index", k=k),
        Labels(input="index", output="label", file="labels.txt"),
    )
    return compile_stage(post, {"labels.txt": labels}, no_graphs)


def test_steps_run_in_order_and_keep_what_came_before():
    known = classify().run({"scores": np.array([[1, 0, 2]], dtype=np.float32)})

    assert known["label"].tolist() == [[b"owl", b"cat"]]
    assert known["index"].tolist() == [[2, 0]]
    np.testing.assert_allclose(known["confidence"], [[0.66524096, 0.24472847]], rtol=1e-6)
    assert set(known) == {"scores", "shares", "confidence", "index", "label"}


def test_a_pipeline_gives_the_same_answer_twice():
    """A compiled pipeline keeps nothing between requests."""
    stage = classify()
    scores = {"scores": np.array([[3, 1, 2]], dtype=np.float32)}

    assert stage.run(scores)["label"].tolist() == stage.run(scores)["label"].tolist()


def test_a_step_refuses_what_it_does_not_take():
    pre = compile_stage((WINDOW,), {}, no_graphs)

    with pytest.raises(TensorError, match="bytes_window"):
        pre.run({"content": texts(b"a", b"b")})
    with pytest.raises(TensorError, match="bytes_window"):
        pre.run({"content": np.zeros(1, dtype=np.int32)})
    with pytest.raises(TensorError, match="FP32"):
        classify().run({"scores": np.zeros((1, 3), dtype=np.float64)})
    with pytest.raises(TensorError, match="at least 1"):
        classify().run({"scores": np.zeros((1, 0), dtype=np.float32)})
    with pytest.raises(TensorError, match="at least 9"):
        classify(k=9).run({"scores": np.zeros((1, 3), dtype=np.float32)})


def test_an_index_without_a_label_is_the_publishers_fault():
    with pytest.raises(BundleError, match="has 1 lines"):
        classify(labels=b"cat").run({"scores": np.array([[0, 1, 2]], dtype=np.float32)})


def test_a_missing_label_file_is_found_when_the_pipeline_is_compiled():
    post = (Labels(input="index", output="label", file="gone.txt"),)

    with pytest.raises(BundleError, match=r"gone\.txt"):
        compile_stage(post, {}, no_graphs)
