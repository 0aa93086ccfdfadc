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

    from lockgate.data.gaps import Gaps
    from lockgate.data.ingest import FileSource, Tables
    from lockgate.data.split import Split
    from lockgate.data.table_summary import TableSummary
    from lockgate.problem.description import Problem

Card = dict[str, Any]  # JSON
Part = Literal["rows", "holdout", "static"]
CARD = "card.json"
PARTS = "parts"  # of a table that is a folder: file, rows and digest of each part
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


@dataclass(frozen=True)
class Measured:
    """What was measured of the prepared tables: summaries, static features, the keys of the rows, and the cutoff."""

    rows: "TableSummary"
    holdout: "TableSummary"
    gaps: "Gaps | None"  # None without a time
    static: "pd.DataFrame"
    keys: "pd.DataFrame"  # of all rows, one row each
    cutoff: str
    notes: tuple[str, ...]

    def card(self, problem: "Problem", source: "FileSource | GeneratedSource") -> Card:
        """The card as a JSON value."""
        return {
            "source": asdict(source),
            "problem": problem.name,
            "cutoff": self.cutoff,
            "holdout_periods": self.holdout.periods if self.cutoff else 0,
            "rows": self.rows.card(problem),
            "holdout": self.holdout.card(problem),
            "static": _static_card(self.static, self.keys),
            "gaps": self.gaps.card(problem) if self.gaps else {},
            "notes": list(self.notes),
        }


def card_of(problem: "Problem", source: "FileSource | GeneratedSource", tables: "Tables", parts: "Split") -> Card:
    """The card of tables and their split, as a JSON value. A problem with a time also has its gaps."""
    from lockgate.data.gaps import Gaps
    from lockgate.data.table_summary import TableSummary

    rows, holdout = (TableSummary.of(problem, part) for part in (parts.rows, parts.holdout))
    found = Gaps.of(problem, tables.rows) if problem.time else None
    keys = tables.rows[list(problem.keys)].drop_duplicates()
    return Measured(rows, holdout, found, tables.static, keys, parts.cutoff, tables.notes).card(problem, source)


def _static_card(static: "pd.DataFrame", keys: "pd.DataFrame") -> Card:
    """The card of the static features; `keys` are those of the rows, one row each."""
    from lockgate.data.table_summary import ColumnSummary

    held = [name for name in keys if name in static]
    known = keys[held].drop_duplicates()
    stray = static.merge(known, how="left", on=held, indicator=True) if held else static
    return {
        "count": len(static),
        "without_rows": int((stray["_merge"] == "left_only").sum()) if held else 0,
        "columns": {str(name): ColumnSummary.of(static[name]).card() for name in static},
        "digest": digests.of_frame(static),
    }
