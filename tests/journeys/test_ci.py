"""The workflows of examples/ci: their steps, run as GitHub runs them, with a `gh` that keeps what it is given."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from clone import PROJECT, Clone, Done, lend_environment

GH = '#!/bin/sh\nprintf "%s\\n" "$*" > "$KEPT/words"\ncp "$5" "$KEPT/comment"\n'
OF_THE_RUNNER = ("make install", "dvc pull")  # the environment and the data, which the clone has


@pytest.fixture
def runner(clone: Clone, tmp_path: Path) -> Clone:
    """The clone with an environment, and a `gh` in front of its path."""
    lend_environment(clone)
    tool = tmp_path / "bin" / "gh"
    tool.parent.mkdir()
    tool.write_text(GH)
    tool.chmod(0o755)
    return clone


def steps(name: str) -> list[str]:
    """The scripts of a workflow, without those that prepare the runner."""
    [job] = yaml.safe_load((PROJECT / "examples/ci" / name).read_text(encoding="utf-8"))["jobs"].values()
    scripts: list[Any] = [step["run"] for step in job["steps"] if "run" in step]
    return [script for script in scripts if not any(words in script for words in OF_THE_RUNNER)]


def run(runner: Clone, tmp_path: Path, script: str, code: int = 0, **variables: str) -> Done:
    """A step, as GitHub runs it: `bash -e` with pipes that fail."""
    variables |= {"KEPT": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{runner.environment['PATH']}"}
    return runner.run("bash", "-eo", "pipefail", "-c", script, code=code, **variables)


@pytest.mark.long
def test_a_pull_request_gets_the_verdict_as_a_comment_and_a_person_promotes(runner: Clone, tmp_path: Path) -> None:
    train, judge = steps("pull-request.yml")
    run(runner, tmp_path, train)
    run(runner, tmp_path, judge, PULL_REQUEST="7")
    assert (tmp_path / "words").read_text().startswith("pr comment 7 --body-file build/comment.md --edit-last")
    comment = (tmp_path / "comment").read_text()
    assert "PASSED: all 14 checks passed" in comment
    assert 'Next: `lockgate promote 1 --reason "..."`' in comment

    move, check = steps("promote.yml")
    run(runner, tmp_path, move, ACTION="promote", VERSION="1", REASON='"; touch broken; echo "')
    assert "all unchanged" in run(runner, tmp_path, check).out
    assert runner.stages() == {1: "Production"}
    assert not (runner.folder / "broken").exists()

    runner.set_params(gate__limit=0.0001)
    run(runner, tmp_path, train)
    refused = run(runner, tmp_path, judge, code=4, PULL_REQUEST="7")
    assert "hint: see the failed checks" in refused.err
    assert re.search(r"\| within limit \|.*\| \*\*refused\*\* \|", (tmp_path / "comment").read_text())
