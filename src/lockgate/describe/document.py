"""The description of a problem as lines with comments, from what was guessed of a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate.describe import guess, limits
from lockgate.describe.column_guess import ColumnGuess, Marks
from lockgate.describe.guess import Line, Roles, Seen
from lockgate.describe.layout import Layout
from lockgate.describe.limits import Limits
from lockgate.describe.side_table import SideTable
from lockgate.problem.metrics import METRICS
from lockgate.problem.periods import Period

MOST_SLICES = 3
MOST_SLICE_VALUES = 8
LEAST_SLICE_ROWS = 30
FORMAT_DEFAULTS = {"format": "csv", "encoding": "utf-8", "delimiter": ",", "decimal": ".", "thousands": ""}
SMALL_TABLE = 200


@dataclass(frozen=True)
class Document:
    """The lines under `problem` before and after its columns, the columns, the limits, and all doubts in order."""

    name: str
    file: str
    head: tuple[Line, ...]
    columns: tuple[Line, ...]
    tail: tuple[Line, ...]
    dropped: tuple[Line, ...]
    limits: Limits
    limit_comment: str
    doubts: tuple[str, ...]


def document_of(path: Path, name: str, layout: Layout, seen: Seen, sides: tuple[SideTable, ...] = ()) -> Document:
    """The description of a file and its side tables."""
    roles = guess.roles_of(seen)
    switch = guess.switch_of(seen, roles)
    found = limits.limits_of(seen, switch)
    head = (*_head(path, name, layout, seen, sides), *_role_lines(seen, roles, sides), *_static_line(sides))
    columns = (*_columns(seen, roles), *(side.line(each) for side in sides for each in side.learned))
    tail = tuple(_tail(seen, roles, switch, found))
    doubts = [
        *_about_rows(seen),
        *(doubt for side in sides for doubt in side.doubts),
        *(doubt for line in (*head, *columns, *roles.dropped, *tail) for doubt in line.doubts),
    ]
    return Document(
        name, path.name, head, columns, tail, roles.dropped, found, _limit_comment(found), tuple(dict.fromkeys(doubts))
    )


def _head(path: Path, name: str, layout: Layout, seen: Seen, sides: tuple[SideTable, ...]) -> list[Line]:
    wish = seen.wish
    target = "periods left" if seen.derived else wish.target
    lines = [
        Line("name", name, f"the registered model is {name}-ensemble"),
        Line("title", f"{target} of {path.name}"),
        _task(seen),
        Line("sources", [_source(path, layout, seen), *map(_side_source, sides)], _about_source(layout, seen)),
        Line("target", wish.target),
    ]
    if seen.task == "binary":
        lines.append(_positive(seen))
    if seen.derived:
        why = (
            f"no column {wish.target}: the periods to the last row of a key; cap: five eighths of the median life:"
            " early wear is not seen"
        )
        lines.append(Line("derived", {"of": "periods_left", "cap": limits.cap_of(seen)}, why))
    return [*lines, *_series_lines(seen)]


def _task(seen: Seen) -> Line:
    if seen.wish.task or seen.derived:
        return Line("task", seen.task)
    classes = len(seen.target.filled)
    if seen.task == "regression":
        few = f"{seen.wish.target} has only {classes} values: for classes, run again with --task multiclass"
        return Line(
            "task",
            seen.task,
            f"{classes:,} different values",
            (few,) if classes <= guess.MOST_CLASSES and seen.kind != "panel" else (),
        )
    counted = f"{classes} different values: {guess.summary_of(seen.target)}"
    number = f"{seen.wish.target} has {classes} whole numbers, taken as classes; for amounts: --task regression"
    return Line("task", seen.task, counted, (number,) if seen.target.type == "integer" and classes > 2 else ())


def _positive(seen: Seen) -> Line:
    chosen = guess.positive_of(seen.target)
    rows = seen.target.texts.rows_with(frozenset({chosen}))
    why = f"the class whose probability is forecast; {rows:,} of {seen.table.rows:,} rows"
    sure = chosen.lower() in guess.POSITIVE
    return Line(
        "positive", chosen, why, () if sure else (f"positive is the rarer class, {chosen}: is it the one to find?",)
    )


def _source(path: Path, layout: Layout, seen: Seen) -> dict[str, Any]:
    source = _file(path, layout, seen.marks, tuple(seen.guesses.values()))
    if _joins(seen):
        return source | {"duplicates": "mean"}
    return source | ({"duplicates": "drop"} if seen.repeated_rows else {})


def _joins(seen: Seen) -> bool:
    """Whether rows of one key and time become one row."""
    return seen.series is not None and seen.series.by_clock


def _side_source(side: SideTable) -> dict[str, Any]:
    renamed = {"rename": dict(side.renamed)} if side.renamed else {}
    return _file(side.path, side.layout, side.marks, side.guesses) | {"key": list(side.key)} | renamed


def _file(path: Path, layout: Layout, marks: Marks, guesses: tuple[ColumnGuess, ...]) -> dict[str, Any]:
    """A source: what differs from the defaults."""
    source: dict[str, Any] = {"file": path.name.removesuffix(".gz")}
    encoding = "utf-8" if layout.encoding == "utf-8-sig" else layout.encoding
    given = {"format": layout.format, "encoding": encoding, "delimiter": layout.delimiter, "decimal": layout.decimal}
    given |= {"thousands": marks.thousands}
    source |= {key: value for key, value in given.items() if value != FORMAT_DEFAULTS[key]}
    if not layout.header:
        source["names"] = list(layout.names)
    if missing := sorted(frozenset().union(*(each.missing for each in guesses))):
        source["missing"] = missing
    return source


def _static_line(sides: tuple[SideTable, ...]) -> list[Line]:
    names = [each.name for side in sides if side.is_static for each in side.learned]
    return [Line("static_features", names, "one value for each key, from the side tables")] if names else []


def _about_source(layout: Layout, seen: Seen) -> str:
    parts = [f"{seen.table.rows:,} rows, {len(seen.table.names)} columns"]
    if not layout.header:
        parts.append("no header: names gives the names of the columns, here and below they may be changed")
    if seen.repeated_rows and not _joins(seen):
        parts.append(f"{seen.repeated_rows:,} rows repeat an earlier row in every column and are dropped")
    return "; ".join(parts)


def _series_lines(seen: Seen) -> list[Line]:
    wish = seen.wish
    if seen.series is None:
        return [Line("keys", list(wish.keys))] if wish.keys else []
    found = seen.series
    count = int(found.codes.max()) + 1
    guessed = "" if wish.keys else "guessed: with these columns, each time stands once for each key; "
    words = f"{guessed}{count:,} series" if found.keys else "one series: each time stands once"
    lines = [Line("keys", list(found.keys), words, _key_doubts(seen))]
    period = found.period or "hour"
    time = {"column": wish.time, "period": period} | ({"of": list(wish.parts)} if wish.parts else {})
    lines.append(Line("time", time, _about_time(seen), _period_doubts(seen)))
    lines.append(_horizon(seen))
    return lines


def _key_doubts(seen: Seen) -> tuple[str, ...]:
    left = seen.of_time.repeated - seen.repeated_rows
    if left <= 0:
        return ()
    if seen.of_time.by_clock:
        return (
            f"{seen.of_time.repeated:,} rows repeat an hour, as local clocks do when they go back: such rows become one"
            " with the mean of what was measured (duplicates)",
        )
    what = "the same key and time" if seen.of_time.keys else "the same time"
    return (f"{left:,} rows have {what} as another row: name the columns of the key (--key), or add these rows up",)


def _about_time(seen: Seen) -> str:
    time = seen.guesses[seen.wish.time]
    moments = len(time.filled)
    together = f"put together from {' and '.join(seen.wish.parts)}; " if seen.wish.parts else ""
    return f"{together}{guess.summary_of(time)}: {moments:,} different times"


def _period_doubts(seen: Seen) -> tuple[str, ...]:
    doubts = tuple(filter(None, [seen.time_doubt]))
    if seen.of_time.period is not None:
        return doubts
    return (
        *doubts,
        f"{seen.wish.time}: the steps are no hour, day, week or month: add the rows up to one of these periods",
    )


def _horizon(seen: Seen) -> Line:
    why = (
        "periods to forecast; also the length of the holdout"
        if seen.horizon
        else "0: the answer for a key now, from its rows so far"
    )
    unsaid = seen.wish.horizon is None
    return Line("horizon", seen.horizon, why, (f"no --horizon was given: {seen.horizon} is assumed",) if unsaid else ())


def _role_lines(seen: Seen, roles: Roles, sides: tuple[SideTable, ...]) -> list[Line]:
    joined = [each.name for side in sides if not side.is_static for each in side.learned]
    known = (
        "known before their period, so a forecast request has them"
        if seen.kind == "panel"
        else "what a forecast request has"
    )
    past = (
        "known only after their period, as the target is" if seen.kind == "panel" else "measured at the time of a row"
    )
    found = [
        Line("known_covariates", [*_names(roles.known), *joined], known, _known_doubts(seen, roles, joined))
        if roles.known or joined
        else None,
        Line("past_covariates", _names(roles.past), past, _past_doubts(seen, roles)) if roles.past else None,
        Line("checks", {line.key: line.value for line in roles.checks}, roles.checks[0].comment)
        if roles.checks
        else None,
        Line("row_id", roles.row_id[0].value, roles.row_id[0].comment) if roles.row_id else None,
    ]
    return [line for line in found if line]


def _known_doubts(seen: Seen, roles: Roles, joined: list[str]) -> tuple[str, ...]:
    if seen.kind == "panel":
        varying = ", ".join([*(line.key for line in roles.known if not line.comment), *joined])
        ahead = Period(seen.of_time.period or "integer").plural(seen.horizon)
        doubt = f"known {ahead} ahead: {varying}? Move the others to past_covariates"
        return (doubt,) if varying else ()
    dates = ", ".join(line.key for line in roles.known if seen.guesses[line.key].type == "date")
    return (f"{dates} has dates: to forecast later rows from earlier ones, use --time and --horizon",) if dates else ()


def _past_doubts(seen: Seen, roles: Roles) -> tuple[str, ...]:
    if seen.kind != "panel":
        return ()
    names = ", ".join(_names(roles.past))
    return (f"measured together with {seen.wish.target}: {names}? Move what is planned ahead to known_covariates",)


def _columns(seen: Seen, roles: Roles) -> list[Line]:
    described = {line.key for lines in (roles.known, roles.past, roles.checks, roles.row_id) for line in lines}
    described |= _without_missing(seen)
    lines = [_column(seen, name) for name in seen.guesses if name in described]
    return lines if not seen.derived else [*lines, Line(seen.wish.target, {"type": "integer"}, "computed")]


def _column(seen: Seen, name: str) -> Line:
    found = seen.guesses[name]
    entry = guess.column_entry(found, name == seen.wish.target and seen.task != "regression")
    if name not in _without_missing(seen):
        return Line(name, entry, guess.summary_of(found), found.doubts)
    entry.pop("missing", None)
    if not found.missing_rows:
        return Line(name, entry, guess.summary_of(found), found.doubts)
    left_out = f"{name}: {found.missing_rows:,} rows have no value and are left out (drop_rows)"
    return Line(name, entry | {"drop_rows": True}, guess.summary_of(found), (*found.doubts, left_out))


def _without_missing(seen: Seen) -> set[str]:
    """The columns in which a missing value has no meaning: keys, time and target."""
    keys = seen.series.keys if seen.series else seen.wish.keys
    return {*keys, seen.wish.target, *filter(None, [seen.wish.time])}


def _tail(seen: Seen, roles: Roles, switch: str, found: Limits) -> list[Line]:
    lines = []
    if switch:
        why = (
            f"where {switch} is 0, {seen.wish.target} is always 0: these rows are not learned, and their forecast is 0"
        )
        lines.append(Line("where", {"column": switch, "equals": 1, "otherwise": 0}, why))
    lines.append(_split(seen))
    lines.append(Line("metric", found.metric, f"{METRICS[found.metric].better} is better"))
    lines.append(Line("baseline", found.baseline, found.words))
    if slices := _slices(seen, roles, switch):
        lines.append(
            Line("slices", slices, "groups of rows in which a version may not be worse than the one in Production")
        )
    return lines


def _split(seen: Seen) -> Line:
    if seen.kind == "panel":
        return Line("split", {"by": "time", "last": seen.horizon}, "the holdout: the last horizon")
    if seen.kind == "state" or seen.wish.keys:
        return Line("split", {"by": "group", "share": 0.2}, "the holdout: a fifth of the keys, with all their rows")
    by = "random" if seen.task == "regression" else "stratified"
    return Line("split", {"by": by, "share": 0.2}, "the holdout: a fifth of the rows")


def _slices(seen: Seen, roles: Roles, switch: str) -> list[str]:
    """Columns with few values, each of many rows."""
    few = [
        line.key
        for line in roles.known
        if seen.guesses[line.key].type in ("flag", "category") and not seen.guesses[line.key].missing_rows
        and line.key != switch and 2 <= len(seen.guesses[line.key].filled) <= MOST_SLICE_VALUES
        and seen.guesses[line.key].texts.counts.min() >= 5 * LEAST_SLICE_ROWS
    ]  # fmt: skip
    return few[:MOST_SLICES]


def _about_rows(seen: Seen) -> list[str]:
    found = []
    if seen.table.rows < SMALL_TABLE:
        found.append(f"{seen.table.rows} rows are few: scores will be uncertain, and the gate may be inconclusive")
    if seen.repeated_rows and not _joins(seen):
        found.append(
            f"{seen.repeated_rows:,} of {seen.table.rows:,} rows repeat an earlier row and are dropped (duplicates)"
        )
    elif seen.equal_rows and not _joins(seen):
        found.append(
            f"{seen.equal_rows:,} of {seen.table.rows:,} rows are equal to an earlier row, as chance explains, and are"
            " kept; if they are copies, add duplicates: drop to the source"
        )
    return found


def _limit_comment(found: Limits) -> str:
    label = METRICS[found.metric].label
    score = f"{found.score:.4g}" if found.score == found.score else "unknown"
    better = "" if "regression" in METRICS[found.metric].tasks else "a little better than "
    what = f"it is {better}the {label} of {found.words} ({score})"
    return f"the score must be better than this; {what}: set it to what your use needs"


def _names(lines: tuple[Line, ...]) -> list[str]:
    return [line.key for line in lines]
