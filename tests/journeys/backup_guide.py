"""The commands of docs/how-to/backup.md, as shell scripts."""

import re

from clone import PROJECT

GUIDE = (PROJECT / "docs" / "how-to" / "backup.md").read_text(encoding="utf-8")


def commands(heading: str) -> str:
    """The indented lines of a section of docs/how-to/backup.md, as one shell script."""
    section = re.split(r"^## ", GUIDE, flags=re.MULTILINE)
    found = next(part for part in section if part.startswith(f"{heading}\n"))
    return "set -e\n" + "\n".join(re.findall(r"^ {4}(.*)$", found, re.MULTILINE))


def with_postgres_programs() -> str:
    """The line that puts Postgres's own programs on the path."""
    return re.findall(r"^ {4}(export PATH=.*)$", GUIDE, re.MULTILINE)[0] + "\n"
