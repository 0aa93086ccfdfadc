"""Each rule finds what it is there for, in a little past that is honest but for one thing. No server is needed here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaos import rules
from chaos.evidence import Evidence, Tables, moments
from chaos.journal import Answer, Asked, Operation, Outcome, Seen
from chaos.operations import reason
from chaos.rules import RULES
from chaos.witness import Change, Commit, Row

MODEL = "m"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(seconds=30)  # nothing in this past could have been missed by what came next
CHECKS = '[{"name": "within limit", "outcome": "passed"}]'


@dataclass
class Past:
    """What was committed and asked so far, one thing after the other."""

    commits: list[Commit] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    operations: dict[str, Operation] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return BEGIN + APART * len(self.commits)

    def commit(self, *changes: Change) -> None:
        self.commits.append(Commit(len(self.commits) + 1, self.now, changes))

    def register(self, version: int) -> None:
        """A version comes in, and its verdict with it."""
        number, digest = str(version), f"digest of {version}"
        verdict = {
            "id": number, "model": MODEL, "version": number, "bundle_digest": digest, "policy_digest": "policy",
            "outcome": "passed", "checks": CHECKS, "metrics": '{"rmspe": 0.07}',
        }  # fmt: skip
        self.commit(
            written("public.model_versions", name=MODEL, version=number, current_stage="None"),
            written("lockgate.versions", model=MODEL, version=number, bundle_digest=digest),
            written("lockgate.verdicts", **verdict),
        )

    def move(self, command: str, version: int, ways: dict[int, tuple[str, str]]) -> None:
        """A command moves its version, and who makes room; the aliases follow."""
        name = f"w1.1-{len(self.operations) + 1}"
        why = {each: reason(name) if each == version else f"displaced by version {version}" for each in ways}
        told = [self._row(name, each, way, command=command, reason=why[each]) for each, way in ways.items()]
        alias = ways[version][1].lower()
        self.commit(
            *(
                Change(
                    "public.model_versions", "update", {"name": MODEL, "version": str(each), "current_stage": way[1]}
                )
                for each, way in ways.items()
            ),
            written("public.registered_model_aliases", name=MODEL, alias=alias, version=str(version)),
            *([Change("public.registered_model_aliases", "delete", STAGING)] if alias == "production" else []),
            *(written("lockgate.ledger", **row) for row in told),
        )
        asked = Asked(name, command, MODEL, {"version": version}, self.now.timestamp() - 31)
        answer = Answer(Outcome.DONE, "", {"moved": [version, *ways[version]]}, self.now.timestamp() - 29)
        self.operations[name] = Operation(asked, answer)

    def _row(self, name: str, version: int, way: tuple[str, str], **values: str) -> Row:
        row: dict[str, str | None] = dict.fromkeys(rules.HASHED)
        row |= {
            "model": MODEL, "seq": str(len(self.ledger) + 1), "version": str(version), "from_stage": way[0],
            "to_stage": way[1], "actor": name, "verdict_id": str(version),
            "bundle_digest": f"digest of {version}", "at": self.now.isoformat(), "intent_id": name,
            "previous_hash": self.ledger[-1]["hash"] if self.ledger else "0" * 64, **values,
        }  # fmt: skip
        row["hash"] = rules.hash_of(row)
        self.ledger.append(row)
        return row


STAGING: Row = {"name": MODEL, "alias": "staging"}


def written(table: str, **row: str | None) -> Change:
    return Change(table, "insert", row)


def honest() -> Evidence:
    """Two versions rise, the second in the place of the first."""
    past = Past()
    past.commit(written("lockgate.policy_changes", model=MODEL, policy_digest="policy"))
    past.register(1)
    past.move("validate", 1, {1: ("None", "Staging")})
    past.move("promote", 1, {1: ("Staging", "Production")})
    past.register(2)
    past.move("validate", 2, {2: ("None", "Staging")})
    past.move("promote", 2, {2: ("Staging", "Production"), 1: ("Production", "Archived")})
    versions = [
        {"version": str(each), "bundle_digest": f"digest of {each}", "run_id": f"run {each}"} for each in (1, 2)
    ]
    runs = [
        {"run_uuid": row["run_id"], "status": "FINISHED", "bundle_digest": row["bundle_digest"]} for row in versions
    ]
    intents = [{"id": name, "reported_at": None} for name in past.operations]
    limits = {"policy": {"limit": 0.1, "approval_required": False}}
    tables = Tables(past.ledger, versions, versions, runs, intents, [], limits)
    end = past.now.timestamp()
    seen = [Seen("SQL", MODEL, 1, end - 1, end)]
    return Evidence(MODEL, list(moments(past.commits, MODEL)), tables, past.operations, seen, [])


LAST = "w1.1-4"  # who promoted the second version
Break = Callable[[Evidence], Evidence]


def at_the_end(**values: Any) -> Break:
    """The last commit is another one."""
    return lambda found: replace(found, moments=[*found.moments[:-1], replace(found.moments[-1], **values)])


def more(table: str, *rows: Row) -> Break:
    """A table holds rows beside those that belong there."""
    return lambda found: replace(
        found, tables=replace(found.tables, **{table: [*getattr(found.tables, table), *rows]})
    )  # fmt: skip


def last_row(**values: str | None) -> Break:
    """The ledger's last but one row, of the promotion of the second version, says something else."""

    def change(found: Evidence) -> Evidence:
        *rows, row, last = found.tables.ledger
        return replace(found, tables=replace(found.tables, ledger=[*rows, {**row, **values}, last]))

    return change


def asked(kind: str = "promote", **values: Any) -> Break:
    """The last command was asked for otherwise."""

    def change(found: Evidence) -> Evidence:
        operation = found.operations[LAST]
        other = replace(operation.asked, kind=kind, values=operation.asked.values | values)
        return replace(found, operations={**found.operations, LAST: replace(operation, asked=other)})

    return change


def answered(outcome: Outcome, **result: Any) -> Break:
    """The last command was answered otherwise."""

    def change(found: Evidence) -> Evidence:
        operation = found.operations[LAST]
        assert operation.answer is not None
        other = replace(operation.answer, outcome=outcome, says="", result=result)
        return replace(found, operations={**found.operations, LAST: replace(operation, answer=other)})

    return change


def a_verdict(**values: str) -> Break:
    """The verdict on the second version is another one."""

    def other(change: Change) -> Change:
        ours = change.table == "lockgate.verdicts" and change.row["version"] == "2"
        return replace(change, row={**change.row, **values}) if ours else change

    return lambda found: replace(
        found, moments=[replace(each, changes=[other(change) for change in each.changes]) for each in found.moments]
    )


def by_nobody(found: Evidence) -> Evidence:
    return replace(found, operations={name: each for name, each in found.operations.items() if name != LAST})


def said_twice(found: Evidence) -> Evidence:
    """The last command's row is there once more, in the next place."""
    again = {**found.tables.ledger[-2], "seq": "5"}
    return replace(found, tables=replace(found.tables, ledger=[*found.tables.ledger[:-1], again]))


def back_from_quarantine(found: Evidence) -> Evidence:
    """A rollback took the first version out, and another one brings it back."""
    row = found.tables.ledger[-1]
    out = {**row, "command": "rollback"}
    back = {**row, "from_stage": "Archived", "to_stage": "Production", "command": "rollback"}
    return replace(found, tables=replace(found.tables, ledger=[*found.tables.ledger[:-1], out, back]))


def seen(production: int) -> Break:
    return lambda found: replace(found, seen=[replace(found.seen[0], production=production)])


TWICE = {"version": "9", "bundle_digest": "digest of 1", "run_id": "run 1"}
BREAKS: list[tuple[str, Break]] = [
    ("one version in Production", at_the_end(after={1: "Production", 2: "Production"})),
    ("Production is never left empty", at_the_end(after={1: "Archived", 2: "Staging"})),
    ("one ledger row for each move", at_the_end(told=())),
    ("one ledger row for each move", at_the_end(after={1: "Production", 2: "Staging"})),
    ("aliases mirror the stages", at_the_end(aliases={"production": 1})),
    ("aliases mirror the stages", at_the_end(aliases={})),
    ("what is held is not deleted", at_the_end(after={2: "Production"})),
    ("what is held is not deleted", at_the_end(after={1: "Deleted_Internal", 2: "Production"})),
    ("every move was legal", last_row(from_stage="None")),
    ("every move was legal", last_row(command="validate")),
    ("what is on record is only added to", at_the_end(changes=[Change("lockgate.verdicts", "update", {})])),
    ("what is on record is only added to", at_the_end(changes=[Change("lockgate.ledger", "truncate", {})])),
    ("what is on record is only added to", last_row(hash="another")),
    ("the chain holds", last_row(reason="another")),
    ("the chain holds", last_row(seq="6")),
    ("Production was earned", a_verdict(outcome="refused")),
    ("Production was earned", a_verdict(metrics='{"rmspe": "nan"}')),
    ("Production was earned", a_verdict(metrics='{"rmspe": 0.1}')),
    ("Production was earned", a_verdict(policy_digest="another")),
    ("Production was earned", a_verdict(bundle_digest="another")),
    ("Production was earned", a_verdict(id="another")),
    ("quarantined stays down", back_from_quarantine),
    ("quarantined stays down", last_row(command="rollback")),
    ("one bundle, one version", more("versions", TWICE)),
    ("one bundle, one version", more("tagged", TWICE)),
    ("one bundle, one version", answered(Outcome.DONE, version=9, digest="digest of 1")),
    ("no run is left over", more("runs", {"run_uuid": "another", "status": "FINISHED", "bundle_digest": None})),
    ("no run is left over", more("runs", {"run_uuid": "run 1", "status": "RUNNING", "bundle_digest": None})),
    ("answers agree with the ledger", answered(Outcome.DONE, moved=[7, "Staging", "Production"])),
    ("answers agree with the ledger", answered(Outcome.REFUSED)),
    ("done once", said_twice),
    ("every row was asked for", by_nobody),
    ("every row was asked for", last_row(command="out of band")),
    ("every row was asked for", last_row(at=(BEGIN + timedelta(days=1)).isoformat())),
    ("validate goes no further", asked(kind="validate")),
    ("validate goes no further", last_row(command="validate")),
    ("what was expected was there", asked(expect_current=7)),
    ("readers saw one", seen(2)),
    ("readers saw one", seen(0)),
    ("gc leaves nothing", more("collected", {"version": "1", "run_id": "run 1", "model_id": None})),
    ("gc leaves nothing", more("collected", {"version": "1", "run_id": None, "model_id": "m-1"})),
    ("no false alarm", answered(Outcome.DONE, broken=["the ledger's chain is broken"])),
    ("no false alarm", answered(Outcome.DONE, left=["guard: a piece is missing"])),
    ("no bug was answered", answered(Outcome.BUG)),
]


def test_an_honest_past_breaks_no_rule() -> None:
    assert rules.broken(honest()) == []


@pytest.mark.parametrize(("rule", "change"), BREAKS)
def test_a_rule_finds_what_it_is_there_for(rule: str, change: Break) -> None:
    assert rule in {violation.invariant for violation in rules.broken(change(honest()))}


def test_every_rule_can_fail() -> None:
    assert {rule for rule, _ in BREAKS} == set(RULES)
