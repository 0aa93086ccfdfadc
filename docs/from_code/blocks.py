"""The marked parts of a page, and their texts."""

import re

from from_code import commands, database, decisions, exit_codes, http, ml_test_score, params, problem

MAKERS = {
    "commands": commands.sections,
    "options-of-all-commands": commands.shared_options,
    "exit-codes": exit_codes.rows,
    "params": params.sections,
    "problem": problem.sections,
    "database": database.tables,
    "triggers": database.triggers,
    "ml-test-score": ml_test_score.summary,
    "ml-test-score-details": ml_test_score.details,
    "decisions": decisions.listed,
    "http-pages": http.pages,
    "http-bodies": http.bodies,
    "http-statuses": http.refusals,
    "http-row": http.row,
    "http-refusal": http.refusal,
}
PART = re.compile(r"(?P<start><!-- from the code: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page, with each marked part made anew. Raises KeyError for an unknown name."""
    return PART.sub(lambda found: f"{found['start']}\n{MAKERS[found['name']]()}\n\n{found['end']}", page)


def names(page: str) -> list[str]:
    """The names of the marked parts of a page."""
    return [found["name"] for found in PART.finditer(page)]
