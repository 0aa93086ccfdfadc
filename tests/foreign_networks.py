"""Networks in ONNX, written node by node as an exporter writes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def model(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: dict[str, Any]) -> Any:
    """A model of these nodes; inputs and outputs as (name, type, shape)."""
    made = [[helper.make_tensor_value_info(*each) for each in some] for some in (inputs, outputs)]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "network", *made, held)
    domains = {node.domain for node in nodes} | {""}
    versions = {"": 20, "ai.onnx.ml": 3}
    opsets = [helper.make_opsetid(domain, versions.get(domain, 1)) for domain in sorted(domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def perceptron(columns: int, outputs: int = 1, hidden: int = 32, last: str = "", rows: Any = "rows") -> Any:
    """A perceptron with one hidden layer and random weights; missing values become 0. `last` is an operator."""
    rng = np.random.default_rng(5)
    weights = {
        "first": rng.normal(size=(columns, hidden)).astype("float32") / 10,
        "second": rng.normal(size=(hidden, outputs)).astype("float32") / 10,
        "bias": np.linspace(0, 1, outputs, dtype="float32"),
        "zero": np.float32(0),
    }
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
        helper.make_node("Gemm", ["known", "first"], ["sums"]),
        helper.make_node("Relu", ["sums"], ["inner"]),
        helper.make_node("Gemm", ["inner", "second", "bias"], ["out" if last else "y"]),
    ]
    if last:
        nodes.append(helper.make_node(last, ["out"], ["y"]))
    return model(nodes, [("x", FLOAT, [rows, columns])], [("y", FLOAT, [rows, outputs])], weights)


def of_columns() -> Any:
    """A model with an input for each column: a text, and a number; green adds 10."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["colour"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["green"],
            values_floats=[10.0],
            default_float=0.0,
        ),
        helper.make_node("IsNaN", ["size"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "size"], ["known"]),
        helper.make_node("Add", ["code", "known"], ["y"]),
    ]
    inputs = [("colour", TensorProto.STRING, [None, 1]), ("size", FLOAT, [None, 1])]
    return model(nodes, inputs, [("y", FLOAT, [None, 1])], {"zero": np.float32(0)})


def content(made: Any) -> bytes:
    """The bytes of a model's file."""
    return bytes(made.SerializeToString())


def by_itself(made: Any, values: Any) -> Any:
    """The outputs of the first output, by ONNX's own reference implementation in numpy."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(made).run(None, {made.graph.input[0].name: values})[0]


def elsewhere(made: Any, location: str) -> bytes:
    """The model with the weights of its first tensor in another file."""
    changed = onnx.ModelProto.FromString(content(made))
    tensor = changed.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return content(changed)
