"""`make demo PROBLEM=...` in a fresh clone, as a stranger runs it, and what it says to do next."""

import re
from collections.abc import Iterator

import pytest
from clone import Clone, clone_of_project, commit, lend_environment

SECONDS = 300
PROBLEM = "vehicle_demand"  # the shortest training


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone with a stack of its own and this Python's environment."""
    clone = clone_of_project(tmp_path_factory.mktemp("journeys") / "a clone", {})
    lend_environment(clone)
    commit(clone, "the project")
    try:
        yield clone
    finally:
        clone.lockgate("down")


@pytest.fixture(scope="module")
def printed(own_stack: Clone) -> str:
    """What the demonstration of an example prints."""
    return demo(own_stack)


def demo(clone: Clone) -> str:
    return clone.run("make", "demo", f"PROBLEM={PROBLEM}", timeout=SECONDS).out


@pytest.mark.long
def test_the_demonstration_of_an_example_ends_with_its_model_in_production(own_stack: Clone, printed: str) -> None:
    assert "version 1 went from Staging to Production" in printed
    assert f"/#/models/{PROBLEM}-ensemble/versions/1" in printed
    assert re.search(r"review and promote +http://127.0.0.1:\d+/lockgate\n", printed)
    for name in ("plots/holdout.png", "forecast.csv"):
        assert (own_stack.folder / f"examples/{PROBLEM}/build/{name}").is_file()
        assert f"  examples/{PROBLEM}/build/{name}\n" in printed


@pytest.mark.long
def test_the_lines_to_go_on_with_work(own_stack: Clone, printed: str) -> None:
    enter, predict, *_ = [line.strip() for line in printed.partition("Go on with:\n")[2].splitlines()]
    forecasts = own_stack.run("bash", "-c", f"set -e; {enter}; {predict}").out.splitlines()
    assert forecasts[0].endswith("prediction,lower,upper,model_version")
    assert len(forecasts) == 10


@pytest.mark.long
def test_a_second_demonstration_trains_and_moves_nothing(own_stack: Clone, printed: str) -> None:
    """Of the files, git sees only the receipt of DVC, which DVC wants to be committed."""
    events = own_stack.run("bash", "-c", f"cd examples/{PROBLEM} && lockgate history --json").out
    again = demo(own_stack)
    assert "Stage 'train' didn't change, skipping" in again
    assert "version 1 is already in Production; nothing was changed" in again
    assert own_stack.run("bash", "-c", f"cd examples/{PROBLEM} && lockgate history --json").out == events
    assert own_stack.run("git", "status", "--short").out == f"?? examples/{PROBLEM}/dvc.lock\n"


def test_an_unknown_example_is_refused_with_the_names_of_all(project: Clone) -> None:
    refused = project.run("sh", "docs/demo.sh", "chrun", code=2)
    assert refused.err == (
        "error: there is no examples/chrun\n"
        "hint: PROBLEM is one of: rossmann, churn, engines, used_cars, vehicle_demand\n"
    )
