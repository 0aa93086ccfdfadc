"""Table verdicts: the gate's verdicts, bound to digests, never changed. One transaction for each function."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from lockgate.database.connection import Database, with_json, with_retries
from lockgate.errors import StateConflict
from lockgate.gate.evidence import HoldoutUse

Json = Mapping[str, object]
EARLIER_LINEAR = "_ridge"


@dataclass(frozen=True)
class Digests:
    """Everything that a verdict looked at. `serving_digest` is the bundle compared with, None if there was none."""

    bundle_digest: str
    holdout_digest: str
    policy_digest: str
    serving_digest: str | None


@dataclass(frozen=True)
class Verdict:
    """What the gate said of a version. Metrics may be NaN or infinite; in checks they come back as texts."""

    model: str
    version: int
    digests: Digests
    outcome: str
    checks: Sequence[Json]
    metrics: Mapping[str, float]
    code_commit: str
    actor: str


@dataclass(frozen=True)
class StoredVerdict(Verdict):
    """A verdict with its number and the database's time of it."""

    id: int
    decided_at: datetime

    def unstored(self) -> Verdict:
        """The verdict without number and time, to be given once more."""
        return Verdict(**{each.name: getattr(self, each.name) for each in fields(Verdict)})


INSERT_VERDICT = """
    INSERT INTO lockgate.verdicts
        (model, version, bundle_digest, holdout_digest, policy_digest, serving_digest, outcome, checks, metrics,
         code_commit, actor)
    SELECT model, version, bundle_digest, :holdout_digest, :policy_digest, :serving_digest, :outcome, :checks, :metrics,
           :code_commit, :actor
    FROM lockgate.versions
    WHERE (model, version, bundle_digest) = (:model, :version, :bundle_digest)
    RETURNING *
"""
FIND_VERDICT = """
    SELECT *
    FROM lockgate.verdicts
    WHERE (model, bundle_digest, holdout_digest, policy_digest)
        = (:model, :bundle_digest, :holdout_digest, :policy_digest)
      AND serving_digest IS NOT DISTINCT FROM :serving_digest
      AND decided_at > clock_timestamp() - make_interval(days => :valid_days)
    ORDER BY id DESC LIMIT 1
"""
LATEST_VERDICT = """
    SELECT *
    FROM lockgate.verdicts
    WHERE model = :model AND version = coalesce(:version, version)
    ORDER BY id DESC LIMIT 1
"""
VERDICTS_OF_MODEL = "SELECT * FROM lockgate.verdicts WHERE model = :model ORDER BY id"
LATEST_VERDICTS = """
    SELECT DISTINCT ON (version) *
    FROM lockgate.verdicts
    WHERE model = :model
    ORDER BY version, id DESC
"""
HOLDOUT_USE = """
    SELECT count(DISTINCT bundle_digest) FILTER (WHERE bundle_digest <> :bundle_digest),
           coalesce(extract(day FROM clock_timestamp() - min(decided_at)), 0)
    FROM lockgate.verdicts
    WHERE model = :model AND holdout_digest = :holdout_digest AND metrics <> '{}'
"""
SELECT_SHOWN_VERDICT = """
    SELECT value FROM public.model_version_tags
    WHERE workspace = 'default' AND name = :model AND version = :version AND key = 'verdict_id'
"""

TAGS_ON_RECORD = """
    SELECT key, lockgate.tag_on_record(:model, :version, key) AS value
    FROM unnest(ARRAY['score', 'git_commit', 'rows_digest', 'holdout_digest']) AS key
"""


@with_retries
def tags_on_record(database: Database, model: str, version: int) -> dict[str, str]:
    """The tags of a version that repeat its record beside those of its verdict; the guard keeps them."""
    with database.transaction() as connection:
        rows = connection.execute(text(TAGS_ON_RECORD), {"model": model, "version": version})
        return {row.key: row.value for row in rows if row.value is not None}


@with_retries
def record_verdict(database: Database, verdict: Verdict) -> StoredVerdict:
    """Keep a verdict for good. Raises StateConflict if its version is not recorded with the same bundle."""
    values = asdict(verdict) | asdict(verdict.digests)
    values |= {"checks": _finite(values["checks"]), "metrics": _finite(values["metrics"])}
    with database.transaction() as connection:
        row = connection.execute(with_json(INSERT_VERDICT, "checks", "metrics"), values).one_or_none()
    if row is None:
        raise StateConflict(
            f"{verdict.model} has no version {verdict.version} with bundle {verdict.digests.bundle_digest[:12]}",
            where=database.address,
            hint="register the bundle first",
        )
    return _verdict(row)


def find_verdict(database: Database, model: str, digests: Digests, valid_days: int) -> StoredVerdict | None:
    """The newest verdict that looked at exactly these four and has not expired."""
    return _one_verdict(database, FIND_VERDICT, {"model": model, "valid_days": valid_days} | asdict(digests))


def latest_verdict(database: Database, model: str, version: int | None) -> StoredVerdict | None:
    """The newest verdict on a version, whatever it looked at; on any version of the model for None."""
    return _one_verdict(database, LATEST_VERDICT, {"model": model, "version": version})


@with_retries
def latest_verdicts(database: Database, model: str) -> dict[int, StoredVerdict]:
    """The newest verdict on each version of the model."""
    with database.transaction() as connection:
        verdicts = [_verdict(row) for row in connection.execute(text(LATEST_VERDICTS), {"model": model})]
    return {verdict.version: verdict for verdict in verdicts}


@with_retries
def of_model(database: Database, model: str) -> list[StoredVerdict]:
    """Every verdict on the model's versions, oldest first."""
    with database.transaction() as connection:
        return [_verdict(row) for row in connection.execute(text(VERDICTS_OF_MODEL), {"model": model})]


@with_retries
def holdout_use(database: Database, model: str, digests: Digests) -> HoldoutUse:
    """How many other bundles of the model were scored on the same holdout, and the days since the first one.

    A bundle without forecasts has not used the holdout.
    """
    with database.transaction() as connection:
        versions, days = connection.execute(text(HOLDOUT_USE), {"model": model} | asdict(digests)).one()
    return HoldoutUse(int(versions), int(days))


@with_retries
def shown_verdict(database: Database, model: str, version: int) -> int | None:
    """The number of the verdict that the version's page in MLflow shows."""
    with database.transaction() as connection:
        shown = connection.execute(
            text(SELECT_SHOWN_VERDICT), {"model": model, "version": version}
        ).scalar_one_or_none()
    return int(shown) if shown and shown.isdecimal() else None


@with_retries
def _one_verdict(database: Database, query: str, values: Mapping[str, object]) -> StoredVerdict | None:
    with database.transaction() as connection:
        row = connection.execute(text(query), values).one_or_none()
    return None if row is None else _verdict(row)


def _verdict(row: Row[Any]) -> StoredVerdict:
    values = dict(row._mapping)
    values["digests"] = Digests(**{each.name: values.pop(each.name) for each in fields(Digests)})
    values["metrics"] = {_current_name(name): float(value) for name, value in values["metrics"].items()}
    return StoredVerdict(**values)


def _current_name(metric: str) -> str:
    """The present name of a recorded metric: the linear member was called the ridge."""
    return f"{metric.removesuffix(EARLIER_LINEAR)}_linear" if metric.endswith(EARLIER_LINEAR) else metric


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are kept as the texts nan, inf and -inf, which float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
