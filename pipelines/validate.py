"""Stage validate: the gate judges the registered version; a passed one moves to Staging. Refused is exit 0 too."""

import json
import sys
from pathlib import Path

from lockgate import exits, validation
from lockgate.backend import Backend
from lockgate.build import Build, Receipt
from lockgate.params import PARAMS_FILE, load_params


def main() -> None:
    prepared, build, receipt_path, verdict_path, report_path = map(Path, sys.argv[1:])
    params = load_params(PARAMS_FILE)
    receipt = Receipt.read(receipt_path)
    backend = Backend.here(params.model_name, trusted_keys=params.gate.trusted_keys)
    verdict = validation.validate(backend, receipt, Build(prepared, build), params.gate)
    verdict_path.write_text(json.dumps(validation.as_json(verdict), indent=2) + "\n", encoding="utf-8")
    report_path.write_text(validation.described(verdict), encoding="utf-8")
    print(validation.told(verdict), file=sys.stderr)


if __name__ == "__main__":
    exits.script(main)
