"""The data card, card.json: source, counts, ranges and digests of the prepared tables. Equal data give equal cards.

The card holds no paths and no times. Reading it loads neither pandas nor numpy; making it loads both.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lockgate import digests
from lockgate.errors import IntegrityBroken

if TYPE_CHECKING:
    import pandas as pd

    from lockgate.data.ingest import FileSource, Tables
    from lockgate.data.split import Split
    from lockgate.problem.description import Problem

Card = dict[str, Any]  # JSON
Part = Literal["rows", "holdout", "static"]
CARD = "card.json"
LISTED_GAPS = 10
LISTED_VALUES = 50
REPAIR = "run: dvc repro --force prepare"


@dataclass(frozen=True)
class GeneratedSource:
    """Settings of the generated chain, and the RMSPE of the best possible forecast of its holdout."""

    stores: int
    days: int
    noise: float
    seed: int
    noise_floor_rmspe: float
    kind: str = "generator"


def read_card(folder: Path) -> Card:
    """The data card of a folder. Raises IntegrityBroken if it is missing, not JSON or without digests."""
    path = folder / CARD
    try:
        card: Card = json.loads(path.read_text(encoding="utf-8"))
        whole = all(isinstance(card[part]["digest"], str) for part in get_args(Part))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IntegrityBroken("the data card cannot be read", where=str(path), hint=REPAIR) from error
    if not whole:
        raise IntegrityBroken("the data card holds no digests", where=str(path), hint=REPAIR)
    return card


def noise_floor(card: Card) -> float | None:
    """RMSPE of the best possible forecast of the holdout; None for real data, where it is unknown."""
    floor = card.get("source", {}).get("noise_floor_rmspe")
    return None if floor is None else float(floor)


def card_of(problem: "Problem", source: "FileSource | GeneratedSource", tables: "Tables", parts: "Split") -> Card:
    """The card of tables and their split, as a JSON value. A problem with a time also has its gaps."""
    return {
        "source": asdict(source),
        "problem": problem.name,
        "cutoff": parts.cutoff,
        "holdout_periods": _periods(problem, parts.holdout) if parts.cutoff else 0,
        "rows": _rows_card(problem, parts.rows),
        "holdout": _rows_card(problem, parts.holdout),
        "static": _static_card(problem, tables),
        "gaps": gaps(problem, tables.rows) if problem.time else {},
        "notes": list(tables.notes),
    }


def gaps(problem: "Problem", rows: "pd.DataFrame") -> Card:
    """Missing rows: periods of the data for which a key has no row, also before its first one and after its last.

    Gaps with the same first and last period are listed as one, those of most keys first; at most LISTED_GAPS.
    """
    runs = _missing_runs(problem, rows)
    groups = runs.groupby(["first", "last"], as_index=False).agg(keys=("key", "size"), periods=("periods", "first"))
    groups = groups.sort_values(["keys", "periods", "first"], ascending=[False, False, True])
    text = problem.period.text
    return {
        "missing_rows": int(runs["periods"].sum()),
        "keys": int(runs["key"].nunique()),
        "longest_periods": int(runs["periods"].max()) if len(runs) else 0,
        "listed": [
            {"first": text(int(gap.first)), "last": text(int(gap.last)), "keys": int(gap.keys)}
            for gap in groups.head(LISTED_GAPS).itertuples()
        ],
    }


def _missing_runs(problem: "Problem", rows: "pd.DataFrame") -> "pd.DataFrame":
    """One row per key and stretch of missing periods: place of the key, first, last (numbers), periods."""
    import numpy as np
    import pandas as pd

    number = problem.period.number(rows[problem.time_name].to_numpy())
    key = rows.groupby(list(problem.keys)).ngroup().to_numpy() if problem.keys else np.zeros(len(rows), dtype=np.int64)
    starts, ends = np.r_[True, key[1:] != key[:-1]], np.r_[key[1:] != key[:-1], True]
    before = np.where(starts, number.min() - 1, np.r_[0, number[:-1]])  # the previous period of the key
    inner = number - before > 1
    tail = ends & (number < number.max())
    runs = pd.DataFrame(
        {
            "key": np.r_[key[inner], key[tail]],
            "first": np.r_[before[inner], number[tail]] + 1,
            "last": np.r_[number[inner] - 1, np.full(tail.sum(), number.max())],
        }
    )
    return runs.assign(periods=runs["last"] - runs["first"] + 1)


def _rows_card(problem: "Problem", rows: "pd.DataFrame") -> Card:
    return {
        "count": len(rows),
        **_keys_and_times(problem, rows),
        "columns": {str(name): _column_card(rows[name]) for name in rows},
        "digest": digests.of_frame(rows),
    }


def _keys_and_times(problem: "Problem", rows: "pd.DataFrame") -> Card:
    found: Card = {}
    if problem.keys:
        found["keys"] = len(rows[list(problem.keys)].drop_duplicates())
    if problem.time:
        numbers = problem.period.number(rows[problem.time_name].to_numpy())
        found |= {"first": problem.period.text(int(numbers.min())), "last": problem.period.text(int(numbers.max()))}
    if problem.where:
        found["scored"] = int((rows[problem.where.column] == problem.where.equals).sum())
    if problem.positive:
        found["positive_share"] = float((rows[problem.target].astype(str) == problem.positive).mean())
    return found


def _periods(problem: "Problem", rows: "pd.DataFrame") -> int:
    number = problem.period.number(rows[problem.time_name].to_numpy())
    return int(number.max() - number.min()) + 1


def _static_card(problem: "Problem", tables: "Tables") -> Card:
    static = tables.static
    keys = [name for name in problem.keys if name in static]
    stray = static.merge(tables.rows[keys].drop_duplicates(), how="left", on=keys, indicator=True) if keys else static
    return {
        "count": len(static),
        "without_rows": int((stray["_merge"] == "left_only").sum()) if keys else 0,
        "columns": {str(name): _column_card(static[name]) for name in static},
        "digest": digests.of_frame(static),
    }


def _column_card(column: "pd.Series[Any]") -> Card:
    """Counts of each value for text and flags, the range for numbers and dates; how many are missing."""
    missing = int(column.isna().sum())
    if column.dtype == "str" or column.dtype == "int8":
        counts = column.value_counts().sort_index()
        if len(counts) > LISTED_VALUES:
            return {"missing": missing, "distinct": len(counts)}
        return {"missing": missing, "counts": {str(value): int(count) for value, count in counts.items()}}
    low, high = column.min(), column.max()
    if column.dtype.kind == "M":
        return {"missing": missing, "min": _time(low), "max": _time(high)}
    return (
        {"missing": missing, "min": low.item(), "max": high.item()} if missing < len(column) else {"missing": missing}
    )


def _time(value: Any) -> str:
    return str(value).removesuffix(" 00:00:00")
