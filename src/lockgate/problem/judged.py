"""What a verdict judges, in words: target, scored rows, holdout, baseline and slices of a problem.

The words are part of the policy, so a verdict counts only for the description under which it was given.
"""

from lockgate.problem.description import Bins, Problem


def judged(problem: Problem) -> dict[str, str]:
    """The words by key of the description, with the defaults of its kind."""
    return {
        "target": _target(problem),
        "where": _where(problem),
        "split": _split(problem),
        "baseline": problem.baseline_name,
        "slices": ", ".join(_slice(each) for each in problem.slices) or "none",
    }


def _target(problem: Problem) -> str:
    more: list[str] = [problem.task]
    if problem.positive:
        more.append(f"positive {problem.positive}")
    if problem.derived:
        more.append(problem.derived.of + (f" up to {problem.derived.cap}" if problem.derived.cap else ""))
    return f"{problem.target} ({', '.join(more)})"


def _where(problem: Problem) -> str:
    where = problem.where
    return f"{where.column} is {where.equals}, otherwise {where.otherwise:g}" if where else "all rows"


def _split(problem: Problem) -> str:
    split = problem.holdout
    match split.by:
        case "time":
            return f"time, the last {problem.period.plural(split.last or problem.horizon or 1)}"
        case "group":
            return f"group of {split.column or ' and '.join(problem.keys)}, share {split.share:g}"
    return f"{split.by}, share {split.share:g}"


def _slice(given: str | Bins) -> str:
    return f"{given.column} in {given.bins} bins" if isinstance(given, Bins) else given
