"""The data card, card.json: source, counts, ranges and digests of the prepared tables. Equal data give equal cards.

The card holds no paths and no times. Reading it loads neither pandas nor numpy; making it loads both.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lockgate import digests
from lockgate.errors import IntegrityBroken
from lockgate.problem.columns import KEY, OPEN, TARGET, TIME

if TYPE_CHECKING:
    import pandas as pd

    from lockgate.data.ingest import CsvSource, Tables
    from lockgate.data.split import Split

Card = dict[str, Any]  # JSON
Part = Literal["rows", "holdout", "stores"]
CARD = "card.json"
LISTED_GAPS = 10
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


def card_of(source: "CsvSource | GeneratedSource", tables: "Tables", parts: "Split") -> Card:
    """The card of tables and their split, as a JSON value."""
    return {
        "source": asdict(source),
        "cutoff": parts.cutoff.isoformat(),
        "holdout_days": (tables.rows[TIME].max().date() - parts.cutoff).days,
        "rows": _rows_card(parts.rows),
        "holdout": _rows_card(parts.holdout),
        "stores": _stores_card(tables),
        "gaps": gaps(tables.rows),
        "notes": list(tables.notes),
    }


def gaps(rows: "pd.DataFrame") -> Card:
    """Missing rows: days of the data on which a store has no row, also before its first day and after its last.

    Gaps with the same first and last day are listed as one, those of most stores first; at most LISTED_GAPS.
    """
    runs = _missing_runs(rows)
    groups = runs.groupby(["first", "last"], as_index=False).agg(stores=(KEY, "size"), days=("days", "first"))
    groups = groups.sort_values(["stores", "days", "first"], ascending=[False, False, True])
    return {
        "missing_rows": int(runs["days"].sum()),
        "stores": int(runs[KEY].nunique()),
        "longest_days": int(runs["days"].max()) if len(runs) else 0,
        "listed": [
            {"first_day": _iso(gap.first), "last_day": _iso(gap.last), "stores": int(gap.stores)}
            for gap in groups.head(LISTED_GAPS).itertuples()
        ],
    }


def _missing_runs(rows: "pd.DataFrame") -> "pd.DataFrame":
    """One row per store and stretch of missing days: the key, first, last (day numbers since 1970), days."""
    import numpy as np
    import pandas as pd

    day = rows[TIME].to_numpy().astype("datetime64[D]").astype(np.int64)
    store = rows[KEY].to_numpy()
    starts, ends = np.r_[True, store[1:] != store[:-1]], np.r_[store[1:] != store[:-1], True]
    before = np.where(starts, day.min() - 1, np.r_[0, day[:-1]])  # the previous day of the store
    inner = day - before > 1
    tail = ends & (day < day.max())
    runs = pd.DataFrame(
        {
            KEY: np.r_[store[inner], store[tail]],
            "first": np.r_[before[inner], day[tail]] + 1,
            "last": np.r_[day[inner] - 1, np.full(tail.sum(), day.max())],
        }
    )
    return runs.assign(days=runs["last"] - runs["first"] + 1)


def _rows_card(rows: "pd.DataFrame") -> Card:
    return {
        "count": len(rows),
        "stores": int(rows[KEY].nunique()),
        "first_day": rows[TIME].min().date().isoformat(),
        "last_day": rows[TIME].max().date().isoformat(),
        "open": int(rows[OPEN].sum()),
        "open_without_sales": int(((rows[OPEN] == 1) & (rows[TARGET] == 0)).sum()),
        "columns": {str(name): _column_card(rows[name]) for name in rows},
        "digest": digests.of_frame(rows),
    }


def _stores_card(tables: "Tables") -> Card:
    stores = tables.stores
    return {
        "count": len(stores),
        "without_rows": int((~stores[KEY].isin(tables.rows[KEY])).sum()),
        "columns": {str(name): _column_card(stores[name]) for name in stores},
        "digest": digests.of_frame(stores),
    }


def _column_card(column: "pd.Series[Any]") -> Card:
    """Counts of each value for text and flags, the range for numbers and dates; how many are missing."""
    missing = int(column.isna().sum())
    if column.dtype == "str" or column.dtype == "int8":
        counts = column.value_counts().sort_index()
        return {"missing": missing, "counts": {str(value): int(count) for value, count in counts.items()}}
    low, high = column.min(), column.max()
    if column.dtype.kind == "M":
        return {"missing": missing, "min": low.date().isoformat(), "max": high.date().isoformat()}
    return (
        {"missing": missing, "min": low.item(), "max": high.item()} if missing < len(column) else {"missing": missing}
    )


def _iso(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(day))).isoformat()
