"""One readable line of text from the user: a reason or a name; and texts of others, made visible for the reader."""

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


def visible(text: str) -> str:
    """The text with every invisible character but blanks, tabs and line ends as its escape.

    A text of another user, of a file or of a server could otherwise move the cursor of a terminal, hide or reverse what
    stands on the screen, or run a command of the terminal.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text)


def shown(value: object) -> object:
    """A value as a template prints it: a text made visible; markup and numbers as they are."""
    return visible(value) if type(value) is str else value
