"""The pages beside /invocations: health, version, metrics, and the OpenAPI description."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from lockgate import __version__
from lockgate.serving.live_version import LiveVersion


def pages(live: Callable[[], LiveVersion]) -> FastAPI:
    """The application with these pages."""
    app = FastAPI(title="Lockgate", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/ping")
    async def ping() -> Response:
        return Response("\n", media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse(about(live()))

    @app.get("/version")
    async def version() -> JSONResponse:
        return JSONResponse(about(live()) | {"lockgate": __version__})

    return app


def about(live: LiveVersion) -> dict[str, Any]:
    """The version that answers, for a reader."""
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
