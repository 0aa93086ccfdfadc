"""The logged rows whose features are computed again, by the version that answered them. Pure."""

from dataclasses import dataclass, replace

import numpy as np

from lockgate.bundle.some_rows import spread
from lockgate.monitoring.live import Bools, Floats, Live
from lockgate.monitoring.windows import Ints

MOST_ROWS = 5_000  # of a window


@dataclass(frozen=True)
class LiveFeatures:
    """Logged rows, and the features that their version computes of them: (rows, names)."""

    live: Live
    values: Floats
    names: tuple[str, ...]

    def where(self, chosen: Bools) -> "LiveFeatures":
        """Some of the rows."""
        return replace(self, live=self.live.where(chosen), values=self.values[chosen])


def newest(live: Live) -> Bools:
    """The newest row of each key and period."""
    return np.asarray(~live.about.duplicated(["key", "period"], keep="last"), dtype=np.bool_)


def chosen(live: Live, window: Ints, windows: int) -> Bools:
    """At most about MOST_ROWS rows of each window, evenly spread; of a state whole requests of a key."""
    found = np.zeros(len(live), dtype=np.bool_)
    for number in range(windows):
        places = np.flatnonzero(window == number)
        found[places[_some(live.where(window == number))]] = True
    return found


def _some(live: Live) -> Ints:
    """The places of some rows, evenly spread."""
    if live.problem.kind != "state":
        places = np.flatnonzero(newest(live))
        return np.asarray(places[spread(len(places), MOST_ROWS)], dtype=np.int64)
    group = live.about.groupby(["key", "request_id", "role"], sort=False).ngroup().to_numpy(dtype=np.int64)
    groups = int(group.max(initial=-1)) + 1
    return np.flatnonzero(np.isin(group, spread(groups, max(1, groups * MOST_ROWS // max(len(live), 1)))))
