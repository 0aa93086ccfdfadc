"""Where the pages in the MLflow server are: paths below its address."""

from urllib.parse import urlencode

ROOT = "/lockgate"


def overview() -> str:
    """Which version is in which stage, and what waits for a decision."""
    return ROOT


def version(model: str, number: int) -> str:
    """The page of a version."""
    return f"{ROOT}/versions/{number}?{urlencode({'model': model})}"


def of_model(page: str, model: str, **more: str) -> str:
    """A page of a model, such as its history."""
    return f"{ROOT}/{page}?{urlencode({'model': model, **more})}"
