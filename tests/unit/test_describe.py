"""lockgate init guesses what a person would say of a table, and says what it does not know."""

import datetime
import gzip
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lockgate.data import ingest
from lockgate.describe import document, folder, guess, layout, reading
from lockgate.describe.document import Document
from lockgate.describe.guess import Wish
from lockgate.describe.side_table import side_table_of
from lockgate.errors import BadData, WrongUsage
from lockgate.problem.params import load_params

DRAWN = np.random.default_rng(3)


def written(path: Path, header: Sequence[str], columns: Sequence[Sequence[Any]], delimiter: str = ",") -> Path:
    lines = [delimiter.join(header), *(delimiter.join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def described(path: Path, target: str, *sides: Path, **wish: Any) -> tuple[dict[str, Any], Document]:
    """The problem of the written params.yaml, which is valid, and the document."""
    found = layout.layout_of(path)
    seen = guess.look(reading.read(path, found), found, Wish(target, **wish))
    made = document.document_of(
        path, guess.name_of(path), found, seen, tuple(side_table_of(side, seen) for side in sides)
    )
    written_params = path.with_name("params.yaml")
    written_params.write_text(folder.files_of(made)["params.yaml"], encoding="utf-8")
    load_params(written_params)
    problem: dict[str, Any] = yaml.safe_load(written_params.read_text(encoding="utf-8"))["problem"]
    return problem, made


def numbers(count: int) -> list[float]:
    return [round(float(value), 3) for value in DRAWN.normal(50, 10, count)]


def prices(path: Path, rows: int = 300) -> Path:
    """A plain table with a unit in text, a code, a missing value, and rows that are repeated."""
    power = [f"{value:.1f} bhp" for value in DRAWN.uniform(40, 200, rows)]
    power[3], power[4] = "", " bhp"
    fuel = list(DRAWN.choice(["Diesel", "Petrol", "CNG"], rows))
    columns = [[f"car{number}" for number in range(rows)], power, fuel, ["x"] * rows, DRAWN.integers(1000, 9000, rows)]
    return written(path, ["car_id", "power", "fuel", "same", "price"], columns)


def sales(path: Path, keys: int = 4, days: int = 120) -> Path:
    """A panel of shops by day; closed on Sundays."""
    dates = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + days)
    rows = [(shop, day) for shop in range(1, keys + 1) for day in dates]
    weekday = [(day.astype(int) + 3) % 7 + 1 for _, day in rows]
    is_open = [int(day != 7) for day in weekday]
    sold = [round(float(DRAWN.uniform(50, 90)) * flag, 1) for flag in is_open]
    visitors = [int(value * 2) for value in sold]
    columns = [[shop for shop, _ in rows], [day for _, day in rows], weekday, is_open, visitors, sold]
    return written(path, ["shop", "day", "weekday", "open", "visitors", "sold"], columns)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = written(tmp_path / "a.csv", ["a", "b", "c"], [range(9), "abcdefghi", range(9)], delimiter)
    found = layout.layout_of(path)
    assert (found.delimiter, found.header, found.names) == (delimiter, True, ("a", "b", "c"))


def test_a_file_with_spaces_and_no_header_gets_numbered_names(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1 1 0.5 100.0  \n1 2 0.6 100.0  \n2 1 0.4 100.0  \n")
    found = layout.layout_of(path)
    assert (found.delimiter, found.header, found.names[-1]) == ("spaces", False, "column_4")


def test_columns_without_a_header_get_names(tmp_path: Path) -> None:
    path = tmp_path / "fd.txt"
    path.write_text("".join(f"{number // 9 + 1} {number % 9 + 1} {number / 7:.2f}  \n" for number in range(90)))
    found = layout.layout_of(path)
    assert layout.named(found, ("unit", "cycle")).names == ("unit", "cycle", "column_3")
    with pytest.raises(WrongUsage, match="--names has 4 names, and the file has 3 columns"):
        layout.named(found, ("a", "b", "c", "d"))
    with pytest.raises(WrongUsage, match="--names is for a file without a header"):
        layout.named(layout.layout_of(prices(tmp_path / "cars.csv")), ("a",))


def test_a_decimal_comma_and_latin_letters_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("Straße;Preis\nNord;3,5\nSüd;4,25\n".encode("cp1252"))
    found = layout.layout_of(path)
    assert (found.encoding, found.decimal) == ("cp1252", ",")
    table = reading.read(path, found)
    assert table.names == ("Straße", "Preis")


def test_an_empty_file_and_a_header_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b\n")
    for name in ("empty.csv", "header.csv"):
        with pytest.raises(BadData):
            reading.read(tmp_path / name, layout.layout_of(tmp_path / name))


def test_a_plain_table_has_units_missing_texts_an_id_and_a_constant_column(tmp_path: Path) -> None:
    problem, made = described(prices(tmp_path / "cars.csv"), "price")
    assert problem["sources"] == [{"file": "cars.csv", "missing": [" bhp"]}]
    assert problem["columns"]["power"] == {"type": "number", "unit": ["bhp"], "missing": "unknown"}
    assert (problem["row_id"], problem["drop"], problem["known_covariates"]) == ("car_id", ["same"], ["power", "fuel"])
    assert (problem["task"], problem["metric"], problem["split"]["by"]) == ("regression", "mae", "random")
    assert any("' bhp' is not a number with a unit" in doubt for doubt in made.doubts)


def test_repeated_rows_are_dropped_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["a", "b"], [[*numbers(50), 1, 1], [*numbers(50), 2, 2]])
    problem, made = described(path, "b")
    assert problem["sources"] == [{"file": "a.csv", "duplicates": "drop"}]
    assert any("1 of 52 rows repeat" in doubt for doubt in made.doubts)


def test_two_classes_are_binary_and_yes_is_positive(tmp_path: Path) -> None:
    churn = ["No"] * 60 + ["Yes"] * 90
    problem, _ = described(written(tmp_path / "a.csv", ["x", "churn"], [numbers(150), churn]), "churn")
    assert (problem["task"], problem["positive"], problem["columns"]["churn"]["categories"]) == (
        "binary",
        "Yes",
        ["No", "Yes"],
    )
    assert problem["split"] == {"by": "stratified", "share": 0.2}


def test_the_rarer_class_is_positive_where_no_name_tells(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["x", "colour"], [numbers(100), ["red"] * 70 + ["blue"] * 30])
    problem, made = described(path, "colour")
    assert problem["positive"] == "blue"
    assert any("positive is the rarer class" in doubt for doubt in made.doubts)


def test_a_flag_as_target_has_the_positive_class_1(tmp_path: Path) -> None:
    problem, _ = described(written(tmp_path / "a.csv", ["x", "y"], [numbers(100), [0, 0, 0, 1] * 25]), "y")
    assert (problem["task"], problem["positive"]) == ("binary", "1")


def test_several_texts_are_classes_and_few_numbers_are_doubted(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["x", "kind", "stars"], [numbers(90), ["a", "b", "c"] * 30, [1, 2, 3] * 30])
    assert described(path, "kind")[0]["task"] == "multiclass"
    problem, made = described(path, "stars", task="regression")
    assert problem["columns"]["stars"] == {"type": "integer"}
    problem, made = described(path, "stars")
    assert problem["task"] == "multiclass"
    assert any("--task regression" in doubt for doubt in made.doubts)


def test_true_and_false_are_categories_that_allow_no_other_spelling(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["y", "holiday"], [numbers(60), ["TRUE", "FALSE", "FALSE"] * 20])
    assert described(path, "y")[0]["columns"]["holiday"] == {"type": "category", "categories": ["FALSE", "TRUE"]}


def test_a_panel_has_its_key_period_weekday_and_switch(tmp_path: Path) -> None:
    problem, made = described(sales(tmp_path / "sales.csv"), "sold", time="day", horizon=14)
    assert (problem["keys"], problem["time"], problem["horizon"]) == (["shop"], {"column": "day", "period": "day"}, 14)
    assert problem["checks"] == {"weekday": "weekday"}
    assert problem["where"] == {"column": "open", "equals": 1, "otherwise": 0}
    assert (problem["known_covariates"], problem["past_covariates"]) == (["open"], ["visitors"])
    assert problem["split"] == {"by": "time", "last": 14}
    assert any("measured together with sold: visitors" in doubt for doubt in made.doubts)


def test_a_side_table_gives_static_features(tmp_path: Path) -> None:
    stores = written(
        tmp_path / "stores.csv", ["shop", "area", "kind", "country"], [range(1, 5), [10.5, "", 3, 4], "abab", "xxxx"]
    )
    problem, _ = described(sales(tmp_path / "sales.csv"), "sold", stores, time="day", horizon=14)
    assert problem["sources"] == [{"file": "sales.csv"}, {"file": "stores.csv", "key": ["shop"]}]
    assert problem["static_features"] == ["area", "kind"]
    assert problem["columns"]["area"] == {"type": "number", "missing": "unknown", "file": "stores.csv"}


def test_a_side_table_by_time_has_covariates_and_may_call_the_time_otherwise(tmp_path: Path) -> None:
    path = sales(tmp_path / "sales.csv")
    days = sorted({row.split(",")[1] for row in path.read_text().splitlines()[1:]})
    holidays = [place % 9 == 0 for place in range(len(days))]
    dates = written(tmp_path / "dates.csv", ["calendar_date", "holiday"], [days, [int(each) for each in holidays]])
    problem, made = described(path, "sold", dates, time="day", horizon=14)
    assert problem["sources"][1] == {"file": "dates.csv", "key": ["day"], "rename": {"calendar_date": "day"}}
    assert "holiday" in problem["known_covariates"]
    assert "static_features" not in problem
    assert problem["columns"]["holiday"] == {"type": "flag", "file": "dates.csv"}
    assert any("known 14 days ahead: open, holiday?" in doubt for doubt in made.doubts)


def test_a_side_table_by_key_and_time_leaves_shared_columns_to_the_rows_and_may_lack_rows(tmp_path: Path) -> None:
    path = sales(tmp_path / "sales.csv")
    rows = [row.split(",") for row in path.read_text().splitlines()]
    place = {name: rows[0].index(name) for name in ("shop", "day", "open")}
    some = rows[1 : len(rows) // 2]
    columns = [[row[place[name]] for row in some] for name in ("shop", "day", "open")]
    weather = written(
        tmp_path / "weather.csv", ["shop", "day", "open", "degrees"], [*columns, [n % 30 for n in range(len(some))]]
    )
    problem, made = described(path, "sold", weather, time="day", horizon=14)
    assert problem["sources"][1] == {"file": "weather.csv", "key": ["shop", "day"]}
    assert problem["columns"]["degrees"] == {"type": "integer", "missing": "unknown", "file": "weather.csv"}
    assert "weather.csv has open, too: that of the table of rows is used" in made.doubts


def test_a_side_table_of_a_plain_table_is_joined_by_the_column_that_numbers_its_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "flats.csv", ["rent", "town"], [numbers(60), ["Ulm", "Bonn", "Kiel"] * 20])
    towns = written(tmp_path / "towns.csv", ["town", "people"], [["Ulm", "Bonn", "Kiel"], [120, 330, 250]])
    problem, _ = described(path, "rent", towns)
    assert problem["sources"][1] == {"file": "towns.csv", "key": ["town"]}
    assert set(problem["known_covariates"]) == {"town", "people"}


@pytest.mark.parametrize(
    ("header", "columns", "refusal"),
    [
        (["city", "area"], ["ab", [1, 2]], "no column has the name of a key"),
        (["shop", "area"], [[1, 1], [1, 2]], "1 rows repeat the shop of another row"),
    ],
)
def test_a_side_table_that_cannot_be_joined_is_refused(tmp_path: Path, header: Any, columns: Any, refusal: str) -> None:
    side = written(tmp_path / "stores.csv", header, columns)
    with pytest.raises((BadData, WrongUsage), match=refusal):
        described(sales(tmp_path / "sales.csv"), "sold", side, time="day", horizon=14)


@pytest.mark.parametrize(
    ("period", "times"),
    [
        ("hour", [f"2024-01-{day:02} {hour:02}:00:00" for day in range(1, 11) for hour in range(24)]),
        ("week", [str(np.datetime64("2022-01-03") + 7 * week) for week in range(100)]),
        ("month", [f"{month:02}/{year}" for year in range(2015, 2024) for month in range(1, 13)]),
        ("integer", range(1, 101)),
    ],
)
def test_the_period_is_found(tmp_path: Path, period: str, times: Sequence[Any]) -> None:
    path = written(tmp_path / "a.csv", ["t", "y"], [times, numbers(len(times))])
    problem, made = described(path, "y", time="t")
    assert problem["time"]["period"] == period
    assert problem["horizon"] > 0
    assert any("no --horizon was given" in doubt for doubt in made.doubts)


def test_times_that_are_no_period_are_doubted(tmp_path: Path) -> None:
    times = [
        f"2024-01-{day:02} {hour:02}:{minute:02}"
        for day in range(1, 4)
        for hour in range(24)
        for minute in (0, 15, 30, 45)
    ]
    _, made = described(written(tmp_path / "a.csv", ["t", "y"], [times, numbers(len(times))]), "y", time="t", horizon=4)
    assert any("the steps are no hour, day, week or month" in doubt for doubt in made.doubts)


def test_dates_of_both_forms_are_told_apart_by_their_steps(tmp_path: Path) -> None:
    days = [f"{day:02}/{month:02}/2024" for month in range(1, 13) for day in (1, 8)]
    months = [f"{month:02}/01/{year}" for year in (2021, 2022, 2023) for month in range(1, 13)]
    assert (
        described(written(tmp_path / "a.csv", ["t", "y"], [days, numbers(24)]), "y")[0]["columns"]["t"]["form"]
        == "%d/%m/%Y"
    )
    problem, _ = described(written(tmp_path / "b.csv", ["t", "y"], [months, numbers(36)]), "y", time="t")
    assert (problem["columns"]["t"]["form"], problem["time"]["period"]) == ("%m/%d/%Y", "month")


def test_remaining_life_is_derived_where_no_column_has_it(tmp_path: Path) -> None:
    lines = [f"{unit} {cycle} {unit * cycle / 7:.3f}" for unit in range(1, 9) for cycle in range(1, 80 + unit)]
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    problem, _ = described(tmp_path / "a.txt.gz", "life", keys=("1",), time="2", horizon=0)
    assert problem["derived"] == {"of": "periods_left", "cap": 50}
    assert (problem["keys"], problem["past_covariates"], problem["split"]["by"]) == (
        ["column_1"],
        ["column_3"],
        "group",
    )
    assert problem["sources"][0]["file"] == "a.txt"


def test_the_fewest_columns_that_name_a_series_are_the_keys(tmp_path: Path) -> None:
    rows = [(shop, part, f"2024-{month:02}-01") for shop in "abc" for part in range(3) for month in range(1, 13)]
    shops, parts, dates = zip(*rows, strict=True)
    path = written(tmp_path / "a.csv", ["shop", "part", "date", "y"], [shops, parts, dates, numbers(len(rows))])
    assert described(path, "y", time="date", horizon=2)[0]["keys"] == ["shop", "part"]


def test_rows_that_no_key_tells_apart_are_doubted(tmp_path: Path) -> None:
    dates = [f"2024-01-{day:02}" for day in range(1, 29)] * 2
    path = written(tmp_path / "a.csv", ["date", "y"], [dates, numbers(len(dates))])
    _, made = described(path, "y", time="date", horizon=3)
    assert any("28 rows have the same time as another row" in doubt for doubt in made.doubts)


def test_the_target_in_disguise_is_dropped_as_a_leak(tmp_path: Path) -> None:
    y = numbers(200)
    parts = numbers(200)
    rest = [round(whole - part, 3) for whole, part in zip(y, parts, strict=True)]
    columns = [y, [round(value * 1.2, 3) for value in y], parts, rest, numbers(200)]
    problem, made = described(written(tmp_path / "a.csv", ["y", "gross", "part", "rest", "x"], columns), "y")
    assert problem["drop"] == ["gross", "part", "rest"]
    assert problem["known_covariates"] == ["x"]
    assert [doubt.partition(" ")[0] for doubt in made.doubts if "dropped as a leak" in doubt] == ["gross", "part"]


def test_numbers_with_leading_zeros_are_text(tmp_path: Path) -> None:
    _, made = described(
        written(tmp_path / "a.csv", ["a", "y"], [[f"0{code}" for code in range(100, 160)], *[range(60)]]), "y"
    )
    assert any("leading zeros" in doubt for doubt in made.doubts)


def test_whole_numbers_that_a_request_cannot_hold_exactly_are_text(tmp_path: Path) -> None:
    """2^53 + 1 and 2^53 are the same float."""
    _, made = described(written(tmp_path / "a.csv", ["a", "y"], [[*range(2**53, 2**53 + 60)], [*range(60)]]), "y")
    assert any(f"a has whole numbers above {2**53}, such as 90071992547409" in doubt for doubt in made.doubts)


@pytest.mark.parametrize(
    ("cell", "delimiter", "unit", "source"),
    [
        ('"${}"', ",", "$", {"thousands": ","}),
        ('" £{}"', ",", "£", {"thousands": ","}),
        ('"{}km"', ",", "km", {"thousands": ","}),
        ("€ {}", ";", "€", {"thousands": ","}),
        ("{} EUR", "\t", "EUR", {"thousands": ","}),
    ],
)
def test_amounts_with_a_currency_and_thousands_are_numbers(
    tmp_path: Path, cell: str, delimiter: str, unit: str, source: dict[str, str]
) -> None:
    amounts = [500 * number for number in range(1, 81)]
    cells = [cell.format(f"{amount:,}") for amount in amounts]
    path = written(tmp_path / "cars.csv", ["age", "price"], [numbers(80), cells], delimiter)
    problem, made = described(path, "price")
    assert source.items() <= problem["sources"][0].items()
    assert problem["columns"]["price"] == {"type": "number", "unit": [unit]}
    read = ingest.read(load_params(tmp_path / "params.yaml").problem, [path]).rows
    assert sorted(read["price"]) == amounts
    assert not made.doubts[1:]


def test_german_thousands_and_decimal_commas_are_found(tmp_path: Path) -> None:
    cells = [f"{number}.{100 + number},50 €" for number in range(1, 61)]
    path = written(tmp_path / "a.csv", ["x", "price"], [[f"{number},5" for number in range(60)], cells], ";")
    problem, _ = described(path, "price")
    assert problem["sources"] == [{"file": "a.csv", "delimiter": ";", "decimal": ",", "thousands": "."}]
    read = ingest.read(load_params(tmp_path / "params.yaml").problem, [path]).rows
    assert float(read["price"].iloc[0]) == 1101.5


def test_a_code_of_three_digits_is_no_thousands_group(tmp_path: Path) -> None:
    """A list such as 1,200 beside texts that are no numbers has no thousands mark."""
    cells = [f'"{number},2{number}"' if number % 2 else "none of these" for number in range(10, 70)]
    problem, _ = described(written(tmp_path / "a.csv", ["list", "y"], [cells, numbers(60)]), "y")
    assert "thousands" not in problem["sources"][0]


def test_the_limit_is_the_score_of_the_baseline(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["x", "y"], [numbers(100), [10.0, 20.0] * 50])
    _, made = described(path, "y", task="regression")
    assert (made.limits.metric, made.limits.score, made.limits.limit) == ("mae", 5.0, 5.0)
    assert "it is the MAE of the mean of the target (5)" in made.limit_comment


def test_the_limit_of_classes_is_above_ignorance(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["x", "y", "z"], [numbers(100), ["no", "yes"] * 50, [1] * 20 + [0] * 80])
    limits = [described(path, target)[1].limits for target in ("y", "z")]
    assert [(each.metric, each.score, each.limit) for each in limits] == [
        ("roc_auc", 0.5, 0.525),
        ("pr_auc", 0.2, 0.24),
    ]


def test_a_wrong_name_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = sales(tmp_path / "sales.csv")
    with pytest.raises(WrongUsage) as refused:
        described(path, "solt")
    assert refused.value.hint == "did you mean sold?"
    with pytest.raises(WrongUsage, match="neither a date nor a whole number"):
        described(path, "visitors", time="sold", horizon=3)
    with pytest.raises(WrongUsage, match="no column has dates"):
        described(prices(tmp_path / "cars.csv"), "price", horizon=3)


@pytest.mark.parametrize(
    ("file", "name"), [("Car details v3.csv", "car_details_v3"), ("2024.csv.gz", "table_2024"), ("train.txt", "train")]
)
def test_the_name_of_a_problem_is_that_of_its_file(file: str, name: str) -> None:
    assert guess.name_of(Path(file)) == name


@pytest.mark.parametrize(
    ("target", "wish", "refusal"),
    [
        ("price", {"task": "binary"}, "--task binary: price has"),
        ("fuel", {"task": "regression"}, "--task regression needs a target of numbers"),
        ("same", {}, "the target same has a single value"),
        ("car_id", {}, "too many for classes"),
        ("price", {"keys": ("price",)}, "price is named twice"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(tmp_path: Path, target: str, wish: dict[str, Any], refusal: str) -> None:
    with pytest.raises((BadData, WrongUsage), match=refusal):
        described(prices(tmp_path / "cars.csv"), target, **wish)


def test_a_line_with_more_cells_than_the_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n" + "1;2\n" * 600 + "1;2;3\n")
    with pytest.raises(BadData, match="the table cannot be read"):
        described(tmp_path / "a.csv", "b")


def test_a_row_without_time_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["t", "y"], [["2024-01-01", "", "2024-01-02"], [1, 2, 3]])
    with pytest.raises(BadData, match="1 rows have no t"):
        described(path, "y", time="t", horizon=1)


CELLS: dict[str, Any] = {
    "whole": lambda row: DRAWN.integers(-5, 10_000),
    "few": lambda row: DRAWN.integers(0, 3),
    "number": lambda row: f"{DRAWN.normal():.3f}",
    "odd": lambda row: DRAWN.choice(["1e400", "007", "-0.0", "+3", "12"]),
    "text": lambda row: DRAWN.choice(["a", "", "NA", " ", "x y", "#1", "a: b", "é"]),
    "date": lambda row: np.datetime64("2020-01-01") + row % 50,
    "unit": lambda row: DRAWN.choice(["12 kg", "3.5 kg", "", "kg"]),
    "same": lambda row: 1,
    "empty": lambda row: "",
    "place": lambda row: row,
    "mixed": lambda row: DRAWN.choice(["1", "a", "2020-01-01", "3 kg", ""]),
}
NAMES = ["a", "b b", "c:", "1", "yes", "date", "#x", "null"]


@pytest.mark.parametrize("trial", range(60))
def test_any_table_is_described_validly_or_refused(tmp_path: Path, trial: int) -> None:
    rows, width = int(DRAWN.choice([1, 2, 10, 40, 120])), int(DRAWN.integers(2, 6))
    names, kinds = [str(name) for name in DRAWN.permutation(NAMES)[:width]], DRAWN.choice(list(CELLS), width)
    columns = [[CELLS[kind](row) for row in range(rows)] for kind in kinds]
    path = written(tmp_path / "a.csv", names, columns, str(DRAWN.choice([",", ";", "\t"])))
    wish = {"time": names[1]} if trial % 2 else {}
    with suppress(BadData, WrongUsage):
        described(path, names[0], horizon=[None, 0, 2][trial % 3], **wish)


def hours(path: Path, days: int = 30, date: str = "%Y-%m-%d") -> Path:
    """Rentals by date and hour in two columns; two columns add up to the target."""
    times = [(day, hour) for day in range(days) for hour in range(24) if (day, hour) != (3, 4)]
    start = datetime.date(2011, 1, 1)
    dates = [(start + datetime.timedelta(days=day)).strftime(date) for day, _ in times]
    some, rest = DRAWN.integers(0, 50, len(times)), DRAWN.integers(5, 90, len(times))
    columns = [range(len(times)), dates, [hour for _, hour in times], some, rest, some + rest]
    return written(path, ["instant", "dteday", "hr", "casual", "registered", "cnt"], columns)


@pytest.mark.parametrize("wish", [{"time": "dteday"}, {"parts": ("dteday", "hr")}, {}])
@pytest.mark.parametrize("date", ["%Y-%m-%d", "%-m/%-d/%Y", "%d.%m.%Y"])
def test_a_date_and_an_hour_are_one_time(tmp_path: Path, wish: dict[str, Any], date: str) -> None:
    path = hours(tmp_path / "hour.csv", date=date)
    problem, made = described(path, "cnt", horizon=24, **wish)
    assert problem["time"] == {"column": "time", "period": "hour", "of": ["dteday", "hr"]}
    assert problem["keys"] == []
    assert any("dteday and hr together" in doubt for doubt in made.doubts) != ("parts" in wish)
    read = ingest.read(load_params(tmp_path / "params.yaml").problem, [path]).rows
    assert list(read["time"].astype(str)[[0, 1, 23]]) == [
        "2011-01-01 00:00:00", "2011-01-01 01:00:00", "2011-01-01 23:00:00"
    ]  # fmt: skip


def test_a_named_hour_stays_the_key_of_a_series(tmp_path: Path) -> None:
    problem, _ = described(hours(tmp_path / "hour.csv"), "cnt", time="dteday", keys=("hr",), horizon=7)
    assert problem["time"] == {"column": "dteday", "period": "day"}


def test_parts_of_a_total_are_dropped_with_one_doubt(tmp_path: Path) -> None:
    problem, made = described(hours(tmp_path / "hour.csv"), "cnt", time="dteday", horizon=24)
    assert problem["drop"] == ["casual", "registered"]
    assert sum("casual and registered" in doubt for doubt in made.doubts) == 1


@pytest.mark.parametrize(
    ("names", "parts", "period"),
    [
        (("year", "month"), lambda day: (day.year, day.month), "month"),
        (("year", "month"), lambda day: (day.year, day.strftime("%B")), "month"),
        (("jahr", "woche"), lambda day: day.isocalendar()[:2], "week"),
        (("y", "m", "d"), lambda day: (day.year, day.month, day.day), "day"),
    ],
)
def test_a_time_of_numbers_in_several_columns(
    tmp_path: Path, names: tuple[str, ...], parts: Callable[[datetime.date], tuple[Any, ...]], period: str
) -> None:
    step = {"day": 1, "week": 7, "month": 32}[period]
    days = [datetime.date(2015, 1, 5) + datetime.timedelta(days=step * number) for number in range(60)]
    moments = list(dict.fromkeys(parts(day) for day in days))
    columns = [*zip(*moments, strict=True), numbers(len(moments))]
    path = written(tmp_path / "a.csv", [*names, "sold"], columns)
    problem, _ = described(path, "sold", parts=names, horizon=3)
    assert problem["time"] == {"column": "time", "period": period, "of": list(names)}
    assert len(ingest.read(load_params(tmp_path / "params.yaml").problem, [path]).rows) == len(moments)


def test_equal_rows_of_a_table_with_few_values_are_kept_and_said(tmp_path: Path) -> None:
    """Of 400 rows with 60 possible answers, many are equal without being copies."""
    columns = [DRAWN.choice(list("abcde"), 400), DRAWN.choice(["x", "y"], 400), DRAWN.integers(1, 7, 400)]
    problem, made = described(written(tmp_path / "a.csv", ["group", "kind", "answer"], columns), "answer")
    assert problem["sources"] == [{"file": "a.csv"}]
    assert any("as chance explains, and are kept" in doubt for doubt in made.doubts)


def local_hours(path: Path, names: Sequence[str] = ("",)) -> Path:
    """Counts by hour in Berlin's time, whose clocks went back on 2024-10-27 at 3."""
    hours = np.arange(np.datetime64("2024-09-01T00"), np.datetime64("2024-12-01T00")).tolist()
    twice = sorted([*hours, datetime.datetime(2024, 10, 27, 2)])
    times = [f"{hour:%Y-%m-%d %H:%M}" for hour in twice] * len(names)
    counts = [DRAWN.integers(0, 99) for _ in times]
    shops = np.repeat(names, len(twice))
    held = {"time": times, "shop": shops, "rentals": counts}
    if len(names) == 1:
        held.pop("shop")
    return written(path, list(held), list(held.values()))


def test_an_hour_that_the_clocks_show_twice_is_joined_and_said(tmp_path: Path) -> None:
    path = local_hours(tmp_path / "hours.csv")
    problem, made = described(path, "rentals", time="time", horizon=24)
    assert problem["sources"] == [{"file": "hours.csv", "duplicates": "mean"}]
    assert any("1 rows repeat an hour, as local clocks do" in doubt for doubt in made.doubts)
    tables = ingest.read(load_params(tmp_path / "params.yaml").problem, [path])
    assert "joined 1 of 2,185 rows" in tables.notes[0]


def test_keys_are_found_although_the_clocks_show_an_hour_twice(tmp_path: Path) -> None:
    path = local_hours(tmp_path / "hours.csv", ("north", "south"))
    problem, _ = described(path, "rentals", time="time", horizon=24)
    assert problem["keys"] == ["shop"]
    assert problem["sources"][0]["duplicates"] == "mean"


def test_a_panel_that_simple_arithmetic_forecasts_has_a_lower_bound_of_plausible_scores(tmp_path: Path) -> None:
    months = [f"{year}-{month:02}" for year in range(2018, 2025) for month in range(1, 13)]
    place = np.arange(len(months))
    found = {}
    for noise in (0.002, 0.3):
        sold = 1000 * (1 + 0.01 * place) * (1 + 0.3 * np.sin(place / 6 * np.pi)) * DRAWN.normal(1, noise, len(months))
        path = written(tmp_path / "a.csv", ["month", "sold"], [months, sold.round(2)])
        found[noise] = described(path, "sold", time="month", horizon=6)[1].limits.min_share_of_naive
    assert found[0.002] <= 0.03 < 0.08 <= found[0.3]


def test_months_written_as_digits_are_months_and_no_running_number(tmp_path: Path) -> None:
    months = [f"{year}{month:02}" for year in range(2018, 2024) for month in range(1, 13)]
    path = written(tmp_path / "a.csv", ["yyyymm", "sold"], [months, numbers(len(months))])
    problem, _ = described(path, "sold", time="yyyymm", horizon=6)
    assert problem["time"] == {"column": "yyyymm", "period": "month"}
    assert problem["columns"]["yyyymm"] == {"type": "date", "form": "%Y%m"}
    assert len(ingest.read(load_params(tmp_path / "params.yaml").problem, [path]).rows) == len(months)


def test_a_running_number_of_six_digits_stays_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["shift", "sold"], [range(200_001, 200_101), numbers(100)])
    problem, _ = described(path, "sold", time="shift", horizon=6)
    assert problem["time"] == {"column": "shift", "period": "integer"}


def test_a_free_text_whose_words_repeat_is_learned_and_one_of_other_words_is_dropped(tmp_path: Path) -> None:
    models = DRAWN.choice(["Golf Variant", "Polo Trend", "Astra Kombi", "Corsa Edition"], 200)
    names = [f"{model} from garage{place}" for place, model in enumerate(models)]
    remarks = [f"note{place} remark{place} {'x' * (place % 7)}" for place in range(200)]
    held = {"name": names, "remark": remarks, "price": DRAWN.integers(1000, 9000, 200)}
    problem, _ = described(written(tmp_path / "a.csv", list(held), list(held.values())), "price")
    assert problem["known_covariates"] == ["name"]
    assert problem["drop"] == ["remark"]
