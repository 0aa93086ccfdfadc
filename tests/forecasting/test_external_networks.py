"""A network in ONNX as a forecaster: its own numbers on one thread, the same alone and in a batch; or a refusal."""

import json
from pathlib import Path

import foreign_networks
import numpy as np
import onnx
import pandas as pd
import plain_tables
import pytest
from onnx import helper

from lockgate.bundle import external_conversion, store
from lockgate.bundle.external_conversion import Declared
from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.forecaster.answers import answers
from lockgate.forecaster.external import NativeFile
from lockgate.models import onnx_network

COLUMNS = ("size", "flag")
DATA = Path(__file__).parents[1] / "data"


def adopted(model, task="regression", columns=COLUMNS, target="", classes=(), **problem):
    """The forecaster of a model, or of the bytes of a file."""
    content = model if isinstance(model, bytes) else foreign_networks.content(model)
    rows = plain_tables.rows(task, 200)
    usual = target or ("value" if task == "regression" else "probability")
    described = plain_tables.params(task, **problem).problem
    table = external_conversion.rows_of(described, rows, pd.DataFrame(), None)
    declared = Declared(columns, None, usual, classes)
    return external_conversion.adopt(NativeFile("onnx", content), declared, table, rows["price"])


def asked(task="regression", count=300):
    return plain_tables.rows(task, count, seed=2).drop(columns="price")


def values(rows):
    return rows[list(COLUMNS)].to_numpy(dtype=np.float32)


def test_the_forecasts_are_the_networks_own_and_obey_the_laws(tmp_path):
    network, rows = foreign_networks.perceptron(2), asked()
    forecaster, before = adopted(network), rows.copy()
    together = forecaster.predict(rows)
    np.testing.assert_allclose(together, foreign_networks.by_itself(network, values(rows))[:, 0], rtol=1e-4)
    places = range(0, len(rows), 7)
    assert [forecaster.predict(rows.iloc[[place]])[0] for place in places] == together[list(places)].tolist()
    assert np.array_equal(forecaster.predict(rows[::-1]), together[::-1])
    pd.testing.assert_frame_equal(rows, before)
    digest = store.save(forecaster, tmp_path / "bundle")
    opened = store.load(tmp_path / "bundle", digest)
    assert np.array_equal(opened.predict(rows), together)
    assert store.save(opened, tmp_path / "again") == digest


@pytest.mark.parametrize("count", [1, 3])
def test_a_network_that_takes_a_fixed_number_of_rows_is_called_in_blocks_of_it(count):
    rows = asked()
    fixed, free = (adopted(foreign_networks.perceptron(2, rows=size)) for size in (count, "rows"))
    np.testing.assert_allclose(fixed.predict(rows), free.predict(rows), rtol=1e-5)


def test_an_input_for_each_column_may_be_a_text():
    rows = asked()
    found = adopted(foreign_networks.of_columns(), columns=None).predict(rows)
    expected = np.where(rows["colour"] == "green", 10, 0) + rows["size"].fillna(0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_one_output_of_two_classes_is_the_probability_of_the_positive_one():
    rows = asked("binary")
    found = adopted(foreign_networks.perceptron(2, last="Sigmoid"), "binary").predict(rows)
    logits = adopted(foreign_networks.perceptron(2), "binary", target="logit").predict(rows)
    np.testing.assert_allclose(found, logits, atol=1e-6)
    assert ((found > 0) & (found < 1)).all()


def test_several_outputs_are_probabilities_in_the_order_of_the_declared_classes():
    rows, network = asked("multiclass"), foreign_networks.perceptron(2, 3, last="Softmax")
    named = ("middle", "low", "high")
    found = answers(adopted(network, "multiclass", classes=named), rows, 0.9)
    expected = pd.DataFrame(foreign_networks.by_itself(network, values(rows)), columns=named)
    for name in named:
        np.testing.assert_allclose(found[f"probability_{name}"], expected[name], rtol=1e-4)
    logits = adopted(foreign_networks.perceptron(2, 3), "multiclass", target="logit", classes=named)
    np.testing.assert_allclose(
        logits.predict(rows), found[[f"probability_{name}" for name in logits.classes]], rtol=1e-4
    )
    assert found["class"].tolist() == expected.idxmax(axis=1).tolist()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_several_outputs_without_names_need_them(task):
    network = foreign_networks.perceptron(2, 2 if task == "binary" else 3, last="Softmax")
    with pytest.raises(GateRefused) as refusal:
        adopted(network, task)
    assert "--classes" in refusal.value.hint


def zipped(classes):
    """A classifier as skl2onnx writes it by default: a label, and probabilities by class."""
    made = foreign_networks.perceptron(2, len(classes), last="Softmax")
    made.graph.node.append(
        helper.make_node("ZipMap", ["y"], ["probabilities"], domain="ai.onnx.ml", classlabels_strings=list(classes))
    )
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    chances = helper.make_map_type_proto(onnx.TensorProto.STRING, helper.make_tensor_type_proto(1, []))
    made.graph.output.append(helper.make_value_info("probabilities", helper.make_sequence_type_proto(chances)))
    return made


def test_probabilities_by_class_name_their_classes():
    rows, network, plain = (
        asked("multiclass"),
        zipped(["middle", "low", "high"]),
        foreign_networks.perceptron(2, 3, last="Softmax"),
    )
    expected = pd.DataFrame(foreign_networks.by_itself(plain, values(rows)), columns=["middle", "low", "high"])
    forecaster = adopted(network, "multiclass")
    assert forecaster.classes == ("high", "low", "middle")
    np.testing.assert_allclose(forecaster.predict(rows), expected[list(forecaster.classes)], rtol=1e-4)
    with pytest.raises(GateRefused, match="has the classes middle, low, other"):
        adopted(zipped(["middle", "low", "other"]), "multiclass")


def test_a_network_of_pytorch_forecasts_what_pytorch_itself_does():
    """tests/data/make_torch_network.py has trained it on the table and exported it."""
    network, known = (DATA / "torch_network.onnx").read_bytes(), json.loads((DATA / "torch_network.json").read_text())
    forecaster = adopted(network, "binary", target="logit")
    rows = asked("binary", 8).assign(**dict(zip(COLUMNS, np.array(known["x"], dtype=float).T, strict=True)))
    chances = 1 / (1 + np.exp(-np.array(known["logits"])))
    np.testing.assert_allclose(forecaster.predict(rows), chances, rtol=1e-5)
    truth = plain_tables.truth("binary", plain_tables.rows("binary", 300, seed=2))
    loss = plain_tables.loss("binary", truth, forecaster.predict(asked("binary")))
    assert loss < plain_tables.loss("binary", truth, plain_tables.prior("binary"))


def test_outputs_that_are_no_probabilities_are_refused_with_a_hint():
    with pytest.raises(GateRefused, match="no probabilities") as refusal:
        adopted(foreign_networks.perceptron(2), "binary")
    assert "--target logit" in refusal.value.hint


def test_a_wrong_number_of_columns_or_outputs_is_refused():
    with pytest.raises(GateRefused, match="does not forecast rows"):
        adopted(foreign_networks.perceptron(3))
    with pytest.raises(GateRefused, match=r"gives \(2,\) outputs for each row instead of one"):
        adopted(foreign_networks.perceptron(2, 2))
    with pytest.raises(GateRefused, match="does not name its columns"):
        adopted(foreign_networks.perceptron(2), columns=None)
    with pytest.raises(GateRefused, match=r"takes numbers|does not forecast"):
        adopted(foreign_networks.perceptron(2), columns=("size", "colour"))


def test_a_forecast_that_is_no_number_is_refused():
    with pytest.raises(GateRefused, match="gives no number for"), np.errstate(over="ignore"):
        adopted(foreign_networks.perceptron(2, last="Reciprocal"), target="log")


def test_operators_outside_of_the_standard_and_random_ones_are_refused_by_name():
    own = foreign_networks.perceptron(2)
    own.graph.node[-1].domain = "com.microsoft"
    own.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(GateRefused, match=r"not accepted: com\.microsoft\.Gemm"):
        adopted(own)
    with pytest.raises(GateRefused, match="not accepted: RandomNormalLike"):
        adopted(foreign_networks.perceptron(2, last="RandomNormalLike"))


def test_an_operator_within_a_branch_is_found():
    inner = helper.make_graph(
        [helper.make_node("Bernoulli", ["x"], ["z"])], "branch", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    made = foreign_networks.perceptron(2)
    made.graph.node.append(helper.make_node("If", ["flag"], ["w"], then_branch=inner, else_branch=inner))
    with pytest.raises(GateRefused, match="Bernoulli"):
        adopted(made)


def test_weights_in_another_file_are_read_only_from_beside_the_model():
    made = foreign_networks.perceptron(2)
    weights = made.graph.initializer[0].raw_data
    apart = foreign_networks.elsewhere(made, "weights.data")
    with pytest.raises(IntegrityBroken, match="weights are in another file"):
        adopted(apart)
    whole = onnx_network.joined(apart, {"weights.data": weights})
    assert np.array_equal(adopted(whole).predict(asked()), adopted(made).predict(asked()))
    for location in ("/etc/passwd", "../weights.data", "other.data"):
        with pytest.raises(IntegrityBroken, match="not beside it or cut off"):
            onnx_network.joined(foreign_networks.elsewhere(made, location), {"weights.data": weights})
    with pytest.raises(IntegrityBroken, match="cannot read the model"):
        adopted(onnx_network.joined(apart, {"weights.data": weights[:-4]}))


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x0a" + b"junk" * 20, b"\x80\x04pickle"])
def test_a_file_that_is_no_onnx_is_refused(content):
    with pytest.raises(IntegrityBroken, match="cannot read the model"):
        adopted(content)
