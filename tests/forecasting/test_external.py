"""A booster from elsewhere as a forecaster: its own numbers, for raw rows, under the laws that hold for ours."""

import json
import re
import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path

import foreign_models
import numpy as np
import pandas as pd
import pytest
import small_chain
import xgboost

from lockgate.bundle import external_conversion, external_mlmodel, manifest, store
from lockgate.bundle.external_conversion import Declared
from lockgate.bundle.external_metadata import DeclaredMetadata, resolve
from lockgate.data.column_types import category_codes
from lockgate.errors import BadData, GateRefused, IntegrityBroken
from lockgate.features import calendar
from lockgate.features.known_inputs import KnownInputs
from lockgate.features.store_panel import external_columns
from lockgate.features.store_panel.rossmann import PROBLEM
from lockgate.features.store_panel.store_attributes import CATEGORIES, store_attributes
from lockgate.forecaster.external import Meaning, NativeFile
from lockgate.forecaster.window import Window

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "register.md"
USUAL = foreign_models.USUAL
CUTOFF = date.fromisoformat(small_chain.parts().cutoff)
ORIGIN = int(np.datetime64(small_chain.parts().cutoff).astype(int))
WINDOW = Window(ORIGIN, ORIGIN + 42, ORIGIN + 84)
TRAITS = store_attributes(small_chain.chain().stores)


def adopted(file, names=USUAL, target="log"):
    """The forecaster of a file."""
    parts = small_chain.parts()
    rows = external_conversion.rows_of(PROBLEM, parts.rows, small_chain.chain().stores, WINDOW)
    return external_conversion.adopt(file, Declared(tuple(names), (), target), rows, parts.rows["Sales"])


def learned(names=USUAL):
    values, sales = foreign_models.sold(small_chain.parts().rows, names, small_chain.chain().stores)
    return values, np.log(sales)


def native(booster, library, tmp_path):
    """The library's own file, as MLflow saves it."""
    folder = foreign_models.save(booster, tmp_path / "model", None)
    [file] = [path for path in folder.iterdir() if path.name.startswith("model.")]
    return NativeFile(library, file.read_bytes())


@pytest.fixture(params=foreign_models.TRAIN)
def library(request):
    return request.param


@pytest.fixture
def booster(library):
    return foreign_models.TRAIN[library](*learned(), 20)


@pytest.fixture
def forecaster(booster, library, tmp_path):
    return adopted(native(booster, library, tmp_path))


def by_itself(booster, rows):
    """The library's own forecasts of open days, on columns that pandas has made."""
    values = foreign_models.table(rows, small_chain.chain().stores)[list(USUAL)]
    if isinstance(booster, xgboost.Booster):
        values = xgboost.DMatrix(values)
    return np.exp(booster.predict(values).astype("float64"))


def test_every_column_is_what_pandas_makes_of_the_same_rows():
    rows, stores = small_chain.chain().rows, small_chain.chain().stores
    made = KnownInputs(
        np.searchsorted(TRAITS.store_ids, rows["Store"]),
        calendar.day_numbers(rows["Date"].to_numpy()),
        {
            "Promo": rows["Promo"].to_numpy(),
            "SchoolHoliday": rows["SchoolHoliday"].to_numpy(),
            "StateHoliday": category_codes(rows["StateHoliday"].to_numpy(dtype=object), CATEGORIES["StateHoliday"]),
        },
    )
    expected = foreign_models.table(rows, stores)
    assert tuple(expected) == tuple(external_columns.COLUMNS) == foreign_models.COLUMNS
    assert np.array_equal(external_columns.matrix(tuple(expected), made, TRAITS), expected.to_numpy(), equal_nan=True)
    assert expected["CompetitionDays"].isna().any()
    assert expected["Promo2Round"].any()


def test_the_forecasts_are_the_boosters_own_and_a_closed_store_sells_nothing(forecaster, booster):
    rows = small_chain.parts().holdout
    assert {0, 1} == set(rows["Open"])
    assert np.array_equal(forecaster.predict(rows), np.where(rows["Open"] == 1, by_itself(booster, rows), 0.0))


def test_a_row_alone_and_in_any_order_forecasts_the_same_and_nothing_is_mutated(forecaster):
    rows = small_chain.asked()
    before, together = rows.copy(), forecaster.predict(rows)
    places = np.arange(0, len(rows), 97)
    assert [forecaster.predict(rows.iloc[[place]])[0] for place in places] == together[places].tolist()
    assert np.array_equal(forecaster.predict(rows[::-1]), together[::-1])
    pd.testing.assert_frame_equal(rows, before)


def test_a_bundle_of_it_is_opened_like_any_other_and_forecasts_the_same(forecaster, library, tmp_path):
    digest = store.save(forecaster, tmp_path / "bundle")
    opened = store.load(tmp_path / "bundle", digest)
    rows = small_chain.asked()
    assert np.array_equal(opened.predict(rows), forecaster.predict(rows))
    assert opened.window == WINDOW
    assert (opened.members, opened.check(rows)) == ((library,), forecaster.check(rows))
    assert store.save(opened, tmp_path / "again") == digest
    assert store.probe_rows(tmp_path / "bundle")["Store"][0] == 1


@pytest.fixture
def one(tmp_path):
    """One such forecaster, for what does not depend on the library."""
    booster = foreign_models.lightgbm_booster(*learned(), 10)
    return adopted(native(booster, "lightgbm", tmp_path))


@pytest.mark.parametrize("name", ["foreign.json", "traits.npz", "booster"])
def test_a_changed_file_of_its_bundle_is_refused_before_it_is_opened(one, tmp_path, name):
    digest = store.save(one, tmp_path / "bundle")
    content = bytearray((tmp_path / "bundle" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bundle" / name).write_bytes(content)
    with pytest.raises(IntegrityBroken, match="sha256 mismatch"):
        store.load(tmp_path / "bundle", digest)


def test_files_of_both_kinds_in_one_folder_are_refused(one, tmp_path):
    digest = store.save(small_chain.forecaster(), tmp_path / "bundle")
    (tmp_path / "bundle" / "foreign.json").write_text("{}")
    with pytest.raises(IntegrityBroken, match="other files than a bundle of this code has"):
        store.load(tmp_path / "bundle", digest)


def test_a_probe_that_comes_out_otherwise_is_refused_and_forecasts_of_zero_are_compared_too(one, tmp_path):
    nothing = replace(one, meaning=Meaning(USUAL, "value"))
    store.save(nothing, tmp_path / "bundle")
    path = tmp_path / "bundle" / "foreign.json"
    described = json.loads(path.read_text())
    described["probe"]["forecasts"] = [0.0] * len(described["probe"]["forecasts"])
    contents = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.name != "manifest.json"}
    contents["foreign.json"] = json.dumps(described).encode()
    path.write_bytes(contents["foreign.json"])
    (path.parent / "manifest.json").write_bytes(manifest.written(contents))
    with pytest.raises(IntegrityBroken, match="other numbers"):
        store.load(path.parent, manifest.digest(path.parent))


def test_a_bundle_from_before_bundles_held_their_problem_is_rossmanns(one, tmp_path):
    store.save(replace(one, meaning=Meaning(USUAL, "value")), tmp_path / "bundle")
    folder, description = tmp_path / "bundle", json.loads((tmp_path / "bundle" / "foreign.json").read_text())
    earlier = {name: description[name] for name in ("columns", "library", "probe", "window")} | {"target": "sales"}
    contents = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "manifest.json"}
    contents["foreign.json"] = json.dumps(earlier).encode()
    for name, content in {**contents, "manifest.json": manifest.written(contents)}.items():
        (folder / name).write_bytes(content)
    opened = store.load(folder, manifest.digest(folder))
    assert (opened.problem, opened.meaning) == (PROBLEM, Meaning(USUAL, "value"))


def test_what_may_be_asked_ends_with_the_served_days_and_the_judged_ones_are_counted(one):
    day = {"Store": 1, "Promo": 0, "StateHoliday": "0", "SchoolHoliday": 0}
    rows = pd.DataFrame([day | {"Date": str(np.datetime64(ORIGIN + ahead, "D"))} for ahead in (1, 42, 43, 84)])
    assert one.check(rows).beyond_horizon == 2
    assert one.problems(rows) == []
    for ahead in (0, 85):
        with pytest.raises(BadData, match="Date is"):
            one.predict(rows.assign(Date=str(np.datetime64(ORIGIN + ahead, "D"))))


@pytest.mark.parametrize("target", ["value", "log", "log1p"])
def test_the_stated_target_says_what_the_output_is(one, target):
    raw = np.array([0.5, 2.0])
    expected = {"value": raw, "log": np.exp(raw), "log1p": np.expm1(raw)}
    assert np.array_equal(Meaning(USUAL, target).forecast(raw, ()), expected[target])


def adopting(booster, library, tmp_path, names=USUAL):
    return adopted(native(booster, library, tmp_path), names)


@pytest.mark.parametrize("names", [USUAL[:-1], USUAL[::-1], (*USUAL, "Year"), ("Year", *USUAL[1:])])
def test_a_signature_of_fewer_other_or_shuffled_columns_is_refused(library, booster, tmp_path, names):
    with pytest.raises(GateRefused, match=r"trained on 9 columns \(Store, .*, its signature names"):
        adopting(booster, library, tmp_path, names)


def test_columns_that_the_library_has_named_itself_are_taken_in_the_order_of_the_signature(library, tmp_path):
    values, labels = learned()
    booster = foreign_models.TRAIN[library](values.to_numpy(), labels.to_numpy(), 5)
    assert adopting(booster, library, tmp_path).members == (library,)


def test_categories_of_pandas_are_refused_since_their_codes_are_not_ours(tmp_path):
    values, labels = learned()
    booster = foreign_models.lightgbm_booster(values.astype({"Store": "category"}), labels, 3)
    with pytest.raises(GateRefused, match="has categories"):
        adopting(booster, "lightgbm", tmp_path)


def test_a_loss_whose_output_is_no_forecast_is_refused(tmp_path):
    values, labels = learned()
    booster = foreign_models.catboost_booster(values, labels, 5, loss_function="Poisson")
    with pytest.raises(GateRefused, match="raw output is not its forecast"):
        adopting(booster, "catboost", tmp_path)


def test_several_outputs_are_refused(tmp_path):
    values, labels = learned()
    booster = foreign_models.lightgbm_booster(values, labels > 8, 2, objective="multiclass", num_class=2)
    with pytest.raises(GateRefused, match=r"gives \(2,\) outputs for each row"):
        adopting(booster, "lightgbm", tmp_path)


def test_forecasts_that_are_no_numbers_are_refused(tmp_path):
    values, labels = learned()
    booster = foreign_models.lightgbm_booster(values, np.exp(labels), 20)
    with pytest.raises(GateRefused, match="gives no number for 48 of 48 rows"), np.errstate(over="ignore"):
        adopting(booster, "lightgbm", tmp_path)


def test_rounds_after_the_best_one_are_refused_since_xgboosts_two_faces_disagree_on_them(tmp_path):
    booster = foreign_models.xgboost_booster(*learned(), 5)
    booster.set_attr(best_iteration="2")
    with pytest.raises(GateRefused, match="rounds after its best round"):
        adopting(booster, "xgboost", tmp_path)


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
def test_a_file_that_its_library_cannot_read_is_refused(name):
    with pytest.raises(IntegrityBroken, match=f"{name} cannot read the model"):
        adopted(NativeFile(name, b"{" * 100))


def test_the_example_in_the_docs_makes_a_model_that_comes_in(tmp_path, monkeypatch):
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    small_chain.parts().rows.to_parquet(tmp_path / "data" / "prepared" / "rows.parquet")
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(import lightgbm.*?)```", DOCS.read_text(), re.DOTALL)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(example, {})
    model = external_mlmodel.read(tmp_path / "model")
    assert resolve(DeclaredMetadata(), model.metadata, "anna", PROBLEM).trained_until == date.fromisoformat(
        small_chain.parts().cutoff
    )
    forecaster = adopted(NativeFile(model.library, model.content), model.columns, model.metadata["target"])
    assert np.isfinite(forecaster.predict(small_chain.asked())).all()


def test_the_columns_in_the_docs_are_those_that_a_model_may_take():
    heads = re.findall(
        r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", DOCS.read_text().partition("## What must be")[0], re.MULTILINE
    )
    assert {name for head in heads for name in head.split(", ")} - {"PATH"} == set(external_columns.COLUMNS)


def test_the_day_of_the_statement_is_the_origin(one):
    assert small_chain.trained_until(one) == date.fromordinal(date(1970, 1, 1).toordinal() + ORIGIN)
