"""Stage validate: the gate judges the registered version; a passed one moves to Staging. Refused is exit 0 too.

python -m lockgate.pipeline.validate data/prepared build build/version.json build/verdict.json build/report.md
"""

import json
import sys
from pathlib import Path

from lockgate.operations import validate, verdict_review
from lockgate.operations.auto_promotion import promote_by_policy
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.reports import review_markdown
from lockgate.system import exit_codes
from lockgate.system.readable_line import visible


def main(prepared: Path, build: Path, receipt_path: Path, verdict_path: Path, report_path: Path) -> None:
    """Judge the version of the receipt, and write the verdict as JSON and the report as Markdown."""
    params = load_params(PARAMS_FILE)
    receipt = Receipt.read(receipt_path)
    workspace = Workspace.here(params.model_name, trusted_keys=params.gate.trusted_keys)
    made = Build(prepared, build)
    verdict = validate.validate(workspace, receipt, made, params.policy, params.problem, params.engine)
    verdict_path.write_text(json.dumps(verdict_review.as_json(verdict), indent=2) + "\n", encoding="utf-8")
    review = verdict_review.review_of_verdict(workspace, verdict)
    report_path.write_text(review_markdown.report(review), encoding="utf-8")
    sys.stderr.write(visible(f"{validate.reported(verdict)}\n"))
    if promoted := promote_by_policy(workspace, verdict, params.policy):
        sys.stderr.write(visible(f"{promoted}\n"))


if __name__ == "__main__":
    exit_codes.stage(main)
