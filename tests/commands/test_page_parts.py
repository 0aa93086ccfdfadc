"""The pure parts of the pages: forms, statuses, addresses, what a run may show, and how a review becomes a page."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from lockgate import errors
from lockgate.errors import LockgateError
from lockgate.pages import evidence, forms, render
from lockgate.pages.forms import COOKIE, TOKEN_FIELD, Fields
from lockgate.pages.refusals import NotAllowed, status_of
from lockgate.pages.version_page import Choices, VersionView
from lockgate.problem.metrics import METRICS
from lockgate.registry.own_server import Answer
from lockgate.reports import review_page
from lockgate.reports.page import Sheet
from lockgate.reports.review_data import CheckRow, ForecastRow, Review
from lockgate.system import page_addresses

SESSION = "ab" * 32
HOST = "mlflow.example:5000"
OWN = {"origin": f"https://{HOST}", "host": HOST, "sec-fetch-site": "same-origin"}


def sent(visitor: str = "anna") -> Fields:
    return Fields({TOKEN_FIELD: forms.token(SESSION, visitor)})


def is_refused(headers: Mapping[str, str], fields: Fields, cookie: str = SESSION, allowed: str = "") -> bool:
    try:
        forms.require_own(headers, {COOKIE: cookie}, fields, "anna", allowed)
    except NotAllowed:
        return True
    return False


def test_a_form_of_the_own_page_is_accepted() -> None:
    assert not is_refused(OWN, sent())
    assert not is_refused({name: OWN[name] for name in ("origin", "host")}, sent())


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": ""}, {"origin": "null"}, {"origin": "https://evil.example"}, {"origin": f"https://{HOST}.evil.example"},
        {"origin": f"https://{HOST}@evil.example"}, {"origin": "https://mlflow.example:5001"}, {"origin": "https://"},
        {"host": ""}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)  # fmt: skip
def test_a_form_of_another_place_is_refused(changed: dict[str, str]) -> None:
    assert is_refused(OWN | changed, sent())


def test_an_origin_that_the_server_allows_is_accepted_behind_a_proxy_that_changes_the_host() -> None:
    behind = OWN | {"host": "mlflow:5000", "origin": "https://ml.example.com"}
    assert is_refused(behind, sent())
    assert not is_refused(behind, sent(), allowed="https://other.example, https://ml.example.com")
    for pattern in ("*", "https://*", "null", ""):
        assert is_refused(behind, sent(), allowed=pattern)
        assert is_refused(behind | {"origin": "null"}, sent(), allowed=pattern)


@pytest.mark.parametrize("cookie", ["", "x", "AB" * 32, "ab" * 31, "cd" * 32])
def test_a_token_counts_only_in_its_own_session(cookie: str) -> None:
    assert is_refused(OWN, sent(), cookie=cookie)


def test_a_token_counts_only_for_its_own_visitor() -> None:
    assert is_refused(OWN, sent("rita"))
    assert is_refused(OWN, Fields({}))
    assert is_refused(OWN, Fields({TOKEN_FIELD: "ä"}))


def test_a_session_is_kept_and_a_made_up_one_is_replaced() -> None:
    assert forms.session({COOKIE: SESSION}) == SESSION
    assert forms.session({COOKIE: "<script>"}) != forms.session({})


def test_the_last_field_of_a_name_counts_and_an_absent_one_is_empty() -> None:
    fields = Fields.read("a=1&a=+2+&b=%C3%A4&c")
    assert [fields[name] for name in ("a", "b", "c", "d")] == ["2", "ä", "", ""]


def test_every_error_has_a_status_that_is_no_success() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LockgateError)]
    assert {kind.__name__: int(status_of(kind("x"))) for kind in kinds} == {
        "LockgateError": 500, "WrongUsage": 422, "BadData": 422, "GateRefused": 409, "StateConflict": 409,
        "Unavailable": 503, "AccessRefused": 403, "DatabaseInterrupted": 503, "IntegrityBroken": 409,
        "ArtifactMissing": 409, "BundleUnreadable": 409, "BadConfiguration": 503, "StorageFailed": 507,
        "StorageFull": 507, "NoRows": 422, "WorkerLost": 503,
    }  # fmt: skip


def test_a_name_in_an_address_is_quoted() -> None:
    assert page_addresses.version("a&b/ü", 3) == "/lockgate/versions/3?model=a%26b%2F%C3%BC"
    assert page_addresses.of_model("history", "a b", at="1") == "/lockgate/history?model=a+b&at=1"


class Run:
    """The files of a run, as calls find them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], sent: Mapping[str, object] | None = None
    ) -> Answer:
        found = self.files.get(query["path"])
        return Answer(404 if found is None else 200, found or b"", {})

    def fetch(self, *_: object) -> Answer:
        raise AssertionError("nothing is fetched")


def index(**changes: object) -> bytes:
    plots = [{"file": "holdout.png", "title": "Overview", "alt": "What it shows"}]
    return json.dumps({"bundle": "b", "holdout": "h", "plots": plots} | changes).encode()


def test_the_plots_of_a_run_have_their_texts_and_addresses() -> None:
    run = Run(
        {"plots/holdout_plots.json": index(), "tables/scores_by_slice.csv": b"name,rows,score,production\na,2,0.5,\n"}
    )
    found = evidence.evidence(run, "r1", ("b", "h"), "RMSE")
    [figure] = found.holdout
    assert (figure.title, figure.alt) == ("Overview", "What it shows")
    assert figure.address == "/get-artifact?path=plots%2Fholdout.png&run_id=r1"
    assert found.slices == Sheet("Scores by slice", ("slice", "rows", "RMSE of this version"), (("a", "2", "0.5"),))


@pytest.mark.parametrize(
    "written",
    [
        b"", b"no json", b"[]", b"null", index(plots=None), index(plots=[{}]), index(plots=[None]), index(plots=3),
        index(bundle="of another"), index(holdout="of another"),
        index(plots=[{"file": "../../secret.png", "title": "", "alt": ""}]),
        index(plots=[{"file": "page.html", "title": "", "alt": ""}]),
    ],
)  # fmt: skip
def test_what_anyone_may_write_to_a_run_shows_no_foreign_plot_and_breaks_no_page(written: bytes) -> None:
    assert evidence.evidence(Run({"plots/holdout_plots.json": written}), "r1", ("b", "h"), "RMSE").holdout == ()


@pytest.mark.parametrize("written", [b"\xff\xfe", b"name\n1\n", b"name,rows,score,production\na,1,x,\n", b"a" * 9])
def test_a_broken_table_of_slices_is_left_out(written: bytes) -> None:
    run = Run({"plots/holdout_plots.json": index(), "tables/scores_by_slice.csv": written})
    assert evidence.evidence(run, "r1", ("b", "h"), "RMSE").slices is None


def review(metric: str) -> Review:
    return Review(
        "m", 2, "r1", 7, "refused", "2026-01-01 10:00", METRICS[metric], "0.5 (95 %: 0.4 to 0.6)", "below 0.4",
        (CheckRow("within limit", "refused", "0.5 <b>", "below 1", ""), CheckRow("enough rows", "passed", "9", "", "")),
        (ForecastRow("this version", "0.5", "0.6"),), 1, (), (("within limit", "more rows & columns"),), (),
    )  # fmt: skip


def version_page(found: Review | None) -> str:
    empty = Sheet("", (), ())
    view = VersionView(
        "m", 2, "None", "r1", (("Bundle", "abc"),), found, "Verdict 7", Choices(7, True, False, False, "It waits."), 1,
        review_page.forecasts(found) if found else None, None, None, None, None, empty, empty, ("b", "h"),
    )  # fmt: skip
    shared = {"prefix": "", "visitor": None, "logins": False, "csrf": "t", "csrf_field": "csrf", "may_act": True}
    return render.html("version", shared | {"title": "t", "view": view, "shown": evidence.NOTHING, "done": ""})


@pytest.mark.parametrize("metric", METRICS)
def test_the_page_of_a_version_shows_the_checks_in_each_metric(metric: str) -> None:
    page = version_page(review(metric))
    assert METRICS[metric].label in page
    assert "0.5 &lt;b&gt;" in page
    assert "What usually helps: more rows &amp; columns" in page
    assert page.index("within limit") < page.index("enough rows")


def test_a_version_without_a_verdict_names_the_command() -> None:
    assert "lockgate validate 2" in version_page(None)


def test_every_input_has_a_label_and_every_page_one_heading() -> None:
    page = version_page(replace(review("rmse"), outcome="passed"))
    assert '<label for="reason">' in page
    assert page.count("<h1>") == 1
    assert '<main id="content"' in page
