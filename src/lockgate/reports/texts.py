"""Times and numbers as text, alike in the terminal and on pages."""

from datetime import UTC, datetime


def when(moment: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def number(value: float | None) -> str:
    """A number with five significant digits; a dash without one."""
    return "-" if value is None else f"{value:.5g}"


def cell(value: object) -> str:
    """A number, or a text such as nan."""
    return number(value) if isinstance(value, int | float) else "-" if value is None else str(value)
