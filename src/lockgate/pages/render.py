"""Renders the pages: templates in which every text is escaped, and the headers of each answer."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from lockgate.reports.page import templates
from lockgate.system import page_addresses

# Nothing is loaded from elsewhere, nothing runs, and no other page frames this one.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send `Origin: null` with a form
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@cache
def _environment() -> Environment:
    found = templates("lockgate.pages")
    found.globals["addresses"] = page_addresses
    return found


def html(name: str, values: Mapping[str, Any]) -> str:
    """A page from its template."""
    return _environment().get_template(f"{name}.html.j2").render(**values)


@cache
def style() -> str:
    """The stylesheet of all pages."""
    return files("lockgate.pages").joinpath("templates", "pages.css").read_text(encoding="utf-8")
