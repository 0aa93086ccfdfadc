"""A model's life by commands: refused, passed, promoted, rolled back, looked at. Exit codes are a contract."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from clone import Clone, Done

ABSURD, HONEST = 1e-6, 0.10
LIFE = [
    (1, "None", "Staging", "validate"),
    (1, "Staging", "Production", "promote"),
    (2, "None", "Staging", "validate"),
    (1, "Production", "Archived", "promote"),
    (2, "Staging", "Production", "promote"),
    (2, "Production", "Archived", "rollback"),
    (1, "Archived", "Production", "rollback"),
]


@pytest.mark.long
def test_refused_restored_promoted_rolled_back(project: Clone, tmp_path: Path) -> None:
    clone = project.copy(tmp_path / "a clone", "life")
    clone.repro()
    promoted = clone.lockgate("promote", "1", "--reason", "the first", "--yes")
    assert "version 1 went from Staging to Production" in promoted.out

    _a_candidate_over_the_limit_is_refused_loudly_and_production_is_untouched(clone)
    _with_the_limit_restored_the_same_candidate_passes(clone)
    _promotion_asks_first_and_then_archives_the_prior_one(clone)
    _rollback_brings_the_prior_one_back_and_quarantines_the_other(clone)
    _all_of_it_can_be_looked_up(clone)
    _forecasts_go_through_pipes_and_gzip(clone)
    assert clone.lockgate().out.splitlines()[-1] == "next: lockgate predict --input FILE --output FILE"


def _a_candidate_over_the_limit_is_refused_loudly_and_production_is_untouched(clone: Clone) -> None:
    clone.set_params(seed=8, gate__limit=ABSURD)
    told = clone.repro()
    assert "REFUSED: version 2" in told.out + told.err
    verdict = clone.lockgate("verdict", code=4)
    assert "REFUSED" in verdict.out
    assert_refusal(verdict, "the verdict on version 2 is refused")
    assert json.loads(clone.lockgate("verdict", "2", "--json", code=4).out)["outcome"] == "refused"
    assert clone.stages() == {1: "Production", 2: "None"}
    assert_refusal(clone.lockgate("promote", "2", "--reason", "I want it", "--yes", code=5), "version 2")
    assert clone.stages() == {1: "Production", 2: "None"}


def _with_the_limit_restored_the_same_candidate_passes(clone: Clone) -> None:
    clone.set_params(gate__limit=HONEST)
    told = clone.repro()
    assert "PASSED: version 2" in told.out + told.err
    assert "PASSED" in clone.lockgate("verdict").out
    assert clone.stages() == {1: "Production", 2: "Staging"}


def _promotion_asks_first_and_then_archives_the_prior_one(clone: Clone) -> None:
    assert_refusal(
        clone.lockgate("promote", "--reason", "better", code=2), "confirmation needed, but this is not a terminal"
    )
    assert_refusal(clone.lockgate("promote", "--reason", "better", "--expect-current", "2", "--yes", code=5), "not 2")
    assert "would go" in clone.lockgate("promote", "--reason", "better", "--dry-run").out
    assert clone.stages() == {1: "Production", 2: "Staging"}
    done = clone.lockgate("promote", "--reason", "better", "--expect-current", "1", "--yes")
    assert done.out == "version 2 went from Staging to Production, version 1 to Archived\n"
    assert "nothing was changed" in clone.lockgate("promote", "2", "--reason", "better", "--yes").out


def _rollback_brings_the_prior_one_back_and_quarantines_the_other(clone: Clone) -> None:
    done = clone.lockgate("rollback", "--reason", "too high in store 5", "--yes")
    moved, took = done.out.splitlines()
    assert moved == "version 1 went from Archived to Production, version 2 to Archived"
    assert re.fullmatch(r"verified in \d+\.\d\d s, switched in \d+\.\d\d s", took)
    assert clone.stages() == {1: "Production", 2: "Archived"}
    assert_refusal(clone.lockgate("promote", "2", "--reason", "again", "--yes", code=5), "quarantined")
    assert_refusal(clone.lockgate("rollback", "--reason", "again", "--yes", code=5), "no earlier good Production")


def _all_of_it_can_be_looked_up(clone: Clone) -> None:
    rows = [row for row in clone.lockgate("history", "--json").json() if row["kind"] == "move"]
    assert sorted(clone.moves()) == sorted(LIFE)
    assert {row["actor"] for row in rows} == {"anna"}
    assert {row["reason"] for row in rows} >= {"the first", "better", "too high in store 5"}
    assert _live_at(clone, _time_of(rows, 2, "Production")) == [2]
    assert _live_at(clone, "2020-01-01") == []
    assert "too high in store 5" in clone.lockgate("history").out
    status = clone.lockgate("status", "--json").json()
    assert (status["serving"]["version"], status["staging"], status["broken"]) == (1, None, [])
    assert "Production  version 1" in clone.lockgate("status").out
    shown = clone.lockgate("show", "2").out
    assert all(word in shown for word in ("Archived", "catboost", "blend", "git_commit", "PASSED", "rollback"))
    assert_refusal(clone.lockgate("show", "99", code=5), "no version 99")


def _forecasts_go_through_pipes_and_gzip(clone: Clone) -> None:
    """The same rows, whichever way they come and go; standard output holds nothing but CSV."""
    holdout = clone.folder / "data/prepared/holdout.parquet"
    rows = pd.read_parquet(holdout).drop(columns="Sales")
    rows.to_csv(clone.folder / "rows.csv", index=False)
    rows.to_csv(clone.folder / "rows.csv.gz", index=False)
    clone.lockgate("predict", "--input", "rows.csv", "--output", "plain.csv")
    plain = (clone.folder / "plain.csv").read_text()
    clone.lockgate("predict", "--input", "rows.csv.gz", "--output", "packed.csv.gz")
    assert gzip.decompress((clone.folder / "packed.csv.gz").read_bytes()).decode() == plain
    for source in ("rows.csv", "rows.csv.gz"):
        piped = clone.run("bash", "-c", f"lockgate predict --input - --output - < {source}")
        assert piped.out == plain
        assert "rows forecast by version 1" in piped.err
    refused = clone.run("bash", "-c", "echo 'Store,Date' | lockgate predict --input - --output -", code=3)
    assert (refused.out, refused.err[:6]) == ("", "error:")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["lockgate", "promte"], 2),
        (["lockgate", "promote", "1", "2", "--reason", "x"], 2),
        (["lockgate", "history", "--at", "yesterday"], 2),
        (["lockgate", "predict", "--input", "absent.csv", "--output", "out.txt"], 2),
    ],
)
def test_a_slip_of_the_hand_is_exit_code_2(project: Clone, words: list[str], code: int) -> None:
    done = project.run(*words, code=code)
    assert done.out == ""
    assert "Traceback" not in done.err


def assert_refusal(done: Done, fact: str) -> None:
    """`error:` with the fact and `hint:` with what to do, and no traceback."""
    assert fact in done.err
    assert done.err.startswith("error: ")
    assert "\nhint: " in done.err
    assert "Traceback" not in done.err


def _time_of(rows: list[dict[str, Any]], version: int, stage: str) -> str:
    return next(row["at"] for row in rows if row["version"] == version and row["to_stage"] == stage)


def _live_at(clone: Clone, moment: str) -> list[int]:
    return [row["version"] for row in clone.lockgate("history", "--at", moment, "--json").json()]
