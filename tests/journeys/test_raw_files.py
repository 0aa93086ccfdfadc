"""Kaggle's files as they come: what is read is what counts, not how it is packed."""

import gzip
import shutil
from pathlib import Path

import pytest
from clone import Clone, commit

from lockgate.problem.params import GeneratorParams
from lockgate.synthetic import generator

pytestmark = pytest.mark.long


NAMES = ("train.csv", "store.csv")


def test_plain_and_gzipped_csvs_give_the_same_holdout(clone: Clone) -> None:
    raw = clone.folder / "data/raw"
    _use_files(clone)
    plain = _prepared(clone)
    for name in NAMES:
        _pack(raw / name)
    packed = _prepared(clone)
    assert plain["source"]["kind"] == packed["source"]["kind"] != "generator"
    for part in ("rows", "holdout"):
        assert plain[part]["digest"] == packed[part]["digest"]


def test_files_that_prepare_does_not_read_change_nothing(clone: Clone) -> None:
    """Kaggle's archive also holds test.csv and sample_submission.csv."""
    clone.run("dvc", "repro", "prepare")  # the copy has a problem of another name
    (clone.folder / "data/raw/test.csv").write_text("Id,Store\n1,1\n")
    assert "didn't change" in clone.run("dvc", "repro", "prepare").out


def test_a_bad_file_is_refused_with_its_line_and_no_version_comes_of_it(clone: Clone) -> None:
    raw = clone.folder / "data/raw"
    _use_files(clone)
    lines = (raw / "train.csv").read_text().splitlines(keepends=True)
    (raw / "train.csv").write_text("".join([*lines[:100], lines[100].replace(",", ",x", 1), *lines[101:]]))
    done = clone.run("dvc", "repro", code=255)
    assert "train.csv" in done.err
    assert "101" in done.err
    assert "hint: " in done.err
    clone.run("python", "pipelines/prepare.py", "data/raw", "data/elsewhere", code=3)
    assert clone.stages() == {}


def test_a_temporary_workspace_without_the_files_never_takes_generated_rows(clone: Clone) -> None:
    """Git ignores data/raw, so DVC does not copy the files; the project has made the generated chain before."""
    _use_files(clone)
    clone.run("dvc", "repro", "prepare")
    commit(clone, "our own files")
    changed = ["--temp", "--set-param", "problem.horizon=28", "prepare"]
    alone = clone.run("dvc", "exp", "run", *changed, code=255)
    assert "there is no train.csv and no store.csv" in alone.err
    assert "--copy-paths data/raw/train.csv" in alone.err
    files = [word for name in NAMES for word in ("--copy-paths", f"data/raw/{name}")]
    clone.run("dvc", "exp", "run", *files, *changed)


def _prepared(clone: Clone) -> dict[str, dict[str, str]]:
    clone.run("dvc", "repro", "prepare")
    card: dict[str, dict[str, str]] = clone.read("data/prepared/card.json")
    return card


def _use_files(clone: Clone) -> None:
    clone.set_params(source="files")
    _write_as_kaggle_does(clone.folder / "data/raw")


def _write_as_kaggle_does(raw: Path) -> None:
    """The newest day first, dates as text, no value where there is none."""
    chain = generator.generate(GeneratorParams(seed=1, stores=12, days=450, noise=0.04))
    rows = chain.raw.sort_values(["Date", "Store"], ascending=[False, True])
    rows.assign(Date=rows["Date"].dt.strftime("%Y-%m-%d")).to_csv(raw / "train.csv", index=False)
    chain.stores.to_csv(raw / "store.csv", index=False)


def _pack(path: Path) -> None:
    with path.open("rb") as plain, gzip.open(path.with_suffix(".csv.gz"), "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()
