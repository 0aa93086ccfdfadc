"""A model from elsewhere on a plain table or on states: its own numbers, for raw rows, or a refusal that says why."""

import io
import zipfile

import catboost
import engine_fleet
import foreign_models
import numpy as np
import pandas as pd
import plain_tables
import pytest
import skops.io
import xgboost
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lockgate.bundle import external_conversion, external_mlmodel, store
from lockgate.bundle.external_conversion import Declared
from lockgate.errors import BadData, GateRefused, IntegrityBroken, WrongUsage
from lockgate.evaluation.explained_rows import explained_rows
from lockgate.forecaster import explain
from lockgate.forecaster.answers import answers
from lockgate.forecaster.external import NativeFile
from lockgate.models import sklearn_estimator
from lockgate.models.catboost import CatboostBooster

TEXTS, NUMBERS = ["colour", "city"], ["size", "flag"]
COLUMNS = [*TEXTS, *NUMBERS]


class Own(BaseEstimator):
    """An estimator of the user's own code."""

    def fit(self, values, target):
        self.mean_ = float(np.mean(target))
        return self

    def predict(self, values):
        return np.full(len(values), self.mean_)


def trained(model, task="regression", **given):
    """A pipeline, fitted on the generated table."""
    rows = plain_tables.rows(task, 300)
    return make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), model).fit(rows[COLUMNS], rows["price"], **given)


def adopted(model, task="regression", declared=None, **problem):
    """The forecaster of an estimator, or of the bytes of a file."""
    content = model if isinstance(model, bytes) else skops.io.dumps(model)
    rows = plain_tables.rows(task, 300)
    described = plain_tables.params(task, **problem).problem
    usual = "value" if task == "regression" else "probability"
    return external_conversion.adopt(
        NativeFile("sklearn", content),
        declared or Declared(None, None, usual),
        external_conversion.rows_of(described, rows, pd.DataFrame(), None),
        rows["price"],
    )


def asked(task="regression", count=40):
    return plain_tables.rows(task, count, seed=2).drop(columns="price")


REGRESSORS = {
    "boosting": HistGradientBoostingRegressor(max_iter=20),
    "trees": GradientBoostingRegressor(n_estimators=10),
    "forest": RandomForestRegressor(10, n_jobs=2),
    "ridge of logs": TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    "network": MLPRegressor(hidden_layer_sizes=(16,), max_iter=2000),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_the_forecasts_are_the_estimators_own_and_obey_the_laws(name, tmp_path):
    model = trained(REGRESSORS[name])
    forecaster, rows = adopted(model), asked(count=300)
    before, together = rows.copy(), forecaster.predict(rows)
    np.testing.assert_allclose(together, model.predict(rows[COLUMNS]), rtol=1e-12)
    places = range(0, len(rows), 37)
    assert [forecaster.predict(rows.iloc[[place]])[0] for place in places] == together[list(places)].tolist()
    assert np.array_equal(forecaster.predict(rows[::-1]), together[::-1])
    assert np.array_equal(forecaster.predict(rows[rows.columns[::-1]]), together)
    pd.testing.assert_frame_equal(rows, before)
    digest = store.save(forecaster, tmp_path / "bundle")
    opened = store.load(tmp_path / "bundle", digest)
    assert np.array_equal(opened.predict(rows), together)
    assert store.save(opened, tmp_path / "again") == digest
    found = answers(opened, rows, 0.9)
    assert list(found) == ["prediction", "lower", "upper"]
    assert found[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("model", [HistGradientBoostingClassifier(max_iter=10), LogisticRegression()], ids=str)
def test_the_probabilities_are_those_of_the_problems_classes(model, task, tmp_path):
    fitted, rows = trained(model, task), asked(task)
    forecaster = adopted(fitted, task)
    expected = fitted.predict_proba(rows[COLUMNS])
    order = [list(fitted.classes_).index(name) for name in forecaster.classes]
    found = forecaster.predict(rows)
    np.testing.assert_allclose(found, expected[:, order[-1]] if task == "binary" else expected[:, order], rtol=1e-12)
    names = (
        ["prediction", "class"] if task == "binary" else ["class", *(f"probability_{c}" for c in forecaster.classes)]
    )
    digest = store.save(forecaster, tmp_path / "bundle")
    assert list(answers(store.load(tmp_path / "bundle", digest), rows, 0.9)) == names
    assert set(answers(forecaster, rows, 0.9)["class"]) <= set(forecaster.classes)


def test_the_positive_class_may_be_the_first_of_the_estimator():
    fitted, rows = trained(LogisticRegression(), "binary"), asked("binary")
    forecaster = adopted(fitted, "binary", positive="no")
    assert forecaster.classes == ("yes", "no")
    np.testing.assert_allclose(forecaster.predict(rows), fitted.predict_proba(rows[COLUMNS])[:, 0], rtol=1e-12)


def test_a_model_of_zeros_and_ones_forecasts_the_positive_class():
    rows = plain_tables.rows("binary", 300)
    fitted = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), LogisticRegression())
    fitted.fit(rows[COLUMNS], (rows["price"] == "yes").astype(int))
    found = adopted(fitted, "binary").predict(asked("binary"))
    np.testing.assert_allclose(found, fitted.predict_proba(asked("binary")[COLUMNS])[:, 1], rtol=1e-12)


def test_a_state_takes_the_columns_of_its_rows_and_stays_within_the_cap():
    fleet = engine_fleet.fleet(6)
    problem = engine_fleet.fleet_problem()
    columns = ["cycle", *engine_fleet.SENSORS]
    model = HistGradientBoostingRegressor(max_iter=30).fit(fleet[columns], fleet["cycles_left"])
    rows = external_conversion.rows_of(problem, fleet, pd.DataFrame(), None)
    forecaster = external_conversion.adopt(
        NativeFile("sklearn", skops.io.dumps(model)), Declared(None, None, "value"), rows, fleet["cycles_left"]
    )
    asked = engine_fleet.fleet(2, seed=9).drop(columns="cycles_left")
    expected = np.clip(model.predict(asked[columns]), 0, engine_fleet.CAP)
    np.testing.assert_allclose(forecaster.predict(asked), expected, rtol=1e-12)
    assert forecaster.window is None


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Own(), "__main__.Own|test_external_tables.Own"),
        (KNeighborsRegressor(), "sklearn.neighbors._regression.KNeighborsRegressor"),
        (make_pipeline(FunctionTransformer(np.linalg.norm), Ridge()), "numpy.linalg.norm"),
        (make_pipeline(FunctionTransformer(zipfile.is_zipfile), Ridge()), "zipfile.is_zipfile"),
        (make_pipeline(FunctionTransformer(np.array), Ridge()), "numpy.array"),
        (TransformedTargetRegressor(Ridge(), func=np.save, inverse_func=np.load), "numpy.load"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_type_or_function_that_is_not_listed_is_refused_by_its_name(model, names):
    with pytest.raises(GateRefused, match=f"types that are not trusted: .*({names})") as refusal:
        adopted(skops.io.dumps(model))
    assert refusal.value.exit_code == 4
    assert "docs/how-to/register.md" in refusal.value.hint


def test_a_function_with_arguments_or_a_method_is_refused():
    from functools import partial

    with pytest.raises(GateRefused, match=r"functools\.partial"):
        adopted(skops.io.dumps(FunctionTransformer(partial(np.log1p))))
    with pytest.raises(GateRefused, match="not trusted"):
        adopted(skops.io.dumps(FunctionTransformer(Ridge().fit)))


def changed(model, change):
    """The file of a model with another description."""
    source, target = zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name in source.namelist():
            content = source.read(name)
            file.writestr(name, change(content.decode()) if name == "schema.json" else content)
    return target.getvalue()


@pytest.mark.parametrize("loader", ["OperatorFuncNode", "ConstructorFromReduceNode", "MethodNode", "Made_up"])
def test_another_way_of_making_a_listed_type_is_refused(loader):
    content = changed(Ridge(), lambda text: text.replace('"ObjectNode"', f'"{loader}"'))
    with pytest.raises(GateRefused, match="not trusted"):
        adopted(content)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04pickle"])
def test_a_file_that_is_none_of_skops_is_refused(content):
    with pytest.raises(IntegrityBroken, match="no file of skops"):
        adopted(content)


@pytest.mark.parametrize(("limit", "match"), [("LARGEST_SCHEMA", "description"), ("LARGEST_UNPACKED", "unpacks to")])
def test_an_archive_that_unpacks_to_more_than_a_model_may_have_is_refused(limit, match, monkeypatch):
    """A few kilobytes of a file may stand for gigabytes."""
    monkeypatch.setattr(sklearn_estimator, limit, 1 << 16)
    content = changed(Ridge(), lambda text: text + " " * (1 << 20))
    assert len(content) < 1 << 16
    with pytest.raises(IntegrityBroken, match=match):
        adopted(content)


@pytest.mark.parametrize("kind", [HistGradientBoostingRegressor(max_iter=3), RandomForestRegressor(2)], ids=str)
def test_a_tree_that_points_outside_of_itself_is_refused(kind):
    model = trained(kind)
    inner = model[-1]
    if hasattr(inner, "_predictors"):
        inner._predictors[0][0].nodes["left"][0] = 10_000
    else:
        inner.estimators_[0].tree_.children_left[0] = 10_000
    with pytest.raises(IntegrityBroken, match="points outside"):
        adopted(skops.io.dumps(model))


def test_a_column_that_no_request_has_is_refused():
    rows = plain_tables.rows("regression", 100)
    model = Ridge().fit(rows[["size", "flag"]].fillna(0).assign(profit=1.0), rows["price"])
    with pytest.raises(GateRefused, match="not known for a forecast: profit"):
        adopted(model)


def test_a_model_without_names_needs_them_declared_and_may_have_them():
    rows = plain_tables.rows("regression", 100)
    model = HistGradientBoostingRegressor(max_iter=5).fit(rows[["size", "flag"]].to_numpy(), rows["price"])
    with pytest.raises(GateRefused, match="does not name its columns"):
        adopted(model)
    forecaster = adopted(model, declared=Declared(("size", "flag"), None, "value"))
    np.testing.assert_array_equal(forecaster.predict(asked()), model.predict(asked()[["size", "flag"]].to_numpy()))
    with pytest.raises(GateRefused, match=r"does not forecast rows|gives no number"):
        adopted(model, declared=Declared(("size",), None, "value"))


@pytest.mark.parametrize(
    ("texts", "match"), [(("colour", "city", "size"), "texts for columns with numbers: size"), (("city",), "colour")]
)
def test_texts_and_numbers_must_be_those_of_the_problem(texts, match):
    with pytest.raises(GateRefused, match=match):
        adopted(trained(Ridge()), declared=Declared(tuple(COLUMNS), texts, "value"))


def test_a_model_that_stops_at_an_unseen_text_or_a_missing_value_is_refused_with_a_hint():
    strict = trained(Ridge())
    strict[0].named_transformers_["onehotencoder"].handle_unknown = "error"
    with pytest.raises(GateRefused, match="does not forecast rows that the problem allows: Found unknown") as refusal:
        adopted(strict)
    assert "handle_unknown" in refusal.value.hint


def test_classes_that_are_not_the_problems_are_refused():
    rows = plain_tables.rows("binary", 200)
    other = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), LogisticRegression())
    other.fit(rows[COLUMNS], rows["price"].map({"yes": "sold", "no": "kept"}))
    with pytest.raises(GateRefused, match="has the classes kept, sold, and price has no, yes"):
        adopted(other, "binary")
    named = Declared(None, None, "probability", ("no", "yes"))
    np.testing.assert_allclose(
        adopted(other, "binary", named).predict(asked("binary")), other.predict_proba(asked("binary")[COLUMNS])[:, 1]
    )


@pytest.mark.parametrize(
    ("model", "task", "match"),
    [
        (lambda: trained(LogisticRegression(), "binary"), "regression", "forecasts the classes no, yes"),
        (lambda: trained(Ridge().set_params(), "regression"), "multiclass", "does not name its classes"),
        (lambda: trained(RandomForestClassifier(3), "multiclass"), "binary", "has the classes high, low, middle"),
    ],
)
def test_a_model_of_another_task_is_refused(model, task, match):
    with pytest.raises(GateRefused, match=match):
        adopted(model(), task)


def test_several_outputs_and_numbers_that_are_not_finite_are_refused():
    rows = plain_tables.rows("regression", 200)
    values = rows[["size", "flag"]].fillna(0)
    several = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), Ridge())
    several.fit(rows[COLUMNS], np.column_stack([rows["price"], rows["price"]]))
    with pytest.raises(GateRefused, match=r"gives \(2,\) outputs for each row instead of one"):
        adopted(several)
    huge = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), Ridge()).fit(rows[COLUMNS], values["size"] * 100)
    with pytest.raises(GateRefused, match="gives no number for"), np.errstate(over="ignore"):
        adopted(huge, declared=Declared(None, None, "log"))


def test_a_value_that_is_not_allowed_is_refused_as_for_our_own_forecasters():
    forecaster = adopted(trained(Ridge()))
    with pytest.raises(BadData, match="flag is 7"):
        forecaster.predict(asked().assign(flag=7))
    with pytest.raises(BadData, match="missing column flag"):
        forecaster.predict(asked().drop(columns="flag"))
    assert forecaster.check(asked()).rows == 40


def booster(library, task, columns=("size", "flag", "day")):
    """A booster of numbers, and their frame: a date is a number of days."""
    rows = plain_tables.rows(task, 300)
    values = numbers(rows)[list(columns)]
    labels = plain_tables.truth(task, rows)
    classes = {"regression": 0, "binary": 2, "multiclass": 3}[task]
    if library == "lightgbm":
        how = {0: {}, 2: {"objective": "binary"}, 3: {"objective": "multiclass", "num_class": 3}}[classes]
        return foreign_models.lightgbm_booster(values, labels, 15, **how)
    if library == "xgboost":
        how = {0: {}, 2: {"objective": "binary:logistic"}, 3: {"objective": "multi:softprob", "num_class": 3}}[classes]
        return xgboost.train({"max_depth": 3, "nthread": 1} | how, xgboost.DMatrix(values, labels), 15)
    quiet = {"iterations": 15, "depth": 3, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
    if not classes:
        return catboost.CatBoostRegressor(**quiet).fit(values, labels)
    return catboost.CatBoostClassifier(**quiet).fit(values, rows["price"].to_numpy(dtype=object))


def numbers(rows):
    days = rows["day"].to_numpy().astype("datetime64[D]").astype(float)
    return rows[["size", "flag"]].astype("float64").assign(day=days)


def own(model, rows):
    """The library's own forecasts."""
    values = numbers(rows)
    if isinstance(model, xgboost.Booster):
        return model.predict(xgboost.DMatrix(values))
    if isinstance(model, catboost.CatBoostClassifier):
        return model.predict_proba(values)
    return model.predict(values)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("library", foreign_models.TRAIN)
def test_a_booster_of_a_plain_table_forecasts_its_own_numbers_and_probabilities(library, task, tmp_path):
    model, rows = booster(library, task), asked(task)
    folder = foreign_models.save(model, tmp_path / "model", numbers(rows))
    read = external_mlmodel.read(folder)
    named = () if library == "catboost" or task != "multiclass" else ("high", "low", "middle")
    usual = "value" if task == "regression" else "probability"
    rows_of = external_conversion.rows_of(
        plain_tables.params(task).problem, plain_tables.rows(task, 300), pd.DataFrame(), None
    )
    forecaster = external_conversion.adopt(
        NativeFile(read.library, read.content),
        Declared(read.columns, read.texts, usual, named),
        rows_of,
        plain_tables.rows(task, 300)["price"],
    )
    expected = own(model, rows)
    if task == "binary" and expected.ndim == 2:
        expected = expected[:, 1]
    np.testing.assert_allclose(forecaster.predict(rows), expected, rtol=1e-6)
    digest = store.save(forecaster, tmp_path / "bundle")
    assert np.array_equal(store.load(tmp_path / "bundle", digest).predict(rows), forecaster.predict(rows))


def test_a_booster_whose_second_class_is_not_the_positive_one_is_turned_round():
    model, rows = booster("catboost", "binary"), asked("binary")
    content = bytes(CatboostBooster(model).dump())
    table = plain_tables.rows("binary", 300)
    problem = plain_tables.params("binary", positive="no").problem
    forecaster = external_conversion.adopt(
        NativeFile("catboost", content),
        Declared(("size", "flag", "day"), (), "probability"),
        external_conversion.rows_of(problem, table, pd.DataFrame(), None),
        table["price"],
    )
    np.testing.assert_allclose(forecaster.predict(rows), own(model, rows)[:, 0], rtol=1e-6)


def test_a_booster_takes_the_places_of_listed_categories_and_no_free_texts():
    table = plain_tables.rows("regression", 300)
    listed = {**plain_tables.COLUMNS, "colour": {"type": "category", "categories": ["blue", "green", "red"]}}
    problem = plain_tables.params("regression", columns={**listed, "price": {"type": "number"}}).problem
    codes = table["colour"].map(["blue", "green", "red"].index).astype("float64")
    values = pd.DataFrame({"colour": codes, "flag": table["flag"].astype("float64")})
    model = foreign_models.lightgbm_booster(values, table["price"], 10)
    native = NativeFile("lightgbm", model.model_to_string().encode())
    rows = external_conversion.rows_of(problem, table, pd.DataFrame(), None)
    forecaster = external_conversion.adopt(native, Declared(("colour", "flag"), (), "value"), rows, table["price"])
    np.testing.assert_allclose(forecaster.predict(table.drop(columns="price")), model.predict(values), rtol=1e-9)
    free = external_conversion.rows_of(plain_tables.params("regression").problem, table, pd.DataFrame(), None)
    with pytest.raises(GateRefused, match="takes numbers for columns with texts: colour"):
        external_conversion.adopt(native, Declared(("colour", "flag"), (), "value"), free, table["price"])


def test_the_forecasts_of_an_external_model_are_not_explained():
    forecaster = adopted(trained(Ridge()))
    assert not explain.can_explain(forecaster)
    with pytest.raises(WrongUsage, match="an external model has no explanations"):
        explain.explain(forecaster, asked(), np.arange(2))
    assert explained_rows(forecaster, plain_tables.rows("regression", 40), forecaster.predict(asked())) == []
