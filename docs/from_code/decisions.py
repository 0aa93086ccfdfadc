"""The list of decisions, by their titles."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "decisions"
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def listed() -> str:
    """A line for each decision, in the order of the titles."""
    titles = {title(path): path.name for path in FOLDER.glob("*.md") if path.name != "README.md"}
    return "\n".join(f"- [{name}]({titles[name]})" for name in sorted(titles, key=str.lower))


def title(path: Path) -> str:
    """The first heading of a page."""
    found = TITLE.search(path.read_text(encoding="utf-8"))
    return found[1] if found else path.stem
