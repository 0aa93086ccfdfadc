"""Prepares a panel on an engine, in parts by key: memory on a worker and here depends on a part, not on the table.

Raw parts become pieces sorted by key; each key range is assembled from the pieces, checked, and split. The scratch
folder is beside the prepared folder and replaces it at the end, so a run that dies leaves the earlier data. Parts
depend on the data and on `engine.part_rows` only.
"""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockgate.data import (
    data_card,
    dataset,
    gaps,
    ingest,
    key_ranges,
    range_split,
    row_counts,
    row_rules,
    side_tables,
    split,
    table_summary,
    unfit_rows,
)
from lockgate.data.data_card import Card, GeneratedSource, Measured
from lockgate.data.ingest import FileSource
from lockgate.data.range_assembly import Assembling, Locating, RangeSummary
from lockgate.data.range_split import Buckets, InBucket, Rule, SplitRange, Splitting
from lockgate.data.raw_reading import RawFile, Reading, without_refusal
from lockgate.data.split import Side
from lockgate.data.table_summary import TableSummary
from lockgate.engine.engine import Engine, Progress, silent
from lockgate.errors import StorageFailed
from lockgate.problem import metrics
from lockgate.problem.description import Problem
from lockgate.problem.params import GeneratorParams
from lockgate.synthetic import generator
from lockgate.synthetic.generated_ranges import Generating
from lockgate.system import output_folder
from lockgate.system.output_folder import Scratch


@dataclass(frozen=True)
class Plan:
    """What is prepared: the problem, the folder of prepared data, the rows of a part, and where tasks run."""

    problem: Problem
    folder: Path
    part_rows: int
    engine: Engine
    progress: Progress = silent


@dataclass(frozen=True)
class Ranges:
    """The key ranges after their check: summaries, the static features of all keys, the source, and notes."""

    found: tuple[RangeSummary, ...]
    static: pd.DataFrame
    source: FileSource | GeneratedSource
    notes: tuple[str, ...]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the key ranges with a row."""
        return [each.number for each in self.found if each.rows]

    @property
    def ends(self) -> tuple[int, int]:
        """The first and last period of all rows, by number."""
        kept = [each for each in self.found if each.rows]
        return min(each.first for each in kept), max(each.last for each in kept)

    @property
    def keys(self) -> pd.DataFrame:
        """The keys of all rows."""
        return pd.concat([each.keys for each in self.found], ignore_index=True)


def has_parts(problem: Problem) -> bool:
    """Whether the rows can be in parts: by key, in order of time."""
    return bool(problem.time and problem.keys)


def prepare(plan: Plan, files: Sequence[Path]) -> Card:
    """Write the prepared data of these raw files, and return their card.

    Raises BadData as `ingest.read`, with the part and the line, and BadConfiguration if a worker does not see the
    folder.
    """
    with _scratch(plan) as scratch:
        return _finished(plan, scratch, _read(plan, scratch.folder, files))


def _read(plan: Plan, scratch: Path, files: Sequence[Path]) -> Ranges:
    """Read, check and order the rows of raw files, by key range."""
    problem, today = plan.problem, datetime.date.today()
    by_source = list(zip(problem.sources, (path.absolute() for path in files), strict=True))
    others = [(source, path, ingest.raw_of(problem, source, path)) for source, path in by_source if source.key]
    sides = tuple(side_tables.read(problem, source, table) for source, _, table in others)
    [main] = [RawFile.of(problem, path) for source, path in by_source if not source.key]
    reading = Reading(problem, main, scratch, plan.part_rows, today)
    read = without_refusal(_mapped(plan, "read raw data", range(len(main.parts)), reading))
    counts = key_ranges.added([each.counts for each in read if len(each.counts)], list(problem.keys))
    pieces = tuple(piece for each in read for piece in each.pieces)
    wanted = key_ranges.ranges(counts, plan.part_rows)
    bounds = np.array(_mapped(plan, "find keys", pieces, Locating(wanted)))
    assembling = Assembling(problem, main, sides, pieces, bounds, scratch)
    found = without_refusal(_mapped(plan, "check rows by key", wanted, assembling))
    tallies = row_counts.added(count for each in found for count in each.counts)
    unfit_rows.refuse_none_left(sum(each.rows for each in found), tallies)
    names = {path: table.names for _, path, table in others} | {main.path: main.schema.names}
    ignored = [ingest.ignored(problem, source, names[path], path.name) for source, path in by_source]
    held = pd.concat([each.static for each in found])
    keys = pd.concat([each.keys for each in found], ignore_index=True)
    inputs = {main.path: [each.input for each in read]}
    inputs |= {path: list(ingest.source_of(path).files) for _, path, _ in others}
    return Ranges(
        tuple(found),
        ingest.static_table(problem, keys, held, sides),
        FileSource(tuple(file for _, path in by_source for file in inputs[path])),
        (*row_counts.notes(tallies), *filter(None, ignored)),
    )


def generate(plan: Plan, params: GeneratorParams) -> Card:
    """Write the prepared data of a generated chain, drawn by ranges of stores, and return their card."""
    with _scratch(plan) as scratch:
        return _finished(plan, scratch, _drawn(plan, scratch.folder, params))


def _drawn(plan: Plan, scratch: Path, params: GeneratorParams) -> Ranges:
    draft = generator.draft(params, max(1, plan.part_rows // params.days))
    row_rules.refuse_in_side_table(plan.problem, plan.problem.keys, draft.stores, generator.PLACE)
    generating, numbers = Generating(plan.problem, draft, scratch), range(len(draft.streams))
    found = without_refusal(_mapped(plan, "draw stores", numbers, generating))
    sold, perfect = (np.concatenate([getattr(each, name) for each in found]) for name in ("sold", "perfect"))
    source = generator.source_of(params, metrics.rmspe(sold, perfect))
    return Ranges(tuple(each.summary for each in found), draft.stores, source, ())


def _finished(plan: Plan, scratch: Scratch, ranges: Ranges) -> Card:
    """Split the key ranges, and put the prepared data into their folder."""
    problem, made = plan.problem, scratch.folder / "prepared"
    for name in ("rows", "holdout"):
        (made / name).mkdir(parents=True)
    rule = _rule(plan, scratch.folder, ranges)
    splitting = Splitting(problem, rule, ranges.ends, scratch.folder, made)
    parts = _mapped(plan, "split and write", ranges.numbers, splitting)
    card = _card(problem, ranges, parts, rule)
    dataset.write(made, {"static": ranges.static}, card)
    scratch.put(made)
    return card


def _rule(plan: Plan, scratch: Path, ranges: Ranges) -> Rule:
    problem, by = plan.problem, plan.problem.holdout.by
    if by == "time":
        return Rule(after=split.last_period(problem, *ranges.ends))
    if by == "group":
        every = pd.concat([each.groups for each in ranges.found if each.rows]).drop_duplicates(ignore_index=True)
        return Rule(groups=split.held_groups(problem, every))
    counts = _mapped(plan, "split by hash", ranges.numbers, Buckets(problem, scratch))
    at = range_split.places(problem, counts)
    inside = _mapped(plan, "split by hash", ranges.numbers, InBucket(problem, scratch, at.bucket))
    return range_split.by_hash(at, inside)


def _card(problem: Problem, ranges: Ranges, parts: Sequence[SplitRange], rule: Rule) -> Card:
    rows = {each.number: each.rows for each in parts if each.rows}
    holdout = {each.number: each.holdout for each in parts if each.holdout}
    training, held = (table_summary.added(list(side.values())) for side in (rows, holdout))
    if rule.after is None:
        split.refuse_small(problem, *(Side(side.rows, side.classes) for side in (training, held)))
    measured = Measured(
        training,
        held,
        gaps=gaps.added([each.gaps for each in parts]),
        static=ranges.static,
        keys=ranges.keys,
        cutoff="" if rule.after is None else problem.period.text(rule.after),
        notes=ranges.notes,
    )
    card = measured.card(problem, ranges.source)
    card["rows"][data_card.PARTS], card["holdout"][data_card.PARTS] = _listed(rows), _listed(holdout)
    return card


def _listed(side: dict[int, TableSummary]) -> list[Card]:
    return [
        {"file": range_split.part_name(number), "rows": part.rows, "digest": part.digest}
        for number, part in side.items()
    ]


def _mapped(plan: Plan, name: str, items: Sequence[Any], step: Any) -> list[Any]:
    """The results of a step for all items."""
    shared = (plan.engine.scatter(step),)
    return plan.engine.map(_do, list(items), name, shared=shared, progress=plan.progress)


def _do(item: Any, step: Any) -> Any:
    return step(item)


@contextmanager
def _scratch(plan: Plan) -> Iterator[Scratch]:
    """A folder beside the prepared one, which each worker must see."""
    parent = plan.folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with output_folder.beside(plan.folder) as scratch:
            plan.engine.require_visible(scratch.folder)
            yield scratch
    except OSError as error:
        what = f"cannot write: {error.strerror}"
        raise StorageFailed(what, where=str(parent), hint="make room, or check the folder's permissions") from error
