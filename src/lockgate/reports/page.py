"""Parts of a self-contained HTML page: tables, plots, and templates. No network, no script, every text escaped."""

import re
from dataclasses import dataclass

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from lockgate.system.readable_line import shown

IDS = re.compile(r'(\bid="|\bhref="#|url\(#)')


@dataclass(frozen=True)
class Sheet:
    """A table for a reader; the first `words` columns hold words, the others numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Picture:
    """A plot, and a caption that says in words what the plot shows."""

    svg: str
    caption: str


def picture(name: str, svg: str, caption: str) -> Picture:
    """The plot with ids of its own: `name` stands before each id, so that two plots of a page share none."""
    return Picture(IDS.sub(rf"\g<1>{name}-", svg), caption)


def templates(package: str) -> Environment:
    """The templates of a package, and those that all pages share."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "lockgate.reports"))]),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
