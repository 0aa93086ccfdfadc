"""The pages beside /invocations: health, version, metrics, and the OpenAPI description."""

from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from lockgate import __version__
from lockgate.serving.board import Board
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.metrics import Metrics
from lockgate.serving.openapi import document


def pages(board: Board, metrics: Metrics) -> FastAPI:
    """The application with these pages."""
    app = FastAPI(title="Lockgate", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/ping")
    async def ping() -> Response:
        return Response("\n", media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse(health_of(board), 200 if board.routes.served else 503)

    @app.get("/version")
    async def version() -> JSONResponse:
        served = board.routes.served
        return JSONResponse({"lockgate": __version__, **(about(served) if served else {})}, 200 if served else 503)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        metrics.show_versions(board)
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    async def openapi() -> JSONResponse:
        served = board.routes.served
        return JSONResponse(document(served) if served else {}, 200 if served else 503)

    return app


def health_of(board: Board) -> dict[str, Any]:
    """Whether the server is ready, which version answers, and what went wrong."""
    routes, failed = board.routes, board.failed
    previous = next((live for live in routes.held if live is not routes.served), None)
    roles = {"shadow": routes.shadow, "canary": routes.canary, "previous": previous}
    return {
        "ready": routes.served is not None,
        **(about(routes.served) if routes.served else {}),
        **{role: about(live) for role, live in roles.items() if live},
        **({"canary_share": routes.share} if routes.canary else {}),
        "versions": [live.version for live in routes.held] if board.pinning.allowed else [],
        "follows": not board.unreachable,
        "last_failed_switch": vars(failed) | {"at": failed.at.isoformat()} if failed else None,
    }


def about(live: LiveVersion) -> dict[str, Any]:
    """A version, for a reader."""
    age = (datetime.now(UTC) - live.since).total_seconds() if live.since else None
    return {
        "model": live.model,
        "stage": str(live.stage),
        "version": live.version,
        "digest": live.digest,
        "in_stage_since": live.since.isoformat() if live.since else None,
        "age_seconds": round(age) if age is not None else None,
        "degraded": live.degraded or None,
    }
