"""A model in ONNX, run by onnxruntime on the CPU: operators of the standard only, and all weights in one file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.models.external_model import BLOCK, in_blocks

Floats = NDArray[np.float64]

DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}  # of operators
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
NUMBERS = ("tensor(float)", "tensor(double)", "tensor(float16)")  # types of an output with numbers
ZIPMAP = "seq(map("
NO_COLUMN = "a model takes one input with all columns, (rows, columns), or one input for each column, (rows, 1)"


@dataclass(frozen=True)
class OnnxModel:
    """A graph with one input for all columns, or one input for each column."""

    content: bytes
    classes: tuple[Any, ...]  # as a ZipMap names them; () without one

    @cached_property
    def session(self) -> Any:
        """The session: one thread, so that the order of sums is always the same."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # errors come as exceptions
        return onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])

    @property
    def names(self) -> tuple[str, ...]:
        inputs = self.session.get_inputs()
        return tuple(given.name for given in inputs) if len(inputs) > 1 else ()

    def raw(self, values: pd.DataFrame, threads: int) -> Floats:
        rows = self.session.get_inputs()[0].shape[:1]
        found = in_blocks(values, self._forecast, rows[0] if rows and isinstance(rows[0], int) else BLOCK)
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    def _forecast(self, rows: pd.DataFrame) -> Any:
        [found] = self.session.run([self._output], self._inputs(rows))
        if self.classes and isinstance(found, list):
            return [[row[name] for name in self.classes] for row in found]
        return found

    def _inputs(self, rows: pd.DataFrame) -> dict[str, NDArray[Any]]:
        inputs = self.session.get_inputs()
        if len(inputs) == 1:
            return {inputs[0].name: _tensor(rows, inputs[0].type)}
        return {given.name: _column(rows, given) for given in inputs}

    @cached_property
    def _output(self) -> str:
        """The name of the output with numbers; others are labels."""
        outputs = self.session.get_outputs()
        zipped = [each.name for each in outputs if each.type.startswith(ZIPMAP)]
        found = zipped if zipped and self.classes else [each.name for each in outputs if each.type in NUMBERS]
        if len(found) != 1:
            listed = ", ".join(f"{each.name} ({each.type})" for each in outputs)
            raise GateRefused(
                f"the model has {len(found)} outputs with numbers instead of one: {listed}",
                hint="export it with one output: the forecast, or the probabilities",
            )
        return str(found[0])


def restore(content: bytes) -> OnnxModel:
    """The model of a file.

    Raises IntegrityBroken for weights in other files; GateRefused for operators outside of the standard, random ones,
    and inputs of types that no column has. A file that is no ONNX raises errors of the library.
    """
    described = onnx.ModelProto.FromString(content)
    _check_operators(described)
    if any(_is_elsewhere(tensor) for tensor in _messages(described, onnx.TensorProto)):
        raise IntegrityBroken(
            "the model's weights are in another file",
            hint="save it in one file: onnx.save(model, path, save_as_external_data=False)",
        )
    model = OnnxModel(content, _zipped_classes(described))
    for given in model.session.get_inputs():
        if given.type not in TYPES or len(given.shape) > 2:
            raise GateRefused(
                f"the model's input {ascii(given.name)[1:-1]} is {given.type} of shape {given.shape}", hint=NO_COLUMN
            )
    return model


def joined(content: bytes, beside: Mapping[str, bytes]) -> bytes:
    """A model with the weights of the files beside it. Raises IntegrityBroken for a file that is not there."""
    if not beside:
        return content
    described = onnx.ModelProto.FromString(content)
    for tensor in _messages(described, onnx.TensorProto):
        if _is_elsewhere(tensor):
            place = {entry.key: entry.value for entry in tensor.external_data}
            _fill(tensor, beside.get(place.get("location", "")), place)
    return bytes(described.SerializeToString(deterministic=True))


def _fill(tensor: Any, held: bytes | None, place: Mapping[str, str]) -> None:
    offset = int(place.get("offset", 0))
    length = int(place.get("length", len(held or b"") - offset))
    if held is None or offset < 0 or length < 0 or offset + length > len(held):
        where = place.get("location", "")
        raise IntegrityBroken(
            f"the model's weights are in {where!a}, which is not beside it or cut off", hint="save it again"
        )
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT
    tensor.raw_data = held[offset : offset + length]


def _is_elsewhere(tensor: Any) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data))


def _check_operators(described: Any) -> None:
    strange = {
        f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        for node in _messages(described, onnx.NodeProto)
        if node.domain not in DOMAINS or node.op_type in RANDOM
    }
    if strange:
        raise GateRefused(
            f"the model has operators that are not accepted: {ascii(', '.join(sorted(strange)[:5]))[1:-1]}",
            hint=f"export it with operators of the domains {', '.join(sorted(DOMAINS - {''}))}, and no random ones",
        )


def _messages(message: Any, kind: type) -> Iterator[Any]:
    """All messages of a kind in a message, also in graphs within attributes."""
    stack = [message]
    while stack:
        found = stack.pop()
        if isinstance(found, kind):
            yield found
        for field, value in found.ListFields():
            if field.message_type is not None:
                stack += list(value) if field.is_repeated else [value]


def _zipped_classes(described: Any) -> tuple[Any, ...]:
    for node in _messages(described, onnx.NodeProto):
        if node.op_type == "ZipMap":
            held = {attribute.name: attribute for attribute in node.attribute}
            if "classlabels_strings" in held:
                return tuple(text.decode() for text in held["classlabels_strings"].strings)
            if "classlabels_int64s" in held:
                return tuple(held["classlabels_int64s"].ints)
    return ()


def _tensor(rows: pd.DataFrame, kind: str) -> NDArray[Any]:
    if kind == "tensor(string)":
        return np.asarray(rows.fillna("").to_numpy(dtype=object))
    return _cast(rows.to_numpy(dtype=np.float64), kind)


def _column(rows: pd.DataFrame, given: Any) -> NDArray[Any]:
    found = _tensor(rows[[given.name]], given.type)
    return found[:, 0] if len(given.shape) == 1 else found


def _cast(values: Floats, kind: str) -> NDArray[Any]:
    if TYPES[kind] in (np.int64, np.int32, np.bool_) and not np.isfinite(values).all():
        raise ValueError("a column with missing values is an input of whole numbers")
    return np.asarray(values, dtype=TYPES[kind])
