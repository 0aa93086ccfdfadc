"""The search: ask the study for settings, score them fold by fold, give up bad trials early."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

from lockgate.engine.engine import Failed
from lockgate.errors import BadConfiguration, BadData
from lockgate.problem.params import Params
from lockgate.problem.search_space import Settings
from lockgate.sweep.executor import Executor
from lockgate.sweep.study import Study
from lockgate.sweep.trials import PRESENT
from lockgate.training.inner_score import InnerScore

LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Rules:
    """How settings become params, whether one more trial may begin, and what happens when a trial has ended."""

    params: Callable[[Settings], Params]
    goes_on: Callable[[int], bool]  # given the number of trials that have begun
    ended: Callable[[int], None]


def search(study: Study, executor: Executor, rules: Rules, left: Iterable[int] = ()) -> None:
    """Run trials until the rules end it and all that have begun are over.

    `left` are trials of a killed process, which are repeated first. Raises the error of trial 0 if the present settings
    cannot be scored.
    """
    running, waiting = 0, list(left)
    while True:
        while running < executor.slots and (waiting or rules.goes_on(len(study.trials()))):
            number = waiting.pop(0) if waiting else study.ask()
            running += _begin(study, executor, rules, number)
        if running == 0:
            return
        number, found = executor.next()
        if _goes_on(study, number, found):
            executor.submit(number, rules.params(study.settings(number)), study.folds(number) + 1)
        else:
            executor.release(number)
            running -= 1
            rules.ended(number)


def _begin(study: Study, executor: Executor, rules: Rules, number: int) -> bool:
    """Begin a trial; False if its values, of which each is allowed, contradict each other."""
    try:
        params = rules.params(study.settings(number))
    except BadConfiguration as refused:
        study.fail(number, str(refused))
        rules.ended(number)
        return False
    executor.submit(number, params, 1)
    return True


def _goes_on(study: Study, number: int, found: InnerScore | Failed) -> bool:
    """Record what was found; whether the trial needs the next fold."""
    if isinstance(found, Failed):
        if number == PRESENT:  # it stays in the journal as running, and is repeated
            raise found.error
        study.fail(number, _first_line(found.error))
        return False
    if not isfinite(found.error):
        reason = f"the score on the first {len(found.of_folds)} folds is no number"
        if number == PRESENT:
            raise BadData(reason, where="the settings of params.yaml", hint="use other folds or another metric")
        study.fail(number, reason)
        return False
    gives_up = study.report(number, found)
    if found.done:
        study.complete(number)
    elif gives_up:
        study.prune(number)
    return not (found.done or gives_up)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:LONGEST_REASON]
