"""The features of logged rows, computed by the version that answered them, in a child process."""

import numpy as np

from lockgate.errors import BundleUnreadable
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Failure, Request
from lockgate.monitoring.live import Live
from lockgate.monitoring.live_features import LiveFeatures, chosen
from lockgate.monitoring.replayed import batches
from lockgate.monitoring.windows import Windows
from lockgate.operations import load_version
from lockgate.operations.workspace import Workspace


def live_features(workspace: Workspace, version: int, live: Live, windows: Windows) -> LiveFeatures:
    """The features of some rows of each window that the version answered; its files are verified.

    Raises IntegrityBroken for files that are not the registered ones, BundleUnreadable if the child ends without
    features.
    """
    own = live.of_version(version)
    some = own.where(chosen(own, windows.of_request(own), windows.count))
    if not len(some):
        return LiveFeatures(some, np.empty((0, 0)), ())
    record = load_version.recorded(workspace, version)
    names = [column.name for column in live.problem.request]
    with load_version.fetched(workspace, record) as fetched:
        request = Request(str(fetched.bundle), fetched.digest)
        found = sandboxed.features(request, some.rows[names], batches(some).tolist())
    if isinstance(found, Failure):
        raise BundleUnreadable(f"version {version} cannot compute the features of the log: {found.reason}")
    return LiveFeatures(some, found.values, found.names).where(found.covered)
