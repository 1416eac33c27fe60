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
    plain: str = ""
    """Its table in ``PLAIN``, where it is a message of which nothing but the form matters."""


def _one(name: str, wire: WireType, plain: str = "") -> Known:
    return Known(name, frozenset({wire}), is_repeated=False, plain=plain)


def _many(name: str, wire: WireType, plain: str = "") -> Known:
    # Repeated numbers come one by one or packed, whatever the schema says; parsers read both.
    return Known(name, frozenset({wire, WireType.LENGTH}), is_repeated=True, plain=plain)


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
    14: _many("metadata_props", _L, "text pair"),
    20: _many("training_info", _L),
    25: _many("functions", _L),
    26: _many("configuration", _L, "device configuration"),
}
OPSET: Final[Schema] = {1: _one("domain", _L), 2: _one("version", _V)}
TRAINING: Final[Schema] = {
    1: _one("initialization", _L),
    2: _one("algorithm", _L),
    3: _many("initialization_binding", _L, "text pair"),
    4: _many("update_binding", _L, "text pair"),
}
GRAPH: Final[Schema] = {
    1: _many("node", _L),
    2: _one("name", _L),
    5: _many("initializer", _L),
    10: _one("doc_string", _L),
    11: _many("input", _L, "value"),
    12: _many("output", _L, "value"),
    13: _many("value_info", _L, "value"),
    14: _many("quantization_annotation", _L, "annotation"),
    15: _many("sparse_initializer", _L),
    16: _many("metadata_props", _L, "text pair"),
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
    9: _many("metadata_props", _L, "text pair"),
    10: _many("device_configurations", _L, "node configuration"),
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
    14: _one("tp", _L, "type"),
    15: _many("type_protos", _L, "type"),
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
    16: _many("metadata_props", _L, "text pair"),
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
    12: _many("value_info", _L, "value"),
    13: _one("overload", _L),
    14: _many("metadata_props", _L, "text pair"),
}
PLAIN: Final[Mapping[str, Schema]] = {
    "text pair": {1: _one("key", _L), 2: _one("value", _L)},
    "annotation": {1: _one("tensor_name", _L), 2: _many("quant_parameter_tensor_names", _L, "text pair")},
    "value": {
        1: _one("name", _L),
        2: _one("type", _L, "type"),
        3: _one("doc_string", _L),
        4: _many("metadata_props", _L, "text pair"),
    },
    "type": {
        1: _one("tensor_type", _L, "tensor type"),
        4: _one("sequence_type", _L, "sequence type"),
        5: _one("map_type", _L, "map type"),
        6: _one("denotation", _L),
        7: _one("opaque_type", _L, "opaque type"),
        8: _one("sparse_tensor_type", _L, "tensor type"),
        9: _one("optional_type", _L, "sequence type"),
    },
    "tensor type": {1: _one("elem_type", _V), 2: _one("shape", _L, "shape")},
    "sequence type": {1: _one("elem_type", _L, "type")},
    "map type": {1: _one("key_type", _V), 2: _one("value_type", _L, "type")},
    "opaque type": {1: _one("domain", _L), 2: _one("name", _L)},
    "shape": {1: _many("dim", _L, "axis")},
    "axis": {1: _one("dim_value", _V), 2: _one("dim_param", _L), 3: _one("denotation", _L)},
    "device configuration": {1: _one("name", _L), 2: _one("num_devices", _V), 3: _many("device", _L)},
    "node configuration": {
        1: _one("configuration_id", _L),
        2: _many("sharding_spec", _L, "sharding"),
        3: _one("pipeline_stage", _V),
    },
    "sharding": {
        1: _one("tensor_name", _L),
        2: _many("device", _V),
        3: _many("index_to_device_group_map", _L, "device group"),
        4: _many("sharded_dim", _L, "sharded axis"),
    },
    "device group": {1: _one("key", _V), 2: _many("value", _V)},
    "sharded axis": {1: _one("axis", _V), 2: _many("simple_sharding", _L, "simple sharding")},
    "simple sharding": {1: _one("dim_value", _V), 2: _one("dim_param", _L), 3: _one("num_shards", _V)},
}
"""Messages that hold texts, numbers, and each other."""
