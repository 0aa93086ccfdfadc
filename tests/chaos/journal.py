"""What was asked and what was answered, on disk before anything else happens: one file of JSON lines a process."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """How an operation was answered. `unknown` says that a server did not answer: it may have been done or not.

    `bug` is any answer that nobody can deserve here: who asks knows the words, and no file is damaged.
    """

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    BUG = "bug"


@dataclass(frozen=True)
class Asked:
    """One operation. Its id is also the actor in whose name it is done: every row on record tells whose it is."""

    id: str
    kind: str
    model: str
    values: dict[str, Any]
    at: float


@dataclass(frozen=True)
class Answer:
    """What the operation's caller was told."""

    outcome: Outcome
    says: str
    result: dict[str, Any]
    at: float


@dataclass
class Operation:
    """What was asked, and its answer if one came. `struck` is the point at which its process was to die.

    A killed one is asked again by the worker's next life, as a person would: it is still the same operation.
    """

    asked: Asked
    answer: Answer | None = None
    struck: str | None = None
    died_at: float | None = None
    again: bool = False

    @property
    def outcome(self) -> Outcome:
        """No answer is as good as an unknown one."""
        return self.answer.outcome if self.answer else Outcome.UNKNOWN

    @property
    def over_at(self) -> float:
        """When its process answered or died; never, for one that was cut off by nothing we know of."""
        return self.answer.at if self.answer else self.died_at or float("inf")


@dataclass(frozen=True)
class Seen:
    """How many versions of a model a reader found in Production, looking from one moment to another."""

    by: str
    model: str
    production: int
    since: float
    until: float


@dataclass(frozen=True)
class Strike:
    """A fault from its beginning to its end."""

    kind: str
    since: float
    until: float


class Journal:
    """Appends to a file, and is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, "at": time.time(), **values}, default=str) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


@dataclass
class Story:
    """All journals of a run, read together."""

    operations: dict[str, Operation] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)


def read(folder: Path, names: str = "*") -> Story:
    """The story so far; a line that a killed process left half is no line."""
    story = Story()
    for event in sorted(_events(folder, names), key=lambda event: event["at"]):
        READERS[event.pop("event")](story, event)
    return story


def _events(folder: Path, names: str) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(f"{names}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("}\n"):
                yield json.loads(line)


def _asked(story: Story, event: dict[str, Any]) -> None:
    known = story.operations.get(event["id"])
    if known is None:
        story.operations[event["id"]] = Operation(Asked(**event))
    else:
        known.again, known.died_at = True, None


def _answered(story: Story, event: dict[str, Any]) -> None:
    operation = story.operations[event.pop("id")]
    operation.answer = Answer(Outcome(event.pop("outcome")), **event)


def _struck(story: Story, event: dict[str, Any]) -> None:
    story.operations[event["id"]].struck = event["point"]


def _died(story: Story, event: dict[str, Any]) -> None:
    """A worker's life ended: whatever it was doing has no answer."""
    worker = event["life"].partition(".")[0] + "."
    for operation in story.operations.values():
        if operation.answer is None and operation.asked.id.startswith(worker):
            operation.died_at = event["at"]


READERS = {
    "asked": _asked,
    "answered": _answered,
    "struck": _struck,
    "died": _died,
    "seen": lambda story, event: story.seen.append(Seen(until=event.pop("at"), **event)),
    "strike": lambda story, event: story.strikes.append(Strike(until=event.pop("at"), **event)),
}
