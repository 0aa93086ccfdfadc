"""An explanation in sentences: what moved a forecast, and by how much."""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from lockgate.forecaster.explanation import ROUNDING, RULE
from lockgate.problem.description import Problem
from lockgate.system.readable_line import visible

Record = Mapping[str, Any]
LONGEST_VALUE = 40
NEGLIGIBLE = 1e-4  # rounding below this share of the forecast is not named


def sentences(problem: Problem, record: Record, top: int) -> list[str]:
    """The base, the `top` largest effects, the others together, and their sum."""
    if any(part["of"] == RULE for part in record["parts"]) or _is_by_rule(record):
        return [f"{_rule(problem)}: the forecast is {amount(record['forecast'])} by rule, without a model"]
    effects = ordered(record)
    lines = [f"{amount(record['base'])} is the base: {base(problem, record)}"]
    lines += [sentence(problem, record, each) for each in effects[:top]]
    if rest := effects[top:]:
        others = {"contribution": sum(each["contribution"] for each in rest)}
        lines.append(f"{len(rest)} smaller effects together {_moves(problem, record, others, plural=True)}")
    return [*lines, f"together: {amount(record['forecast'])}"]


def sentence(problem: Problem, record: Record, effect: Record) -> str:
    """What an effect does."""
    return f"{name(effect)} {_moves(problem, record, effect, _is_plural(effect))}"


def ordered(record: Record) -> list[Record]:
    """All effects but negligible rounding, the largest first."""
    least = NEGLIGIBLE * max(abs(record["forecast"]), abs(record["base"]))
    parts = (part for part in record["parts"] if part["of"] != ROUNDING or abs(part["contribution"]) > least)
    return sorted([*record["contributions"], *parts], key=lambda each: -abs(each["contribution"]))


def name(effect: Record) -> str:
    """The column with its value, or the words."""
    if "value" not in effect:
        return visible(str(effect["of"]))
    value = "missing" if effect["value"] is None else amount(effect["value"])
    return f"{visible(str(effect['of']))} = {value}"


def amount(value: Any) -> str:
    """A number with four digits, a text as it is."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        text = visible(str(value))
        return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
    if isinstance(value, int):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def answer(record: Record) -> str:
    """The forecast; of classes, the class and its probability."""
    chance = amount(float(record["forecast"]))
    return f"probability of {visible(str(record['class']))} {chance}" if "class" in record else chance


def what(problem: Problem, record: Record) -> str:
    """What is forecast: the target, or the probability of a class."""
    return f"the probability of {visible(str(record['class']))}" if "class" in record else "the forecast"


def base(problem: Problem, record: Record) -> str:
    """The base in words."""
    if problem.kind == "panel":
        keys = " and ".join(problem.keys)
        return f"the usual level of this {keys}" if keys else "the usual level"
    mean = "probability" if "class" in record else "forecast"
    return f"the mean {mean} in training"


def _is_by_rule(record: Record) -> bool:
    return record["base"] == 0 and not record["contributions"] and not record["parts"] and record["forecast"] == 0


def _rule(problem: Problem) -> str:
    return f"{problem.where.column} is not {problem.where.equals}" if problem.where else "not learned"


def _moves(problem: Problem, record: Record, effect: Record, plural: bool = False) -> str:
    change = effect["contribution"]
    verb = ("raise" if change >= 0 else "lower") + ("" if plural else "s")
    return f"{verb} {what(problem, record)} by {amount(abs(float(change)))}{_relative(effect)}"


def _is_plural(effect: Record) -> bool:
    """Whether words without a value are a plural, such as "limits of the forecast"."""
    return "value" not in effect and str(effect["of"]).partition(" of ")[0].endswith("s")


def _relative(effect: Record) -> str:
    if "factor" in effect:
        percent = 100 * (effect["factor"] - 1)
        digits = ".0f" if abs(percent) >= 10 else ".1f" if abs(percent) >= 1 else ".2g"
        return f" ({percent:+{digits}} %)"
    return f" (odds x {exp(effect['log_odds']):.2g})" if "log_odds" in effect else ""


def title(problem: Problem, inputs: Mapping[str, Any]) -> str:
    """The row in words: its keys and its time."""
    names: Sequence[str] = (*problem.keys, *([problem.time_name] if problem.time else []))
    return ", ".join(f"{each} {amount(inputs[each])}" for each in names if each in inputs)
