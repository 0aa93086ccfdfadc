"""The indices of the plots of a run: file, title, and a text that says what each plot shows. Imports nothing heavy."""

import json
from dataclasses import dataclass

TRAINING_PLOTS, HOLDOUT_PLOTS = "training_plots.json", "holdout_plots.json"  # in the folder of the plots


@dataclass(frozen=True)
class PlotEntry:
    """A plot in the index of a folder."""

    file: str
    title: str
    alt: str


def entries(index: bytes | str) -> list[PlotEntry]:
    """The plots of an index; none for a damaged one, and none without a plain file name: anyone may write to a run."""
    try:
        found = [
            PlotEntry(str(each["file"]), str(each["title"]), str(each["alt"])) for each in json.loads(index)["plots"]
        ]
    except (ValueError, KeyError, TypeError):
        return []
    return [each for each in found if "/" not in each.file and each.file.endswith(".png")]
