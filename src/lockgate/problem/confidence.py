"""How sure a forecast's bounds are to be: the share of sales that should lie between them. Imports nothing heavy."""

from lockgate.errors import WrongUsage

DEFAULT = 0.95
MOST = 0.999  # beyond it the folds have too few rows to tell


def checked(confidence: float) -> float:
    """The confidence, if bounds can be given for it; WrongUsage otherwise (for NaN, too)."""
    if not 0 < confidence <= MOST:
        raise WrongUsage(f"the confidence is {confidence}", hint=f"a share above 0 and at most {MOST}, such as 0.95")
    return confidence
