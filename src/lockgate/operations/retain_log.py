"""`lockgate log retain`: deletes old predictions and request counts of all models. Truth stays."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from lockgate.database import prediction_months, request_counts
from lockgate.database.connection import Database
from lockgate.database.prediction_months import Month


def plan(database: Database, age: timedelta) -> tuple[datetime, list[Month]]:
    """The time before which predictions are too old, and the months that have such predictions."""
    moment = datetime.now(UTC) - age
    return moment, [month for month in prediction_months.before(database, moment) if month.predictions or month.whole]


def retain(database: Database, moment: datetime, months: Sequence[Month]) -> None:
    """Drop whole months, and delete the rest a few rows at a time. It may be interrupted and repeated."""
    for month in months:
        if month.whole:
            prediction_months.drop(database, month)
        else:
            while prediction_months.delete_some(database, month, moment):
                pass
    request_counts.delete_before(database, moment)
