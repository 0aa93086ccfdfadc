"""Two versions side by side, as lines and as a page that nothing can break out of."""

from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from paired_rows import CHURN, PAIRS, PROBLEM, ROWS, pairs

from lockgate.comparison import page, tables
from lockgate.comparison.agreement import agreement
from lockgate.comparison.compare import Compared, Comparison, ForecastComparison, LeftOut, read_rows
from lockgate.comparison.records import Side, VerdictSummary
from lockgate.errors import BadData
from lockgate.problem.metrics import METRICS
from lockgate.reports.record_diff import DifferentValue, ImportanceChange, MetricPair, RecordDiff
from lockgate.system.output_file import OutFile

NAN = float("nan")
RMSPE = METRICS["rmspe"]
THEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SCRIPT = "<script>alert('x')</script>"


def side(version):
    return Side(
        version, "Staging", "a" * 64, "b" * 32, THEN, VerdictSummary(version, "passed", THEN, "c" * 64, "d" * 64)
    )


def comparison(**changes):
    trial = ForecastComparison("rows.csv", 5, (LeftOut(1, 1, {"Store": 1}), LeftOut(2, 0, {})), agreement(PAIRS, RMSPE))
    whole = Comparison(
        model="m",
        metric="rmspe",
        first=side(1),
        second=side(2),
        metrics=(MetricPair("verdict", "rmspe", 0.08, 0.09), MetricPair("fold 2015", "cat mae", 4.0, None)),
        params=RecordDiff((DifferentValue("seed", "1", "2"),), 40),
        importances=(ImportanceChange("cat", "day", 0.5, 0.4), ImportanceChange("cat", "promo", 0.1, 0.2)),
        lineage=RecordDiff((), 13),
        trial=trial,
        notes=(),
    )
    return replace(whole, **changes)


def test_digests_are_shortened_and_a_text_cannot_write_to_the_terminal():
    assert [tables.shown(text) for text in ("a" * 64, None, "\x1b[31mred\n", "as it is")] == [
        "a" * 12, "-", "\\x1b[31mred\\n", "as it is",
    ]  # fmt: skip


def test_the_summary_counts_what_was_left_out():
    assert list(tables.summary(comparison())) == [
        "both can forecast 4 of 5 rows of rows.csv",
        "a rule gives the forecast of 1 of them, which are in no difference",
        "in the mean version 2 says 2.00% less than version 1",
        "of 3 rows 33.3% within 1%, 66.7% within 5%, 100.0% within 10%",
    ]


def test_equal_params_are_said_in_a_line():
    params, lineage = tables.record_diffs(comparison())
    assert (params.title, params.rows) == ("1 of 41 params differ", (("seed", "1", "2"),))
    assert (lineage.title, lineage.rows) == ("all 13 lineage entries are equal", ())


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.ids = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text.append(data)

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def hostile():
    """A page on which every text that comes from outside is an attack."""
    evil = comparison(
        model=SCRIPT,
        first=replace(side(1), stage=SCRIPT),
        metrics=(MetricPair(SCRIPT, SCRIPT, 1.0, 2.0), MetricPair("verdict", f'"{SCRIPT}', NAN, 2.0)),
        params=RecordDiff((DifferentValue(SCRIPT, f"'\"><img src=x onerror=alert(1)>{SCRIPT}", None),), 0),
        importances=(ImportanceChange(SCRIPT, SCRIPT, 0.5, 0.4), ImportanceChange("cat", r"$\frac{1}$", 0.1, 0.2)),
        lineage=RecordDiff((DifferentValue("git_commit", SCRIPT, "</style><link href=//evil>"),), 0),
        trial=replace(comparison().trial, source=SCRIPT),
        notes=(SCRIPT, "{title}"),
    )
    return page.html(Compared(evil, PAIRS))


def test_every_text_from_outside_is_shown_and_none_is_run(hostile):
    seen = Page(hostile)
    assert {tag for tag, _ in seen.tags} & {"script", "img", "link", "iframe", "object", "base", "form"} == set()
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert sum(SCRIPT in text for text in seen.text) >= 8
    assert "{title}" in seen.text


def test_the_page_refers_to_nothing_outside_itself(hostile):
    seen = Page(hostile)
    references = [
        value
        for _, attributes in seen.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster")
    ]
    assert references != []
    assert [value for value in references if not value.startswith(("#", "data:image/png;base64,"))] == []
    assert "@import" not in hostile
    assert hostile.count("url(") == hostile.count("url(#")
    [policy] = [meta["content"] for meta in seen.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_without_seeing_it(hostile):
    seen = Page(hostile)
    assert seen.of("html") == [{"lang": "en"}]
    assert (len(seen.of("h1")), len(seen.of("title")), len(seen.of("main"))) == (1, 1, 1)
    assert [tag for tag, _ in seen.tags if tag in ("h1", "h2")] == ["h1", "h2", "h2", "h2", "h2"]
    pictures = seen.of("svg")
    assert len(pictures) == 4
    assert all(picture["role"] == "img" and len(picture["aria-label"]) > 40 for picture in pictures)
    assert len(seen.of("caption")) == len(seen.of("table")) > 5
    assert {head.get("scope") for head in seen.of("th")} == {"col", "row"}
    assert len(seen.ids) == len(set(seen.ids))


def test_the_page_fits_a_phone_and_follows_light_and_dark(hostile):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Page(hostile).of("meta")
    assert "prefers-color-scheme: dark" in hostile
    assert "var(--first)" in hostile
    assert not [colour for colour in ("#010101", "#020202", "#030303", "#040404") if colour in hostile]


@pytest.mark.parametrize(
    ("found", "pictures"),
    [
        (pairs(ROWS.head(1), [100.0], [104.0]), 2),
        (pairs(ROWS.assign(Open=0), [0.0] * 4, [0.0] * 4), 1),
        (pairs(second=PAIRS.first), 3),
        (pairs(first=[-5.0, 2.0, 0.001, 0.0]), 3),
        (pairs(pd.DataFrame({"Plan": ["a"], "Months": [1], "Churn": [1]}), [0.4], [0.6], CHURN), 2),
    ],
)
def test_a_page_has_the_plots_that_its_rows_are_enough_for(found, pictures):
    trial = replace(comparison().trial, agreement=agreement(found, RMSPE))
    drawn = page.html(Compared(comparison(trial=trial, importances=None), found))
    assert len(Page(drawn).of("svg")) == pictures


def test_what_is_not_known_of_both_is_left_off_the_page_and_said():
    bare = comparison(params=None, importances=None, lineage=None, trial=None, notes=("the run is gone",))
    seen = Page(page.html(Compared(bare, None)))
    assert "the run is gone" in seen.text
    assert len(seen.of("h2")) == 1


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    target = OutFile(tmp_path / "page.html", force=True)
    target.path.write_text("the earlier one")
    with pytest.raises(RuntimeError), target.replacing() as partial:
        partial.write_text("half")
        raise RuntimeError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "the earlier one")]
    page.write(Compared(comparison(), PAIRS), target)
    assert target.path.read_text().startswith("<!DOCTYPE html>")


FILE = "Store,Date,Open,Promo,StateHoliday,SchoolHoliday,Sales\n1,2015-08-01,1,0,0,0,{}\n1,2015-08-02,1,0,0,0,70\n"


def test_rows_of_a_file_bring_their_sales_if_they_have_any(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(FILE.format(""))
    assert np.isnan(read_rows(PROBLEM, file, tmp_path).rows["Sales"].iloc[0])
    assert read_rows(PROBLEM, file, tmp_path).rows["Sales"].iloc[1] == 70
    frame = pd.read_csv(file, dtype={"StateHoliday": str})
    frame.to_parquet(tmp_path / "sold.parquet")
    assert read_rows(PROBLEM, tmp_path / "sold.parquet", tmp_path).rows["Sales"].iloc[1] == 70
    file.write_text("\n".join(line.rpartition(",")[0] for line in FILE.splitlines()) + "\n")
    assert read_rows(PROBLEM, file, tmp_path).rows["Sales"].isna().all()


@pytest.mark.parametrize("sales", ["many", "-1", "inf", "1e999"])
def test_sales_that_are_none_are_refused(tmp_path, sales):
    file = tmp_path / "rows.csv"
    file.write_text(FILE.format(sales))
    with pytest.raises(BadData, match="Sales is"):
        read_rows(PROBLEM, file, tmp_path)


def test_without_a_file_and_without_a_holdout_no_rows_are_at_hand(tmp_path):
    assert read_rows(PROBLEM, None, tmp_path) is None
