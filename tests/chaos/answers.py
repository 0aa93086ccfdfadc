"""What clients of `lockgate serve` were answered, what is on record, and the rules for both: invariants 9 and 10."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from chaos.rules import Violation

Forecasts = tuple[float, ...]


@dataclass(frozen=True)
class Acknowledged:
    """A request that a client got forecasts for: a whole answer with status 200. `rows` are those that it asked for."""

    request: str
    version: int
    rows: range
    forecasts: Forecasts
    degraded: bool
    server: int


@dataclass(frozen=True)
class Stored:
    """A row of the prediction log."""

    request: str
    row: int
    role: str
    version: int
    forecast: float
    degraded: bool


@dataclass(frozen=True)
class Answers:
    """All that was answered and stored. `computed` has what each version computes for each row that may be asked for.

    `started_in_outage`: for each server, whether the registry was away when it started. `errors` are answers with a
    status of 500, and answers that are no answer of this server.
    """

    acknowledged: list[Acknowledged]
    stored: list[Stored]
    computed: Mapping[int, Forecasts]
    started_in_outage: Mapping[int, bool]
    errors: list[str]


def broken(answers: Answers, model: str) -> list[Violation]:
    """All that is broken, by rule."""
    return [Violation(name, model, says) for name, rule in RULES.items() for says in rule(answers)]


def acknowledged_is_stored(answers: Answers) -> Iterator[str]:
    """Each acknowledged row is on record, with the version and the forecast that the client got."""
    stored = _by_request(answers)
    for told in answers.acknowledged:
        wanted = [(row, told.version, forecast) for row, forecast in enumerate(told.forecasts)]
        found = {(each.row, each.version, each.forecast) for each in stored[told.request]}
        if missing := [row for row, version, forecast in wanted if (row, version, forecast) not in found]:
            yield f"request {told.request}: rows {missing} of {len(wanted)} are not on record as they were answered"


def stored_once(answers: Answers) -> Iterator[str]:
    counts = Counter((each.request, each.row, each.role) for each in answers.stored)
    for (request, row, role), count in counts.items():
        if count > 1:
            yield f"request {request}, row {row} ({role}) is on record {count} times"


def one_version_a_request(answers: Answers) -> Iterator[str]:
    for request, rows in _by_request(answers).items():
        if len(versions := {each.version for each in rows}) > 1:
            yield f"request {request} is on record with versions {sorted(versions)}"


def its_version_computes_it(answers: Answers) -> Iterator[str]:
    """What a client got is what the version that it names computes, to the last bit."""
    for told in answers.acknowledged:
        expected = answers.computed[told.version]
        if told.forecasts != tuple(expected[row] for row in told.rows):
            yield f"request {told.request}: version {told.version} computes other forecasts"


def fallback_only_in_an_outage(answers: Answers) -> Iterator[str]:
    """The verified copy answers only from a server that started while the registry was away."""
    for server in {told.server for told in answers.acknowledged if told.degraded}:
        if not answers.started_in_outage[server]:
            yield f"server {server} answered from the verified copy, and the registry was there when it started"


def fallback_is_said(answers: Answers) -> Iterator[str]:
    """An answer of the verified copy is one in the header and on record, or in neither."""
    stored = _by_request(answers)
    for told in answers.acknowledged:
        if {each.degraded for each in stored[told.request]} - {told.degraded}:
            yield f"request {told.request}: the header says degraded={told.degraded}, the log does not"


def no_errors(answers: Answers) -> Iterator[str]:
    yield from answers.errors


def _by_request(answers: Answers) -> Mapping[str, list[Stored]]:
    found: dict[str, list[Stored]] = defaultdict(list)
    for each in answers.stored:
        found[each.request].append(each)
    return found


RULES: dict[str, Callable[[Answers], Iterator[str]]] = {
    "what is acknowledged is stored": acknowledged_is_stored,
    "a prediction is stored once": stored_once,
    "a request has one version": one_version_a_request,
    "the named version computes it": its_version_computes_it,
    "fallback only in an outage": fallback_only_in_an_outage,
    "fallback is said": fallback_is_said,
    "no answer is an error of the server": no_errors,
}
