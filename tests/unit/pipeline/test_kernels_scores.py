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
from edged.pipeline.steps import Argmax, BytesWindow, Labels, OneHot, Sigmoid, Softmax, Threshold, TopK
from edged.pipeline.steps.base import MisfitError
from tests.fakes.steps import floats, no_graphs, run_step, spec

WINDOW = BytesWindow(input="content", output="window", begin=4, end=3, block=8, padding=256)
WHITE = " \t\n\r\x0b\x0c"

finite = st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32)
rows = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=finite)


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


@given(rows)
def test_sigmoid_equals_its_definition_in_double_precision(values):
    shares = run_step(Sigmoid(input="x", output="y"), {"x": values})["y"]

    wanted = [1 / (1 + math.exp(-v)) if v > -700 else 0.0 for v in values.astype(float).ravel()]
    np.testing.assert_allclose(shares.ravel(), wanted, rtol=1e-6, atol=1e-37)


@given(rows)
def test_sigmoid_of_a_number_and_of_its_opposite_add_up_to_one(values):
    step = Sigmoid(input="x", output="y")

    np.testing.assert_allclose(run_step(step, {"x": values})["y"] + run_step(step, {"x": -values})["y"], 1, atol=1e-6)


def arg_of(row):
    """The index of the largest element that is a number above minus infinity, the smallest among equals."""
    return max(range(len(row)), key=lambda i: (-math.inf if math.isnan(row[i]) else row[i], -i))


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
        elements=st.sampled_from([np.nan, -np.inf, -1.0, -0.0, 0.0, 1.0, np.inf]),
    ),
    st.data(),
)
def test_argmax_is_the_first_of_the_largest(values, data):
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))

    index = run_step(Argmax(input="x", output="i", axis=axis), {"x": values})["i"]

    assert index.dtype == np.int64
    last = np.moveaxis(values, axis, -1)
    assert index.ravel().tolist() == [arg_of(row) for row in last.reshape(-1, last.shape[-1]).tolist()]


@pytest.mark.parametrize(("shape", "axis"), [((3,), 1), ((3,), -2), ((2, 0), -1), ((), -1)])
def test_argmax_needs_its_axis(shape, axis):
    with pytest.raises(MisfitError, match="axis"):
        Argmax(input="x", output="i", axis=axis).gives({"x": spec("x", *shape)})


@given(
    hnp.arrays(
        st.sampled_from([np.int32, np.int64]), hnp.array_shapes(max_dims=3, max_side=4), elements=st.integers(0, 4)
    ),
    st.integers(5, 7),
)
def test_one_hot_has_its_only_one_at_the_index(indices, depth):
    row = run_step(OneHot(input="i", output="row", depth=depth), {"i": indices})["row"]

    assert row.shape == (*indices.shape, depth)
    assert (row.sum(axis=-1) == 1).all()
    assert (row.argmax(axis=-1) == indices).all()


@pytest.mark.parametrize("index", [-1, 3])
def test_one_hot_refuses_an_index_it_has_no_place_for(index):
    with pytest.raises(TensorError, match=r"one_hot@1.*0 \.\.\. 2"):
        run_step(OneHot(input="i", output="row", depth=3), {"i": np.array([0, index])})


def test_one_hot_refuses_more_than_fits_into_memory():
    """A request of 64 MB could ask for 500 TB."""
    with pytest.raises(TensorError, match="at most 4 are taken"):
        run_step(OneHot(input="i", output="row", depth=1 << 24), {"i": np.zeros(5, np.int64)})


@given(
    hnp.arrays(np.float32, st.integers(0, 8), elements=st.sampled_from([np.nan, -1.0, 0.0, 0.5, 0.75, 1.0, np.inf])),
    st.sampled_from([-1.0, 0.5, 0.6, 1.0]),
    st.integers(1, 9),
    st.booleans(),
)
def test_threshold_gives_what_reaches_it_largest_first(row, threshold, k, has_lead):
    step = Threshold(input="x", values="v", indices="i", threshold=threshold, k=k)

    known = run_step(step, {"x": row[np.newaxis] if has_lead else row})

    wanted = sorted((-value, i) for i, value in enumerate(row.tolist()) if value >= threshold)[:k]
    assert known["v"].tolist() == ([[-v for v, _ in wanted]] if has_lead else [-v for v, _ in wanted])
    assert known["i"].ravel().tolist() == [i for _, i in wanted]


def test_a_threshold_that_fp32_does_not_have_is_compared_as_it_is():
    """0.1 in FP32 is a little above 0.1, and 0.7 a little below 0.7."""
    step = Threshold(input="x", values="v", indices="i", threshold=0.1, k=1)

    assert run_step(step, {"x": floats(0.1)})["i"].tolist() == [0]
    step = Threshold(input="x", values="v", indices="i", threshold=0.7, k=1)
    assert run_step(step, {"x": floats(0.7)})["i"].tolist() == []


@pytest.mark.parametrize("step", [Argmax(input="x", output="y"), Sigmoid(input="x", output="y")])
@pytest.mark.parametrize("dtype", ["FP64", "INT8", "BYTES"])
def test_scores_are_fp32(step, dtype):
    with pytest.raises(MisfitError, match=rf"^input: expected FP32.*x, which is {dtype} \[3\]"):
        step.gives({"x": spec("x", 3, dtype=dtype)})


def test_thresholds_are_for_one_row():
    step = Threshold(input="x", values="v", indices="i", threshold=0.5, k=2)

    assert [str(item) for item in step.gives({"x": spec("x", -1, 9)})] == ["FP32 [1, any]", "INT64 [1, any]"]
    with pytest.raises(MisfitError, match="one more that is 1"):
        step.gives({"x": spec("x", 2, 9)})
    with pytest.raises(TensorError, match=r"threshold@1.*x, which is FP32 \[2, 9\]"):
        run_step(step, {"x": np.zeros((2, 9), np.float32)})
