"""One readable line of text from the user: a reason or a name."""

from lockgate.errors import WrongUsage

LONGEST = 2000  # characters


def readable_line(text: str, name: str = "the text") -> str:
    """The line without blanks at its ends. WrongUsage if it is empty, too long, or holds invisible characters."""
    line = text.strip()
    hint = f"give one readable line of 1 to {LONGEST} characters"
    if not line:
        raise WrongUsage(f"{name} is empty", hint=hint)
    if len(line) > LONGEST:
        raise WrongUsage(f"{name} has {len(line):,} characters", hint=hint)
    if invisible := next((sign for sign in line if not sign.isprintable()), None):
        raise WrongUsage(f"{name} holds the invisible character {invisible!a}", hint=hint)
    return line
