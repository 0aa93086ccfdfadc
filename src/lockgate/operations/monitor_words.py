"""One round of the monitor in the words of `lockgate monitor`, as plain values: for another process to show."""

from pathlib import Path
from typing import Any

from lockgate.monitoring import monitored
from lockgate.monitoring.live import ANSWERS
from lockgate.monitoring.windows import length_of
from lockgate.operations.monitor import Inputs, Order, monitor
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params

PREPARED = Path("data/prepared")  # below the folder of the project


def words(workspace: Workspace, params: Params) -> dict[str, Any]:
    """The round by params.yaml: heading, rules, counts, tables of scores, and the next command."""
    order = Order.of(params, length_of(params.monitor.window), ANSWERS, PREPARED)
    found = monitor(workspace, order, Inputs(workspace))
    findings = found.findings
    tables = (("version", "Versions", findings.versions), ("slice", "Slices", findings.slices))
    return {
        "heading": list(monitored.heading(found)),
        "rules": [[rule.name, str(rule.state), rule.says] for rule in findings.rules],
        "counts": list(monitored.counts(found)),
        "sheets": [
            [title, monitored.score_heads(found, name), [monitored.score_cells(found, each) for each in scores]]
            for name, title, scores in tables
        ],
        "command": found.advice.command,
        "why": found.advice.why,
    }
