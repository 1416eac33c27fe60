"""The fields of ONNX's messages, as far as a safety check has to know them (onnx/onnx.proto, IR version 13).

A field that is not listed is refused: what this table does not know, it cannot have judged.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from edged.onnx.protobuf import WireType


class Known(NamedTuple):
    """A field: its name, the wire types it may have, and whether it may come more than once."""

    name: str
    wires: frozenset[WireType]
    is_repeated: bool


def _one(name: str, wire: WireType) -> Known:
    return Known(name, frozenset({wire}), is_repeated=False)


def _many(name: str, wire: WireType) -> Known:
    # Repeated numbers come one by one or packed, whatever the schema says; parsers read both.
    return Known(name, frozenset({wire, WireType.LENGTH}), is_repeated=True)


_V, _L, _F4, _F8 = WireType.VARINT, WireType.LENGTH, WireType.FIXED32, WireType.FIXED64

Schema = Mapping[int, Known]

MODEL: Final[Schema] = {
    1: _one("ir_version", _V),
    2: _one("producer_name", _L),
    3: _one("producer_version", _L),
    4: _one("domain", _L),
    5: _one("model_version", _V),
    6: _one("doc_string", _L),
    7: _one("graph", _L),
    8: _many("opset_import", _L),
    14: _many("metadata_props", _L),
    20: _many("training_info", _L),
    25: _many("functions", _L),
    26: _many("configuration", _L),
}
OPSET: Final[Schema] = {1: _one("domain", _L), 2: _one("version", _V)}
TRAINING: Final[Schema] = {
    1: _one("initialization", _L),
    2: _one("algorithm", _L),
    3: _many("initialization_binding", _L),
    4: _many("update_binding", _L),
}
GRAPH: Final[Schema] = {
    1: _many("node", _L),
    2: _one("name", _L),
    5: _many("initializer", _L),
    10: _one("doc_string", _L),
    11: _many("input", _L),
    12: _many("output", _L),
    13: _many("value_info", _L),
    14: _many("quantization_annotation", _L),
    15: _many("sparse_initializer", _L),
    16: _many("metadata_props", _L),
}
NODE: Final[Schema] = {
    1: _many("input", _L),
    2: _many("output", _L),
    3: _one("name", _L),
    4: _one("op_type", _L),
    5: _many("attribute", _L),
    6: _one("doc_string", _L),
    7: _one("domain", _L),
    8: _one("overload", _L),
    9: _many("metadata_props", _L),
    10: _many("device_configurations", _L),
}
ATTRIBUTE: Final[Schema] = {
    1: _one("name", _L),
    2: _one("f", _F4),
    3: _one("i", _V),
    4: _one("s", _L),
    5: _one("t", _L),
    6: _one("g", _L),
    7: _many("floats", _F4),
    8: _many("ints", _V),
    9: _many("strings", _L),
    10: _many("tensors", _L),
    11: _many("graphs", _L),
    13: _one("doc_string", _L),
    14: _one("tp", _L),
    15: _many("type_protos", _L),
    20: _one("type", _V),
    21: _one("ref_attr_name", _L),
    22: _one("sparse_tensor", _L),
    23: _many("sparse_tensors", _L),
}
TENSOR: Final[Schema] = {
    1: _many("dims", _V),
    2: _one("data_type", _V),
    4: _many("float_data", _F4),
    5: _many("int32_data", _V),
    6: _many("string_data", _L),
    7: _many("int64_data", _V),
    8: _one("name", _L),
    9: _one("raw_data", _L),
    10: _many("double_data", _F8),
    11: _many("uint64_data", _V),
    12: _one("doc_string", _L),
    13: _many("external_data", _L),
    14: _one("data_location", _V),
    16: _many("metadata_props", _L),
}
SPARSE: Final[Schema] = {1: _one("values", _L), 2: _one("indices", _L), 3: _many("dims", _V)}
FUNCTION: Final[Schema] = {
    1: _one("name", _L),
    4: _many("input", _L),
    5: _many("output", _L),
    6: _many("attribute", _L),
    7: _many("node", _L),
    8: _one("doc_string", _L),
    9: _many("opset_import", _L),
    10: _one("domain", _L),
    11: _many("attribute_proto", _L),
    12: _many("value_info", _L),
    13: _one("overload", _L),
    14: _many("metadata_props", _L),
}
