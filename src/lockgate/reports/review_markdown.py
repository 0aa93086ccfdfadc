"""A review as Markdown: for the version's page in MLflow (within its limit), build/report.md and a pull request."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from lockgate.gate.evidence import Outcome
from lockgate.reports.review_data import Review
from lockgate.system import page_addresses
from lockgate.system.readable_line import visible

LONGEST = 5000  # characters: the limit of MLflow's column
LONGEST_CELL = 160
TITLES = {"advice": "What helps", "forecasts": "Scores", "changes": "Changes"}  # of tables that follow another table
MOST_CHANGES = 8
SPACE = 20  # characters between two parts, and of a title
SPECIAL = re.compile(r"([\\`*_\[\]~|@#!])")
LINK = re.compile(r"(?<=:)//|(?<=www)\.", re.IGNORECASE)  # in what Markdown takes for an address
EMOJI = re.compile(r":(?=\w+:)")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def artifact_of(run_id: str, path: str) -> str:
    """The address of a file of a run, relative to MLflow's pages."""
    return f"get-artifact?path={quote(path, safe='')}&run_uuid={run_id}"


def report(review: Review) -> str:
    """The review as a file: the whole tables, and no links to a server."""
    parts = [
        _headline(review), _checks(review), _forecasts(review), escaped(review.selection), _changes(review, None),
        _advice(review),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def description(review: Review, picture: str | None) -> str:
    """The review for the version's page in MLflow: at most LONGEST characters.

    `picture` is a plot of the run. Parts that do not fit are left out, the least important first; the page has them.
    """
    parts = {
        "headline": _headline(review),
        "links": _links(review),
        "how": _how_to_decide(review),
        "checks": _spaced(_checks(review)),
        "advice": _spaced(_advice(review)),
        "forecasts": _spaced(_forecasts(review)),
        "selection": escaped(review.selection),
        "changes": _spaced(_changes(review, MOST_CHANGES)),
        "picture": _picture(review, picture),
    }
    kept: dict[str, str] = {}
    for name, part in parts.items():
        if part and sum(map(len, kept.values())) + SPACE * (len(kept) + 1) + len(part) <= LONGEST:
            kept[name] = part
    for name, title in TITLES.items():
        if name in kept:
            kept[name] = f"**{title}**\n\n{kept[name]}"
    order = ("headline", "links", "checks", "advice", "picture", "forecasts", "selection", "changes", "how")
    return "\n\n".join(kept[name] for name in order if name in kept)


def comment(review: Review, approval_required: bool) -> str:
    """The review as the comment on a pull request, with the next command. No text in it mentions a person."""
    parts = [
        f"### {escaped(review.model)}, version {review.version}",
        _headline(review),
        _checks(review),
        _forecasts(review),
        escaped(review.selection),
        _changes(review, MOST_CHANGES),
        _advice(review),
        _next(review, approval_required),
        ", ".join(f"{name} `{value}`" for name, value in review.lineage),
    ]
    return "\n\n".join(part for part in parts if part).replace(r"\@", "@<!-- -->") + "\n"


def note(review: Review) -> str:
    """The review for the page of its run: the verdict in one line, and where to go on."""
    page = page_addresses.version(review.model, review.version)
    return (
        f"{_headline(review)}\n\nVersion {review.version} of {escaped(review.model)}: [review page]({page}). Plots,"
        " tables, lineage and the report are under Artifacts."
    )


def escaped(text: str) -> str:
    """A text as one line of plain Markdown: nothing in it is markup, a link, a mention or a cell's end."""
    line = visible(" ".join(text.split()))
    line = "".join(ENTITIES.get(sign, sign) for sign in line)
    return LINK.sub(lambda found: "".join(f"&#{ord(sign)};" for sign in found[0]), _unmarked(line))


def _unmarked(line: str) -> str:
    return EMOJI.sub(r"\:", SPECIAL.sub(r"\\\1", line))


def _cell(text: str) -> str:
    return escaped(text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spaced(part: str) -> str:
    """A table with space between its columns: MLflow's pages set none."""
    return part.replace(" | ", "&nbsp; | ").replace("---&nbsp; ", "--- ")


def _headline(review: Review) -> str:
    return (
        f"{review.outcome.upper()}: {escaped(review.headline)} (verdict {review.verdict_id}, {review.decided_at} UTC)"
    )


def _links(review: Review) -> str:
    page = page_addresses.version(review.model, review.version)
    return f"[Review page: history, plots, decision]({page})"


def _picture(review: Review, picture: str | None) -> str:
    return f"![forecasts of the holdout]({artifact_of(review.run_id, picture)})" if picture else ""


def _checks(review: Review) -> str:
    """The checks that failed first, and bold."""
    rows = [
        (
            _cell(check.name),
            _cell(check.measured),
            _cell(check.limit),
            check.outcome if check.outcome == Outcome.PASSED else f"**{check.outcome}**",
        )
        for check in review.checks
    ]
    return _table(("check", "measured", "limit", "outcome"), rows)


def _forecasts(review: Review) -> str:
    label = f"{review.metric.label} ({review.metric.better} is better)"
    rows = [(_cell(row.name), row.holdout, row.inner_folds) for row in review.forecasts]
    return _table((f"forecast, {label}", "holdout", "inner folds"), rows) if rows else ""


def _changes(review: Review, most: int | None) -> str:
    if review.changes is None:
        return ""
    other = f"version {review.serving} in Production"
    if not review.changes:
        return f"Params and lineage are those of {other}."
    rows = [(_cell(each.name), _cell(each.first or "-"), _cell(each.second or "-")) for each in review.changes[:most]]
    more = len(review.changes) - len(rows)
    table = _table(("changed", other, f"version {review.version}"), rows)
    return f"{table}\n\n{more} more changes are in the report of the run." if more else table


def _advice(review: Review) -> str:
    return (
        _table(("not passed", "what usually helps"), [(_cell(name), escaped(text)) for name, text in review.advice])
        if review.advice
        else ""
    )


def _next(review: Review, approval_required: bool) -> str:
    if review.outcome != Outcome.PASSED:
        return f"The version stays where it is. `lockgate verdict {review.version}` shows this on a terminal."
    commands = ["approve"] * approval_required + ["promote"]
    return "Next: " + ", then ".join(f'`lockgate {each} {review.version} --reason "..."`' for each in commands)


def _how_to_decide(review: Review) -> str:
    if review.outcome != Outcome.PASSED:
        return ""
    return (
        "**To decide here**: add the tag `approved_by` (your name), then the tag `approval` (`approved` or `rejected`)"
        " below; a tag `approval_reason`, set before, is recorded as the reason. To promote in MLflow, switch *New"
        " model registry UI* off, choose Production as the stage, and tick the box that archives the present one."
    )
