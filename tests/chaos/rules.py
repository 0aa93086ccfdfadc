"""The invariants, each a named rule that yields what it finds broken. They read raw tables and the log, and nothing of
Lockgate's own judgement: a bug there is not its own judge. A new rule is a function and its line in RULES.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite

from chaos.evidence import ARCHIVED, DELETED, NONE, PRODUCTION, STAGING, Evidence, Moment
from chaos.journal import Operation, Outcome
from chaos.operations import reason
from chaos.witness import Row
from chaos.worker import LAST

INTENT_SECONDS = 12.0  # a killed command's move may still be on its way so long, and is told as its own
CLI_SECONDS = 60.0  # a command line outlives the worker that started it
EVER = ("lockgate.versions", "lockgate.verdicts", "lockgate.approvals", "lockgate.policies", "lockgate.policy_changes")

# By docs/explanation/guard.md: which changes of stage there are at all, and by whom.
WAYS = {
    (NONE, STAGING): {"validate", "out of band"},
    (NONE, ARCHIVED): {"reject", "out of band"},
    (STAGING, PRODUCTION): {"promote", "out of band"},
    (ARCHIVED, PRODUCTION): {"rollback", "undo"},
    (STAGING, ARCHIVED): {"reject", "validate", "out of band"},
    (PRODUCTION, ARCHIVED): {"promote", "rollback", "undo", "retire", "out of band"},
    (NONE, DELETED): {"gc", "out of band"},
    (ARCHIVED, DELETED): {"gc", "out of band"},
}
RAW = {"transition", "statement", "delete"}
GOES_TO = {
    "repro": STAGING, "validate": STAGING, "promote": PRODUCTION, "rollback": PRODUCTION, "retire": ARCHIVED,
    "promote by command line": PRODUCTION, "rollback by command line": PRODUCTION, "reject": ARCHIVED,
    "delete": DELETED, "gc": DELETED,
}  # fmt: skip
LEFT_BY_CRASHES = ("no dead intents", "no dead runs", "gc has finished")


@dataclass(frozen=True)
class Violation:
    """An invariant that was broken."""

    invariant: str
    model: str
    says: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.model}: {self.says}"


def broken(evidence: Evidence) -> list[Violation]:
    """All that is broken, by rule."""
    return [Violation(name, evidence.model, says) for name, rule in RULES.items() for says in rule(evidence)]


# --- what stood at every committed moment ----------------------------------------------------------------------------


def one_in_production(evidence: Evidence) -> Iterator[str]:
    for moment in evidence.moments:
        if len(moment.serving()) > 1:
            yield f"versions {moment.serving()} after the commit at {moment.at}"


def never_none(evidence: Evidence) -> Iterator[str]:
    """Once there was one in Production there is always one, but after a retire."""
    for moment in evidence.moments:
        left = [moved for moved in moment.moved if moved.from_stage == PRODUCTION]
        retired = [row for row in moment.told if row["command"] == "retire" and row["from_stage"] == PRODUCTION]
        if left and not moment.serving() and not retired:
            yield f"version {left[0].version} left at {moment.at}, and nobody came"


def one_ledger_row_a_move(evidence: Evidence) -> Iterator[str]:
    """Each change of stage has exactly one row, of the same commit; only what is deleted from MLflow leaves none."""
    for moment in evidence.moments:
        moves = Counter(
            (moved.version, moved.from_stage, moved.to_stage)
            for moved in moment.moved if moved.version in moment.after
        )  # fmt: skip
        rows = Counter((int(row["version"] or 0), row["from_stage"], row["to_stage"]) for row in moment.told)
        if moves != rows:
            yield f"at {moment.at} the registry had {sorted(moves.elements())}, the ledger {sorted(rows.elements())}"


def aliases_mirror(evidence: Evidence) -> Iterator[str]:
    for moment in evidence.moments:
        for alias, stage in {"production": PRODUCTION, "staging": STAGING}.items():
            holder = max((version for version, each in moment.after.items() if each == stage), default=None)
            if moment.aliases.get(alias) != holder:
                yield f"{alias} points to {moment.aliases.get(alias)}, {stage} holds {holder}, at {moment.at}"


def held_is_not_taken_away(evidence: Evidence) -> Iterator[str]:
    for moment in evidence.moments:
        for version, stage in moment.before.items():
            if stage in (PRODUCTION, STAGING) and moment.after.get(version, DELETED) == DELETED:
                yield f"version {version} was deleted from {stage} at {moment.at}"


def every_move_was_legal(evidence: Evidence) -> Iterator[str]:
    for row in evidence.tables.ledger:
        if row["command"] not in WAYS.get((row["from_stage"] or "", row["to_stage"] or ""), set()):
            yield f"row {row['seq']}: from {row['from_stage']} to {row['to_stage']} by {row['command']}"


# --- the ledger ------------------------------------------------------------------------------------------------------


def only_added_to(evidence: Evidence) -> Iterator[str]:
    for moment in evidence.moments:
        for change in moment.changes:
            if change.table in (*EVER, "lockgate.ledger") and change.kind != "insert":
                yield f"{change.kind} on {change.table} at {moment.at}"
    written = [row["hash"] for moment in evidence.moments for row in moment.told]
    if written != [row["hash"] for row in evidence.tables.ledger]:
        yield "the ledger is not what was written to it, in the order in which it was written"


def chain_holds(evidence: Evidence) -> Iterator[str]:
    before = "0" * 64
    for seq, row in enumerate(evidence.tables.ledger, start=1):
        if (row["seq"], row["previous_hash"]) != (str(seq), before):
            yield f"row {row['seq']} does not follow row {seq - 1}"
        if row["hash"] != hash_of(row):
            yield f"row {row['seq']} has not the hash of its fields"
        before = row["hash"] or ""


HASHED = (
    "model", "seq", "version", "from_stage", "to_stage", "command", "actor", "reason", "db_user", "intent_id",
    "bundle_digest", "verdict_id", "holdout_digest", "policy_digest", "code_commit", "approval_id", "approved_by", "at",
    "previous_hash",
)  # fmt: skip


def hash_of(row: Row) -> str:
    """SHA-256 over the row's fields, each with its length before it, `-` for none."""
    fields = [row[name] for name in HASHED]
    return hashlib.sha256(
        ",".join("-" if text is None else f"{len(text)}:{text}" for text in fields).encode()
    ).hexdigest()


# --- what a move up rests on -----------------------------------------------------------------------------------------


def production_was_earned(evidence: Evidence) -> Iterator[str]:
    """Up goes a passed verdict on the same bundle under the policy in force, with what people had to say."""
    record = Record(evidence)
    for moment in evidence.moments:
        for row in moment.told:
            if row["to_stage"] in (STAGING, PRODUCTION) and row["from_stage"] in (NONE, STAGING):
                fault = record.fault_of_rise(row, moment)
                if fault:
                    yield f"version {row['version']} went to {row['to_stage']} at {moment.at}: {fault}"
        record.learn(moment)


def quarantined_stays_down(evidence: Evidence) -> Iterator[str]:
    """What a rollback took out comes back only by a rollback that names it; what was never there does not come back."""
    last_exit: dict[str | None, str | None] = {}
    for row in evidence.tables.ledger:
        version, command = row["version"], row["command"]
        if row["from_stage"] == PRODUCTION:
            last_exit[version] = command
        if row["to_stage"] != PRODUCTION:
            continue
        if last_exit.get(version) == "rollback" and not (command == "undo" and _names(evidence, row)):
            yield f"version {version} came back by {command} in row {row['seq']}"
        if command in ("rollback", "undo") and version not in last_exit:
            yield f"version {version} was never there before row {row['seq']}"


def _names(evidence: Evidence, row: Row) -> bool:
    asked = evidence.operations.get(row["actor"] or "")
    return asked is not None and str(asked.asked.values.get("to")) == row["version"]


@dataclass
class Record:
    """Verdicts, decisions and policies in the order in which they were committed."""

    evidence: Evidence

    def __post_init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.verdicts: dict[str, list[tuple[datetime, Row]]] = defaultdict(list)
        self.approvals: dict[str, list[tuple[datetime, Row]]] = defaultdict(list)
        self.policies: list[tuple[datetime, Row]] = []

    def learn(self, moment: Moment) -> None:
        """Take in what a commit added."""
        for change in moment.changes:
            version = change.row.get("version") or ""
            if change.table == "lockgate.versions":
                self.digests[version] = change.row["bundle_digest"] or ""
            elif change.table == "lockgate.verdicts":
                self.verdicts[version].append((moment.at, change.row))
            elif change.table == "lockgate.approvals":
                self.approvals[version].append((moment.at, change.row))
            elif change.table == "lockgate.policy_changes":
                self.policies.append((moment.at, change.row))

    def fault_of_rise(self, row: Row, moment: Moment) -> str | None:
        """Why the version might not have gone up; None if all is in order.

        What was committed in the same instant may count or not: the guard has looked a moment before the commit.
        """
        version, seconds = row["version"] or "", self.evidence.concurrent(moment.at)
        verdicts = _standing(self.verdicts[version], moment.at, seconds)
        verdict = next((each for each in verdicts if each["id"] == row["verdict_id"]), None)
        policies = [each["policy_digest"] for each in _standing(self.policies, moment.at, seconds)]
        if verdict is None:
            return f"it rests on verdict {row['verdict_id']}, the newest is {[each['id'] for each in verdicts]}"
        if not verdict["bundle_digest"] == row["bundle_digest"] == self.digests.get(version):
            return "the verdict is on another bundle"
        if verdict["policy_digest"] not in policies:
            return f"the verdict is under policy {verdict['policy_digest']}, in force is {policies}"
        return self._doubt(verdict) or self._word_of_people(row, verdict, moment, seconds)

    def _doubt(self, verdict: Row) -> str | None:
        """The verdict, looked at once more: `passed` must mean measured, and under the limit."""
        limits = self.evidence.tables.limits[verdict["policy_digest"] or ""]
        checks = json.loads(verdict["checks"] or "[]")
        measured = float(json.loads(verdict["metrics"] or "{}").get("rmspe", "nan"))
        if verdict["outcome"] != "passed" or {check["outcome"] for check in checks} != {"passed"}:
            return f"verdict {verdict['id']} is {verdict['outcome']}"
        if not (isfinite(measured) and 0 <= measured < limits["limit"]):
            return f"verdict {verdict['id']} has passed with RMSPE {measured}"
        return None

    def _word_of_people(self, row: Row, verdict: Row, moment: Moment, seconds: float) -> str | None:
        said = _standing(self.approvals[row["version"] or ""], moment.at, seconds) or [{"decision": None}]
        if all(each["decision"] == "rejected" for each in said):
            return "it was rejected"
        wanted = self.evidence.tables.limits[verdict["policy_digest"] or ""]["approval_required"]
        given = any((each["decision"], each.get("verdict_id")) == ("approved", verdict["id"]) for each in said)
        return "it has no approval" if wanted and row["to_stage"] == PRODUCTION and not given else None


def _standing(rows: list[tuple[datetime, Row]], at: datetime, seconds: float) -> list[Row]:
    """The rows that could be the newest one to somebody who looked just before this moment."""
    clear = [row for committed, row in rows if (at - committed).total_seconds() > seconds]
    return clear[-1:] + [row for committed, row in rows if (at - committed).total_seconds() <= seconds]


# --- one bundle, one version -----------------------------------------------------------------------------------------


def one_bundle_one_version(evidence: Evidence) -> Iterator[str]:
    found: dict[str | None, set[str | None]] = defaultdict(set)
    for row in evidence.tables.versions:
        found[row["bundle_digest"]].add(row["version"])
    for operation in evidence.operations.values():
        result = operation.answer.result if operation.answer else {}
        if "digest" in result and operation.outcome is Outcome.DONE:
            found[result["digest"]].add(str(result["version"]))
    for row in evidence.tables.tagged:
        found[row["bundle_digest"]].add(row["version"])
    for digest, versions in found.items():
        if len(versions) > 1:
            yield f"bundle {str(digest)[:12]} is versions {', '.join(sorted(map(str, versions)))}"


def no_run_is_left_over(evidence: Evidence) -> Iterator[str]:
    """Every run in the model's experiment is the run of a version, and has finished."""
    known = {row["run_id"] for row in evidence.tables.versions}
    for run in evidence.tables.runs:
        if run["run_uuid"] not in known or run["status"] != "FINISHED":
            yield f"run {run['run_uuid']} of bundle {str(run['bundle_digest'])[:12]} is {run['status']}"


# --- what was answered, and what is on record ------------------------------------------------------------------------


def answers_agree(evidence: Evidence) -> Iterator[str]:
    """What was answered as done is in the ledger, in that name and for that reason; what was refused is not."""
    rows = _by_actor(evidence)
    for name, operation in evidence.operations.items():
        own = [row for row in rows[name] if row["reason"] == reason(name)]
        moved = operation.answer.result.get("moved") if operation.answer else None
        if moved and operation.outcome is Outcome.DONE:
            there = [[int(row["version"] or 0), row["from_stage"], row["to_stage"]] for row in own]
            if moved not in there:
                yield f"{name} was told {moved} is done, the ledger has {there}"
        if operation.asked.kind == "gc" and operation.answer:
            gone = {int(row["version"] or 0) for row in own if row["to_stage"] == DELETED}
            if not gone >= set(operation.answer.result.get("deleted", [])):
                yield f"{name} was told that {operation.answer.result} is done, the ledger has {sorted(gone)}"
        if own and operation.outcome is Outcome.REFUSED and not operation.again and operation.asked.kind != "gc":
            yield f"{name} ({operation.asked.kind}) was refused, and is in the ledger: row {own[0]['seq']}"


def done_once(evidence: Evidence) -> Iterator[str]:
    """One command makes one move, also if it was killed and said again, so long as nobody else moved in between.

    One that had come to its end, and was killed before it could say so, is another one when it is said again.
    """
    told = {row["id"]: row["reported_at"] for row in evidence.tables.intents}
    for name, rows in _by_actor(evidence).items():
        own = [row for row in rows if row["reason"] == reason(name)]
        for first, second in pairwise(own):
            between = [
                row for row in evidence.tables.ledger
                if int(first["seq"] or 0) < int(row["seq"] or 0) < int(second["seq"] or 0) and row["actor"] != name
            ]  # fmt: skip
            if (first["command"], second["command"]) == ("gc", "gc") and first["version"] != second["version"]:
                continue  # that one deletes as many as may go
            ended = told.get(first["intent_id"])
            if not between and (ended is None or ended > str(second["at"])):
                yield f"{name} moved twice: rows {first['seq']} and {second['seq']}"


def every_row_was_asked_for(evidence: Evidence) -> Iterator[str]:
    """A row in somebody's name comes while their command runs; one in nobody's name, from a raw request."""
    for row in evidence.tables.ledger:
        if row["command"] == "out of band":
            if not any(_could_be(operation, row, evidence) for operation in evidence.operations.values()):
                yield f"row {row['seq']} (out of band) was asked for by nobody"
            continue
        operation = evidence.operations.get(row["actor"] or "")
        if operation is None:
            yield f"row {row['seq']} is in the name of {row['actor']}, who asked for nothing"
        elif not _ran(operation, row, evidence):
            yield f"row {row['seq']} is in the name of {row['actor']}, whose {operation.asked.kind} was over by then"


def _ran(operation: Operation, row: Row, evidence: Evidence) -> bool:
    at = _seconds(row)
    held = sum(strike.until - strike.since for strike in evidence.strikes if strike.since < at < strike.until + 5)
    slack = CLI_SECONDS if "command line" in operation.asked.kind else INTENT_SECONDS
    return operation.asked.at - 1 <= at <= operation.over_at + slack + held


def _could_be(operation: Operation, row: Row, evidence: Evidence) -> bool:
    """A raw request may have come through, and so may a command whose server never answered: late, and nameless."""
    not_refused = operation.outcome is not Outcome.REFUSED
    may = not_refused if operation.asked.kind in RAW else operation.outcome is Outcome.UNKNOWN
    return may and _would_make(operation, row) and _ran(operation, row, evidence)


def _would_make(operation: Operation, row: Row) -> bool:
    """Whether this change of stage is what was asked for: of the named version, or of one that makes room for it."""
    values = operation.asked.values
    if values.get("statement") == "empty":
        return row["to_stage"] == ARCHIVED
    stage = values.get("stage") or GOES_TO.get(operation.asked.kind)
    makes_room = (row["from_stage"], row["to_stage"]) == (stage, ARCHIVED)
    return makes_room or (row["to_stage"] == stage and str(values.get("version")) in (row["version"], "None"))


def validate_goes_no_further(evidence: Evidence) -> Iterator[str]:
    validates = {"validate", "repro"}
    for row in evidence.tables.ledger:
        operation = evidence.operations.get(row["actor"] or "")
        by_validate = row["command"] == "validate" or (operation is not None and operation.asked.kind in validates)
        if by_validate and PRODUCTION in (row["from_stage"], row["to_stage"]):
            yield f"row {row['seq']}: version {row['version']} {row['from_stage']} > {row['to_stage']}"


def expected_was_there(evidence: Evidence) -> Iterator[str]:
    for moment in evidence.moments:
        for row in moment.told:
            operation = evidence.operations.get(row["actor"] or "")
            expected = operation.asked.values.get("expect_current") if operation else None
            if expected and row["to_stage"] == PRODUCTION and moment.before.get(expected) != PRODUCTION:
                yield f"{row['actor']} expected version {expected}, and took the place of another (row {row['seq']})"


def readers_saw_one(evidence: Evidence) -> Iterator[str]:
    """Nobody who looked found two, or none where the log knows of no moment without one."""
    for seen in evidence.seen:
        if seen.production > 1 or (seen.production == 0 and not _was_empty(evidence, seen.since, seen.until)):
            yield f"by {seen.by} {seen.production} were seen at {datetime.fromtimestamp(seen.until, UTC)}"


def _was_empty(evidence: Evidence, since: float, until: float) -> bool:
    """Whether the log knows a moment of this time, or close to it, with nobody in Production."""
    empty = True
    for moment in evidence.moments:
        if moment.at.timestamp() > until + 1:
            break
        if moment.at.timestamp() >= since - 1 and empty:
            return True
        empty = not moment.serving()
    return empty


def gc_leaves_nothing(evidence: Evidence) -> Iterator[str]:
    for row in evidence.tables.collected:
        if row["run_id"] or row["model_id"]:
            yield f"version {row['version']} was deleted by gc, and {row['run_id'] or row['model_id']} is still there"


def no_false_alarm(evidence: Evidence) -> Iterator[str]:
    """Nothing is ever broken, so `status` must not say so; the doctor finds what a crash leaves, and at the end not
    even that: only the versions that SQL has pointed to other files.
    """
    astray = tuple(f"records are in MLflow: version {version} points" for version in _pointed_elsewhere(evidence))
    for name, operation in evidence.operations.items():
        found = operation.answer.result if operation.answer else {}
        fair = astray if name.startswith(LAST) else (*astray, *LEFT_BY_CRASHES)
        for says in [*found.get("broken", []), *found.get("left", [])]:
            if not says.startswith(fair):
                yield f"{name} ({operation.asked.kind}) was told: {says}"


def _pointed_elsewhere(evidence: Evidence) -> set[int]:
    return {
        operation.asked.values["version"]
        for operation in evidence.operations.values()
        if operation.asked.values.get("statement") == "point elsewhere" and operation.outcome is not Outcome.REFUSED
    }


def no_bug_was_answered(evidence: Evidence) -> Iterator[str]:
    for name, operation in evidence.operations.items():
        if operation.outcome is Outcome.BUG and operation.answer:
            yield f"{name} ({operation.asked.kind}): {operation.answer.says}"


def _by_actor(evidence: Evidence) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.tables.ledger:
        found[row["actor"] or ""].append(row)
    return found


def _seconds(row: Row) -> float:
    return datetime.fromisoformat(row["at"] or "").timestamp()


RULES: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "one version in Production": one_in_production,
    "Production is never left empty": never_none,
    "one ledger row for each move": one_ledger_row_a_move,
    "aliases mirror the stages": aliases_mirror,
    "what is held is not deleted": held_is_not_taken_away,
    "every move was legal": every_move_was_legal,
    "what is on record is only added to": only_added_to,
    "the chain holds": chain_holds,
    "Production was earned": production_was_earned,
    "quarantined stays down": quarantined_stays_down,
    "one bundle, one version": one_bundle_one_version,
    "no run is left over": no_run_is_left_over,
    "answers agree with the ledger": answers_agree,
    "done once": done_once,
    "every row was asked for": every_row_was_asked_for,
    "validate goes no further": validate_goes_no_further,
    "what was expected was there": expected_was_there,
    "readers saw one": readers_saw_one,
    "gc leaves nothing": gc_leaves_nothing,
    "no false alarm": no_false_alarm,
    "no bug was answered": no_bug_was_answered,
}
