"""The numbers by which clients know tensors are the same wherever they are made."""

from edged.runtime.tensor_table import table_of
from edged.tensor_socket import Kind
from edged.worker.arrangement import Numbered
from tests.fakes.workers import spec_of, worker_spec


def test_inputs_of_both_kinds_are_counted_together_and_outputs_by_themselves():
    table = table_of(
        [spec_of("file", "BYTES", (1,))],
        [spec_of("bytes", "INT32", (-1, 2048)), spec_of("state", "FP32", (2, 1, 128))],
        [spec_of("label", "BYTES", (-1,)), spec_of("score", "FP32", ())],
        states={"state"},
    )

    assert [
        (entry.kind, entry.index, entry.name, entry.datatype.name, entry.shape, entry.is_state) for entry in table
    ] == [
        (Kind.INPUT, 0, "file", "BYTES", (1,), False),
        (Kind.MODEL_INPUT, 1, "bytes", "INT32", (-1, 2048), False),
        (Kind.MODEL_INPUT, 2, "state", "FP32", (2, 1, 128), True),
        (Kind.OUTPUT, 0, "label", "BYTES", (-1,), False),
        (Kind.OUTPUT, 1, "score", "FP32", (), False),
    ]


def test_the_worker_counts_as_the_table_does():
    spec = worker_spec(b"m", [spec_of("x", "FP32", (1,)), spec_of("n", "INT64", (1,))], [spec_of("y", "FP32", (1,))])
    numbered = Numbered.of(spec, frozenset({"x"}))
    table = table_of(spec.pipeline.inputs, spec.variant.inputs, spec.pipeline.outputs, states=())

    taken = [entry for entry in table if entry.kind is not Kind.OUTPUT]
    assert [entry.name for entry in taken] == [tensor.name for tensor in numbered.inputs]
    assert [entry.kind is Kind.MODEL_INPUT for entry in taken] == [i >= numbered.first_raw for i in range(len(taken))]
    assert numbered.in_place == {0, 2}
