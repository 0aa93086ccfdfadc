"""Explanations of answers over HTTP: asked for by `params: {"explain": true}`, made on a thread of their own.

The forecasts are made and logged with those of all requests. Explanations take a thousand times as long, so they are
made afterwards, and no other request waits for them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lockgate.forecaster import explain
from lockgate.forecaster.explanation_records import explained
from lockgate.serving import answer_body
from lockgate.serving.batch import Part
from lockgate.serving.limits import Limits
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.messages import report_bug
from lockgate.serving.refusals import Refused
from lockgate.serving.request_body import Asked

BUSY = Refused(503, "the server has too many waiting explanations", "try again later, or ask without explain")
BUG = Refused(500, "the forecasts are on record, but their explanation met a bug; the server's log has a report")


def refuse(live: LiveVersion, asked: Asked, limits: Limits) -> None:
    """Raise Refused if the explanations that a request asks for cannot be made."""
    if not asked.explain:
        return
    if not explain.can_explain(live.forecaster):
        raise Refused(422, explain.UNKNOWN, "ask without explain")
    if asked.rows > limits.explained_rows:
        raise Refused(422, f"at most {limits.explained_rows} rows of a request are explained", "send them in parts")


def body(live: LiveVersion, part: Part) -> bytes:
    """The answers of a request, each with its `explanation`."""
    rows = part.scored.rows.frame().iloc[part.start : part.stop]
    return answer_body.body(part, explained(live.forecaster, rows, np.arange(len(rows))))


class Explainer:
    """Makes the explanations one request after the other."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.waiting_explanations
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explainer")

    async def made(self, make: Callable[[], bytes]) -> bytes:
        """What `make` returns. Called on the event loop; raises Refused if too many requests wait, and for a bug."""
        if self._waiting >= self._most:
            raise BUSY
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, make)
        except Exception as bug:  # noqa: BLE001 - the server goes on
            report_bug(bug)
            raise BUG from None
        finally:
            self._waiting -= 1
