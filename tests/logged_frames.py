"""Logged rows as the monitor reads them, made of rows with their target, for every kind of problem."""

import uuid

import numpy as np
import pandas as pd

from lockgate.monitoring.live import LOGGED
from lockgate.problem.target_values import class_texts

NOW = pd.Timestamp("2026-03-01T12:00:00Z")


def logged(problem, rows, forecast, *, at=NOW, truth_at=None, **about):
    """The log of rows with a forecast each; a truth is known where `truth_at` is given. `about` overrides columns."""
    count = len(rows)
    period = problem.period.number(rows[problem.time_name].to_numpy()) if problem.time else [None] * count
    frame = pd.DataFrame(
        {
            "at": at,
            "request_id": str(uuid.uuid4()),
            "row": np.arange(count),
            "role": "served",
            "version": 1,
            "degraded": False,
            "confidence": 0.95,
            "period": np.asarray(period, dtype=float),
            "horizon": np.nan,
            "segment": plain(rows[list(problem.keys)]),
            "features": plain(rows[[column.name for column in problem.request if column.name in rows]]),
            "prediction": np.nan,
            "lower": np.nan,
            "upper": np.nan,
            "class": None,
            "probabilities": None,
            "truth_value": np.nan,
            "truth_class": None,
            "truth_at": pd.NaT if truth_at is None else truth_at,
        }
    )
    frame = frame.assign(**answers(problem, forecast), **truths(problem, rows, truth_at), **about)
    times = {name: pd.to_datetime(frame[name], utc=True) for name in ("at", "truth_at")}
    return frame.assign(**times)[list(LOGGED)]


def plain(rows):
    """Each row as a mapping with plain values, dates as text."""
    texts = {name: rows[name].astype(str) for name in rows if rows[name].dtype.kind == "M"}
    cells = rows.assign(**texts).astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in cells.to_dict("records")] or [{}] * len(rows)


def answers(problem, forecast):
    if problem.task == "regression":
        return {"prediction": forecast}
    if problem.task == "binary":
        return {"prediction": forecast, "class": np.where(np.asarray(forecast) >= 0.5, problem.positive, "no")}
    return {"probabilities": list(forecast), "class": [max(each, key=each.get) for each in forecast]}


def truths(problem, rows, truth_at):
    if truth_at is None:
        return {}
    if problem.task == "regression":
        return {"truth_value": rows[problem.target].to_numpy(dtype=float)}
    return {"truth_class": class_texts(rows[problem.target]).to_numpy()}


def joined(*frames):
    """Several logs as one."""
    found = pd.concat([frame.dropna(axis=1, how="all") for frame in frames], ignore_index=True).reindex(columns=LOGGED)
    return found.assign(**{name: pd.to_datetime(found[name], utc=True) for name in ("at", "truth_at")})
