"""The data card as a file: what the prepared tables hold, from where, and their digests. Read without pandas."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lockgate.errors import IntegrityBroken

Card = dict[str, Any]  # JSON
Part = Literal["rows", "holdout", "stores"]
CARD = "card.json"
REPAIR = "run: dvc repro --force prepare"


@dataclass(frozen=True)
class GeneratedSource:
    """Rows that were generated, and the RMSPE of the perfect forecast on the holdout."""

    stores: int
    days: int
    noise: float
    seed: int
    noise_floor_rmspe: float
    kind: str = "generator"


def read_card(folder: Path) -> Card:
    """The data card. Raises IntegrityBroken if it is missing or not what `write` leaves."""
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
    """The least RMSPE that an honest forecast of the holdout can be expected to have; None where nobody knows, as of
    real data."""
    found = card.get("source", {}).get("noise_floor_rmspe")
    return None if found is None else float(found)
