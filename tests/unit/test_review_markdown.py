"""A reviewer reads the verdict at a glance, in Markdown that no text from outside can break."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lockgate.database.verdicts import Digests, StoredVerdict
from lockgate.reports import review_markdown
from lockgate.reports.review_data import RecordOfVersion, review_of

CHECKS = [
    {"name": "enough rows", "outcome": "passed", "says": "2177 rows scored", "measured": "2177 rows", "limit": "1000"},
    {"name": "within limit", "outcome": "refused", "says": "too high", "measured": "0.12", "limit": "below 0.1"},
]
METRICS = {"rmspe": 0.12, "rmspe_low": 0.11, "rmspe_high": 0.13, "rmspe_naive": 0.2, "rmspe_linear": 0.125}
CANDIDATES = [
    {"member": "lightgbm", "fold": "all", "rmspe": 0.09},
    {"member": "lightgbm", "fold": "2015-01-01", "rmspe": 0.5},
    {"member": "ridge", "fold": "all", "rmspe": 0.11},
    {"member": "blend", "fold": "all", "rmspe": 0.085},
]


def found(**changes):
    given = {
        "model": "rossmann-ensemble",
        "version": 3,
        "digests": Digests("b" * 64, "h" * 64, "p" * 64, None),
        "outcome": "refused",
        "checks": CHECKS,
        "metrics": METRICS,
        "code_commit": "c0ffee",
        "actor": "anna",
        "id": 7,
        "decided_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return StoredVerdict(**(given | changes))


def kept(**changes):
    lineage = {"git_commit": "1" * 40, "git_dirty": "False", "rows_digest": "2" * 64, "seed": "7"}
    return {
        "candidates": CANDIDATES,
        "lineage": lineage,
        "params": {"seed": "7", "members.catboost.depth": "6"},
    } | changes


def review(serving=None, **changes):
    own = RecordOfVersion(3, "run3", kept())
    return review_of(found(**changes), own, RecordOfVersion(2, "run2", serving) if serving else None)


def test_the_first_line_is_the_verdict_and_the_first_check_is_one_that_failed():
    lines = review_markdown.description(review(), None).replace("&nbsp;", "").splitlines()
    assert lines[0] == (
        "REFUSED: 1 of 2 checks did not pass; RMSPE 0.12000 (95 %: 0.11000 to 0.13000), limit below 0.1"
        " (verdict 7, 2026-01-02 03:04 UTC)"
    )
    table = lines.index("| check | measured | limit | outcome |")
    assert lines[table + 2 : table + 4] == [
        "| within limit | 0.12 | below 0.1 | **refused** |",
        "| enough rows | 2177 rows | 1000 | passed |",
    ]


def test_forecasts_stand_side_by_side_with_the_inner_folds():
    text = review_markdown.report(review())
    start = text.index("| forecast, RMSPE (lower is better) |")
    assert text[start:].splitlines()[2:7] == [
        "| this version | 0.12000 | 0.08500 |",
        "| linear member alone | 0.12500 | 0.11000 |",
        "| naive forecast | 0.20000 |  |",
        "| member lightgbm |  | 0.09000 |",
        "",
    ]


def test_what_changed_against_production_is_listed():
    serving = kept(params={"seed": "7", "members.catboost.depth": "8"})
    text = review_markdown.description(review(serving), None).replace("&nbsp;", "")
    assert "| changed | version 2 in Production | version 3 |" in text
    assert r"| members.catboost.depth | 8 | 6 |" in text
    assert "are those of version 2 in Production" in review_markdown.report(review(kept()))


def test_params_are_compared_only_if_both_versions_have_them_on_record():
    earlier = {name: value for name, value in kept().items() if name != "params"} | {"lineage": {"seed": "1"}}
    names = [each.name for each in review(earlier).changes]
    assert names == ["changed since the commit", "git commit", "seed", "training rows (SHA-256)"]


def test_a_review_says_how_many_trials_a_sweep_compared():
    chosen = kept()["lineage"] | {"sweep": "20261128", "sweep_trial": "17", "sweep_trials": "30"}
    of_sweep = review_of(found(), RecordOfVersion(3, "run3", kept(lineage=chosen)), None)
    says = "Trial 17 of sweep 20261128 has the settings of this version: 30 trials were compared on the inner folds"
    for text in (review_markdown.report(of_sweep), review_markdown.description(of_sweep, None)):
        assert says in text
    assert "trials were compared" not in review_markdown.report(review())


def test_only_a_passed_version_says_how_to_decide_and_only_a_failed_one_what_helps():
    passed = review(outcome="passed", checks=CHECKS[:1])
    assert "`approved_by`" in review_markdown.description(passed, None)
    assert "what usually helps" not in review_markdown.description(passed, None)
    refused = review_markdown.description(review(), None)
    assert "what usually helps" in refused
    assert "`approved_by`" not in refused


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", r"a\|b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("two\nlines", "two lines"),
        ("[x](y) ![z](q)", r"\[x\](y) \!\[z\](q)"),
        ("*bold* _low_ `code` ~~gone~~", r"\*bold\* \_low\_ \`code\` \~\~gone\~\~"),
        ("@anna # 1 :smile:", r"\@anna \# 1 \:smile:"),
        ("back\\slash", r"back\\slash"),
        ("see https://a.b and www.a.b", "see https:&#47;&#47;a.b and www&#46;a.b"),
    ],
)
def test_a_text_from_outside_is_never_markup(text, safe):
    assert review_markdown.escaped(text) == safe


def test_the_description_fits_into_mlflows_column_and_keeps_verdict_and_links():
    loud = [{"name": f"check {place}", "outcome": "refused", "says": "|<&" * 400} for place in range(40)]
    serving = kept(params={f"key{place}" * 30: "x" * 400 for place in range(50)})
    text = review_markdown.description(review(serving, checks=loud), "plots/holdout.png")
    assert len(text) <= review_markdown.LONGEST
    assert text.startswith("REFUSED: ")
    assert "(/lockgate/versions/3?model=rossmann-ensemble)" in text


def test_a_check_of_an_earlier_release_is_shown_by_its_sentence():
    old = review(checks=[{"name": "within limit", "outcome": "passed", "says": "0.09 < 0.1"}], outcome="passed")
    assert "| within limit | 0.09 &lt; 0.1 |  | passed |" in review_markdown.report(old)


def test_names_in_addresses_are_encoded():
    assert "(/lockgate/versions/1?model=a+b%2Fc)" in review_markdown.description(review(model="a b/c", version=1), None)
    picture = review_markdown.description(replace(review(), checks=()), "plots/a b.png")
    assert "![forecasts of the holdout](get-artifact?path=plots%2Fa%20b.png&run_uuid=run3)" in picture


def test_a_comment_on_a_pull_request_ends_with_the_next_command():
    passed = review(kept(seed="8"), outcome="passed", checks=[each | {"outcome": "passed"} for each in CHECKS])
    lines = review_markdown.comment(passed, approval_required=False).splitlines()
    assert lines[0] == "### rossmann-ensemble, version 3"
    assert lines[2].startswith("PASSED: all 2 checks passed; RMSPE 0.12000")
    assert lines[-3] == 'Next: `lockgate promote 3 --reason "..."`'
    assert lines[-1].startswith("git commit `111111111111`, ")
    both = 'Next: `lockgate approve 3 --reason "..."`, then `lockgate promote 3 --reason "..."`'
    assert both in review_markdown.comment(passed, approval_required=True)


def test_a_comment_on_a_refused_version_has_what_helps_and_no_promotion():
    page = review_markdown.comment(review(), approval_required=True)
    assert "| within limit | 0.12 | below 0.1 | **refused** |" in page
    assert "| not passed | what usually helps |" in page
    assert "The version stays where it is." in page
    assert "lockgate promote" not in page


def test_a_comment_mentions_no_person():
    loud = [CHECKS[1] | {"measured": "the worst is @anna"}]
    assert "@<!-- -->anna" in review_markdown.comment(review(checks=loud), approval_required=False)
