"""The options of commands that may use the verified copy while the registry is unavailable, and their message."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import Number, session, tell

if TYPE_CHECKING:
    from lockgate.operations.answering_version import Degraded, FallbackTerms

no_fallback = click.option(
    "--no-fallback",
    is_flag=True,
    help="End with exit code 6 if the registry is unavailable, instead of using the verified copy.",
)
fallback_days = click.option(
    "--fallback-days",
    type=Number(min=0, min_open=True, max=3650),
    default=7,
    show_default=True,
    help="Longest age of the verified copy in days.",
)


def fallback_terms(forbidden: bool, days: float) -> "FallbackTerms":
    """The terms that the two options give."""
    from lockgate.operations.answering_version import FallbackTerms

    return FallbackTerms(not forbidden, timedelta(days=days))


def tell_degraded(degraded: "Degraded") -> None:
    """Say on stderr, and in the result file, that the verified copy has answered, and why."""
    session().ids["degraded"] = str(degraded)
    for line in degraded.warnings:
        tell(line)
