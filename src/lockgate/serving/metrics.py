"""The numbers of /metrics. With several workers, each counts in files of its own, and a page shows their sum."""

import os
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from lockgate.serving.board import Board
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.request_counts import RequestCounts

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the variable with which prometheus-client counts in files
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests for forecasts by HTTP status", ("status",))
        self.rows = self._counter("rows", "Forecast rows by role", ("role",))
        self.switches = self._counter("switches", "Versions that were put in place", ())
        self.failed_switches = self._counter("failed_switches", "Versions that could not be loaded", ())
        self.shadow_errors = self._counter("shadow_errors", "Requests that the shadow could not score", ())
        self.shadow_missed = self._counter("shadow_missed", "Requests that waited too long for the shadow", ())
        self.pinned = self._counter("pinned_requests", "Requests that named their version by its answer", ("answer",))
        self.seconds = Histogram(
            "lockgate_request_seconds", "Time from the whole request to its answer", buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.batches = Histogram(
            "lockgate_batch_requests", "Requests that were scored together", buckets=SIZES, registry=self.registry
        )
        self.version = self._gauge("version_info", "1 for the versions that score now", ("role", "version", "digest"))
        self.spool = self._gauge("spool_bytes", "Bytes of the log that wait for Postgres", ())
        self.counts = RequestCounts()
        self._shown: dict[str, tuple[str, str, str]] = {}

    def answered(self, status: int, since: float) -> None:
        """Count an answer."""
        self.requests.labels(str(status)).inc()
        self.counts.count(status)
        self.seconds.observe(monotonic() - since)

    def show_versions(self, board: Board) -> None:
        """Show the versions on the board."""
        routes = board.routes
        previous = next((live for live in routes.held if live is not routes.served), None)
        roles = {"served": routes.served, "shadow": routes.shadow, "canary": routes.canary, "previous": previous}
        for role, live in roles.items():
            self._show(role, live)

    def page(self) -> bytes:
        """The page of these metrics, or of all workers together."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _show(self, role: str, live: LiveVersion | None) -> None:
        names = (role, str(live.version), live.digest) if live else None
        before = self._shown.get(role)
        if before and before != names:
            self.version.labels(*before).set(0)
        if names:
            self._shown[role] = names
            self.version.labels(*names).set(1)

    def _counter(self, name: str, about: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"lockgate_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"lockgate_{name}", about, labels, registry=self.registry, multiprocess_mode="livesum")
