"""What the rules look at: the model's past, commit by commit, as the witness has it; the story; and the raw tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chaos.faults import PAUSES
from chaos.journal import Operation, Seen, Story, Strike
from chaos.scene import Scene
from chaos.witness import Change, Commit, Row

PRODUCTION, STAGING, ARCHIVED, DELETED, NONE = "Production", "Staging", "Archived", "Deleted_Internal", "None"
CONCURRENT_SECONDS = 0.5  # who is committed this close before another may not have been seen by it

Stages = Mapping[int, str]


@dataclass(frozen=True)
class Moved:
    """A version that stood in another stage before a commit than after it."""

    version: int
    from_stage: str
    to_stage: str


@dataclass(frozen=True)
class Moment:
    """One commit: how the model stood before and after it, which rows its ledger gained, what else was written."""

    at: datetime
    before: Stages
    after: Stages
    aliases: Mapping[str, int]
    told: Sequence[Row]
    changes: Sequence[Change]
    number: int

    @property
    def moved(self) -> list[Moved]:
        """Who changed stages. A version begins in None; one that is no more has left its stage for none."""
        versions = sorted({*self.before, *self.after})
        pairs = [(version, self.before.get(version, NONE), self.after.get(version, NONE)) for version in versions]
        return [Moved(*pair) for pair in pairs if pair[1] != pair[2]]

    def serving(self) -> list[int]:
        """Who is in Production after it."""
        return [version for version, stage in self.after.items() if stage == PRODUCTION]


@dataclass(frozen=True)
class Tables:
    """The raw tables as they stand at the end."""

    ledger: Sequence[Row]
    versions: Sequence[Row]
    tagged: Sequence[Row]
    runs: Sequence[Row]
    intents: Sequence[Row]
    collected: Sequence[Row]
    limits: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """All that is known of one model."""

    model: str
    moments: Sequence[Moment]
    tables: Tables
    operations: Mapping[str, Operation]
    seen: Sequence[Seen]
    strikes: Sequence[Strike]

    def concurrent(self, at: datetime) -> float:
        """How many seconds before this moment a commit may have come and not have been seen: a pause stretches them."""
        when = at.timestamp()
        pauses = [strike for strike in self.strikes if strike.kind in PAUSES]
        held = [strike.until - strike.since for strike in pauses if strike.since - 1 < when < strike.until + 5]
        return CONCURRENT_SECONDS + max(held, default=0.0)


def gather(scene: Scene, model: str, story: Story) -> Evidence:
    """The evidence on a model that nobody works on at this time."""
    scene.hear()
    return Evidence(
        model,
        list(moments(scene.witness.commits, model)),
        tables(scene, model),
        {name: each for name, each in story.operations.items() if each.asked.model == model},
        [each for each in story.seen if each.model == model],
        story.strikes,
    )


def moments(commits: Sequence[Commit], model: str) -> Iterator[Moment]:
    """Every commit that touched the model, with how it stood before and after."""
    stages: dict[int, str] = {}
    aliases: dict[str, int] = {}
    for number, commit in enumerate(commits):
        changes = [change for change in commit.changes if _is_of(change, model)]
        if not changes:
            continue
        before = dict(stages)
        for change in changes:
            if change.table == "public.model_versions":
                _apply(stages, change, int(change.row.get("version") or 0), "current_stage", str)
            elif change.table == "public.registered_model_aliases":
                _apply(aliases, change, str(change.row.get("alias")), "version", int)
        told = [change.row for change in changes if (change.table, change.kind) == ("lockgate.ledger", "insert")]
        yield Moment(commit.at, before, dict(stages), dict(aliases), told, changes, number)


def _is_of(change: Change, model: str) -> bool:
    named = change.row.get("name" if change.table.startswith("public.") else "model")
    return named == model or change.kind == "truncate" or change.table == "lockgate.policies"


def _apply(state: dict[Any, Any], change: Change, key: Any, column: str, kind: type) -> None:
    if change.kind == "truncate":
        state.clear()
    elif change.kind == "delete":
        state.pop(key, None)
    else:
        state[key] = kind(change.row[column])


LEDGER = """
    SELECT *, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
    FROM lockgate.ledger WHERE model = %s ORDER BY seq
"""
VERSIONS = "SELECT version, bundle_digest, run_id FROM lockgate.versions WHERE model = %s"
TAGGED = """
    SELECT tag.version, tag.value AS bundle_digest
    FROM model_version_tags AS tag JOIN model_versions AS row USING (workspace, name, version)
    WHERE tag.name = %s AND tag.key = 'lockgate.bundle_digest' AND row.current_stage <> 'Deleted_Internal'
"""
RUNS = """
    SELECT tag.value AS bundle_digest, run.run_uuid, run.status
    FROM runs AS run JOIN experiments AS room USING (experiment_id)
    LEFT JOIN tags AS tag ON (tag.run_uuid, tag.key) = (run.run_uuid, 'lockgate.bundle_digest')
    WHERE room.name = %s AND run.lifecycle_stage = 'active'
"""
# What belongs to a version that gc deleted, unless somebody else lives on it.
COLLECTED = """
    SELECT ours.version, run.run_uuid AS run_id, logged.model_id
    FROM lockgate.versions AS ours
    JOIN lockgate.ledger AS told ON (told.model, told.version) = (ours.model, ours.version)
    LEFT JOIN runs AS run ON run.run_uuid = ours.run_id
    LEFT JOIN logged_models AS logged ON 'models:/' || logged.model_id = ours.source
    WHERE ours.model = %s AND (told.to_stage, told.command) = ('Deleted_Internal', 'gc')
      AND NOT EXISTS (
          SELECT FROM model_versions AS other
          WHERE (other.run_id = ours.run_id OR other.source = ours.source) AND other.current_stage <> 'Deleted_Internal'
      )
"""
INTENTS = """
    SELECT id, to_char(reported_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS reported_at
    FROM lockgate.intents WHERE model = %s
"""
LIMITS = "SELECT digest, limits FROM lockgate.policies"


def tables(scene: Scene, model: str) -> Tables:
    with scene.asking() as connection:
        rows = [_rows(connection, query, model) for query in (LEDGER, VERSIONS, TAGGED, RUNS, INTENTS, COLLECTED)]
        with connection.cursor() as cursor:
            cursor.execute(LIMITS)
            limits = dict(cursor.fetchall())
    return Tables(*rows, limits)


def _rows(connection: Any, query: str, model: str) -> list[Row]:
    """Every value as a text, as the witness has them."""
    with connection.cursor() as cursor:
        cursor.execute(query, [model])
        names = [column.name for column in cursor.description]
        return [
            {name: None if value is None else str(value) for name, value in zip(names, row, strict=True)}
            for row in cursor
        ]
