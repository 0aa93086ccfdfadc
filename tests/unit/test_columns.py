"""The table of columns of the top folder's problem, Rossmann: the documents list the same columns."""

import re
from pathlib import Path

import pytest

from lockgate.data.column_types import column_type, full_type
from lockgate.problem.columns import Category, Column, Date, Decimal, Flag, Months, Role, Whole
from lockgate.problem.params import load_params

PROJECT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\w+) \| `(\w+)` \| (.+?) \| (.+?) \| (.+) \| (.+) \|$", re.MULTILINE)
PROBLEM = load_params(PROJECT / "params.yaml").problem
REQUEST = [column.name for column in PROBLEM.request]
EXTRAS = PROBLEM.of_role(Role.CHECK, Role.ROW_ID)


def values(kind):
    """The allowed values, as the page writes them."""
    match kind:
        case Whole(low, high) | Date(low, high):
            return f"{low} to {high}"
        case Decimal(low, high):
            return f"{low:.15g} to {high:.15g}, with decimals"
        case Flag():
            return "0 or 1"
        case Category(texts):
            return ", ".join(f"`{text}`" for text in texts)
        case Months():
            return "names such as `Mar,Jun,Sept,Dec`, or empty"


def in_request(column: Column) -> str:
    if column in PROBLEM.required:
        return "required"
    return "optional" if column in (*PROBLEM.request, *EXTRAS) else "no"


def text(page: str) -> str:
    """A page with single spaces."""
    return " ".join((PROJECT / page).read_text(encoding="utf-8").split())


def test_every_column_is_explained_with_its_role_values_and_missing_value():
    page = (PROJECT / "docs/reference/columns.md").read_text(encoding="utf-8")
    assert ROW.findall(page) == [
        (
            column.name,
            column.role.value,
            values(column.kind),
            in_request(column),
            column.missing or "refused",
            column.meaning,
        )
        for column in PROBLEM.table
    ]


def test_the_page_on_mlflow_lists_the_columns_of_a_request_and_their_missing_values():
    listed = [f"{c.name} (0, 1 or empty: {c.missing})" if c.missing else c.name for c in PROBLEM.request]
    assert f"those of Kaggle's test.csv: {', '.join(listed)}." in text("docs/how-to/mlflow-ways-in.md")


def test_the_glossary_lists_the_columns_of_a_request():
    assert f"known before the day: {', '.join(REQUEST)} |" in text("docs/reference/glossary.md")


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/deploy.md"])
def test_every_example_of_a_request_has_its_columns_in_their_order(page):
    listed = re.findall(r'(?:"columns": \[|struct\()("\w+"(?:, "\w+")*)', text(page))
    assert listed == [", ".join(f'"{name}"' for name in REQUEST)]


def test_a_known_covariate_is_a_flag_or_a_category_and_a_category_is_never_missing():
    """The features of Rossmann read no other kind."""
    covariates = PROBLEM.of_role(Role.KNOWN_COVARIATES)
    assert [column.name for column in covariates if not isinstance(column.kind, Flag | Category)] == []
    assert [column.name for column in covariates if column.missing and not isinstance(column.kind, Flag)] == []


def test_only_numbers_have_a_meaning_when_they_are_missing():
    """A missing value becomes NaN."""
    assert {type(column.kind) for column in PROBLEM.table if column.missing} <= {Whole, Decimal, Flag}


def test_every_role_has_a_column_and_its_columns_are_in_the_order_of_the_table():
    assert {column.role for column in PROBLEM.table} == set(Role)
    assert PROBLEM.of_role(*Role) == PROBLEM.table
    assert PROBLEM.of_role(*reversed(Role)) == PROBLEM.table


def test_whole_numbers_have_the_smallest_type_that_holds_them():
    ranges = {Whole(0, 127): "int8", Whole(0, 128): "int32", Whole(-129, 0): "int32", Whole(0, 2**31): "int64"}
    assert {kind: full_type(kind).dtype for kind in ranges} == ranges


def test_a_column_with_a_meaning_of_missing_values_takes_an_empty_cell():
    by_name = {column.name: column for column in PROBLEM.table}
    assert column_type(by_name["Open"]).dtype == "float64"
    assert column_type(by_name["Promo"]).dtype == "int8"
