"""A model from elsewhere of any described panel: keys, covariates, static features and calendar, in its window."""

import foreign_models
import numpy as np
import pandas as pd
import panel_tables
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from lockgate.bundle import external_conversion, external_metadata, store
from lockgate.bundle.external_conversion import Declared
from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.errors import BadData, GateRefused, WrongUsage
from lockgate.features import external_columns
from lockgate.features.known_inputs import KnownInputs
from lockgate.forecaster.external import NativeFile
from lockgate.forecaster.window import Window


def columns_of(name):
    return external_columns.columns_of(panel_tables.problem(name), *panel_tables.rows(name))


def window_of(name):
    """The window of a model that was trained until the last horizon of the table."""
    problem, (rows, _) = panel_tables.problem(name), panel_tables.rows(name)
    last = int(problem.period.number(rows["time"].to_numpy()).max())
    return Window(last - problem.horizon, last, last + problem.horizon)


def parts(name):
    """Training rows and holdout, as prepare splits them."""
    rows, window = panel_tables.rows(name)[0], window_of(name)
    number = panel_tables.problem(name).period.number(rows["time"].to_numpy())
    return rows[number <= window.cutoff], rows[number > window.cutoff]


def expected(name, rows):
    """The columns of rows as pandas computes them; those of the calendar without waves."""
    problem = panel_tables.problem(name)
    found = rows[["event", "price"]].astype("float64")
    for key in problem.keys:
        texts = sorted(set(panel_tables.rows(name)[0][key])) if key in ("shop", "segment") else None
        found[key] = rows[key].map(texts.index) if texts else rows[key]
    if name == "day":
        found["kind"] = rows["shop"].map({"a": 1, "b": 0, "c": 1})
    if name != "integer":
        at = rows["time"].dt
        days = rows["time"].to_numpy().astype("datetime64[s]").astype(np.int64) / 86_400
        found = found.assign(
            time=days, hour=at.hour, day_of_week=at.day_of_week, day_of_month=at.day, month=at.month, year=at.year
        )
    else:
        found["time"] = rows["time"]
    return found.astype("float64")


def adopted(name, model, library, columns, texts=None):
    content = model if isinstance(model, bytes) else skops.io.dumps(model)
    train, static = parts(name)[0], panel_tables.rows(name)[1]
    rows = external_conversion.rows_of(panel_tables.problem(name), train, static, window_of(name))
    declared = Declared(tuple(columns), texts, "value")
    return external_conversion.adopt(NativeFile(library, content), declared, rows, train["y"])


@pytest.mark.parametrize("name", panel_tables.TABLES)
def test_the_columns_are_those_that_pandas_makes_and_the_forecasts_the_models_own(name, tmp_path):
    train, holdout = parts(name)
    values = expected(name, train)
    assert set(values) <= set(columns_of(name).numbers)
    model = foreign_models.lightgbm_booster(values, train["y"], 20)
    forecaster = adopted(name, model.model_to_string().encode(), "lightgbm", values.columns, ())
    asked = holdout.drop(columns="y")
    together = forecaster.predict(asked)
    np.testing.assert_array_equal(together, model.predict(expected(name, asked)[list(values)]))
    places = range(0, len(asked), max(len(asked) // 5, 1))
    assert [forecaster.predict(asked.iloc[[place]])[0] for place in places] == together[list(places)].tolist()
    digest = store.save(forecaster, tmp_path / "bundle")
    opened = store.load(tmp_path / "bundle", digest)
    assert np.array_equal(opened.predict(asked), together)
    assert store.save(opened, tmp_path / "again") == digest
    assert opened.window == window_of(name)


def test_an_estimator_takes_keys_and_static_features_as_texts():
    train, holdout = parts("day")
    static = panel_tables.rows("day")[1]

    def values(rows):
        kinds = rows[["shop"]].merge(static, on="shop", how="left")["kind"].set_axis(rows.index)
        return rows[["shop", "event"]].assign(kind=kinds, month=rows["time"].dt.month)

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, ["shop", "kind"]), remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=20),
    ).fit(values(train), train["y"])
    forecaster = adopted("day", model, "sklearn", ())
    asked = holdout.drop(columns="y")
    np.testing.assert_allclose(forecaster.predict(asked), model.predict(values(asked)), rtol=1e-12)


def test_times_out_of_the_window_and_unknown_keys_are_refused():
    train, holdout = parts("day")
    model = foreign_models.lightgbm_booster(train[["event"]].astype("float64"), train["y"], 2)
    forecaster = adopted("day", model.model_to_string().encode(), "lightgbm", ["event"], ())
    asked = holdout.drop(columns="y").head(1)
    with pytest.raises(BadData, match="shop is z"):
        forecaster.predict(asked.assign(shop="z"))
    with pytest.raises(BadData, match="time is"):
        forecaster.predict(asked.assign(time=train["time"].max()))


def test_a_past_column_or_the_target_is_no_column_of_a_model():
    train, _ = parts("month")
    values = train[["event", "y"]].astype("float64")
    model = foreign_models.lightgbm_booster(values, train["y"], 2)
    with pytest.raises(GateRefused, match="not known for a forecast: y"):
        adopted("month", model.model_to_string().encode(), "lightgbm", ["event", "y"], ())


def test_an_unseen_text_of_a_covariate_is_a_missing_one():
    problem = panel_tables.problem("month")
    covariate = {"event": {"type": "category"}, "price": {"type": "number", "missing": "unknown"}}
    described = problem.model_validate(
        problem.model_dump() | {"columns": {**problem.model_dump()["columns"], **covariate}}
    )
    rows = panel_tables.rows("month")[0].assign(event=lambda frame: frame["event"].map({0: "no", 1: "yes"}))
    columns = external_columns.columns_of(described, rows, pd.DataFrame())
    known = KnownInputs(np.zeros(3, dtype=np.int64), np.arange(600, 603), {"event": np.array([1, 0, -1])})
    assert columns.column("event", True, known).tolist() == ["yes", "no", None]
    np.testing.assert_array_equal(columns.column("event", False, known), [1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("name", "text", "until"),
    [("integer", "75", 75), ("month", "2024-06", "2024-06-01"), ("week", "2024-06-05", "2024-06-05")],
)
def test_the_end_of_the_training_is_written_in_the_periods_of_the_problem(name, text, until):
    found = external_metadata.resolve(
        DeclaredMetadata(), {"trained_until": text}, "anna", panel_tables.problem(name)
    ).trained_until
    assert str(found) == str(until)
    with pytest.raises(WrongUsage, match="say trained_until"):
        external_metadata.resolve(DeclaredMetadata(), {"trained_until": "soon"}, "anna", panel_tables.problem(name))
    with pytest.raises(WrongUsage, match="is not declared"):
        external_metadata.resolve(DeclaredMetadata(), {}, "anna", panel_tables.problem(name))
