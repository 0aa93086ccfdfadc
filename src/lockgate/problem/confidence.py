"""The confidence of an interval: the share of sales that should lie within its bounds. Imports nothing heavy."""

from lockgate.errors import WrongUsage

DEFAULT = 0.95
MOST = 0.999  # the folds have too few rows for a higher confidence


def checked(confidence: float) -> float:
    """The given confidence; raises WrongUsage if it is NaN, not above 0, or above MOST."""
    if not 0 < confidence <= MOST:
        raise WrongUsage(f"the confidence is {confidence}", hint=f"a share above 0 and at most {MOST}, such as 0.95")
    return confidence
