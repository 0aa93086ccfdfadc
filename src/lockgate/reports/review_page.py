"""Renders a review as one self-contained HTML file: no network, no script, every text escaped."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lockgate.gate.evidence import Outcome
from lockgate.reports.page import Sheet, templates
from lockgate.reports.review_data import Review

if TYPE_CHECKING:
    from lockgate.reports.plot import Plot

TEMPLATES = templates("lockgate.reports")
WORDS = {Outcome.PASSED: "passed the gate", Outcome.REFUSED: "is refused", Outcome.INCONCLUSIVE: "is inconclusive"}


def html(review: Review, plots: "Sequence[Plot]") -> str:
    """The page."""
    return TEMPLATES.get_template("review.html.j2").render(
        title=f"{review.model}, version {review.version}",
        review=review,
        words=WORDS[Outcome(review.outcome)],
        forecasts=forecasts(review),
        changes=changes(review),
        lineage=lineage(review),
        plots=[(plot.title, plot.alt, data_address(plot.png)) for plot in plots],
    )


def forecasts(review: Review) -> Sheet:
    """The scores of this version and of the forecasts that it is compared with."""
    label = f"{review.metric.label} ({review.metric.better} is better)"
    rows = tuple((row.name, row.holdout or "-", row.inner_folds or "-") for row in review.forecasts)
    return Sheet(label, ("forecast", "holdout", "inner folds"), rows, 1)


def changes(review: Review) -> Sheet | None:
    """What differs from the version in Production; None without one."""
    if review.changes is None:
        return None
    rows = tuple((each.name, each.first or "-", each.second or "-") for each in review.changes)
    differing = "1 value differs" if len(rows) == 1 else f"{len(rows)} values differ"
    title = differing if rows else "params and lineage are equal"
    return Sheet(title, ("value", f"version {review.serving} in Production", f"version {review.version}"), rows, 3)


def lineage(review: Review) -> Sheet:
    """The sources of the bundle."""
    return Sheet("sources of the bundle", ("source", "value"), review.lineage, 2)


def data_address(png: bytes) -> str:
    """A picture as an address that needs no network."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
