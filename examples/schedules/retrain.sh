#!/bin/sh
# A training, judged by the gate; a passed version opens a review by mail. Call it with the folder of the project and
# the address of the reviewer. Nothing here promotes: a person does, or gate.auto_promote in params.yaml.
set -eu
cd "$1"
reviewer=$2
. .venv/bin/activate
eval "$(lockgate env)"
mkdir -p build
exec 9> build/retrain.lock
flock -n 9 || exit 0 # the last training still runs
dvc repro
if lockgate verdict > build/review.txt; then # 4: refused or inconclusive
    mail -s "review: $(lockgate status | head -n 1)" "$reviewer" < build/report.md
else
    mail -s "not passed: $(lockgate status | head -n 1)" "$reviewer" < build/review.txt
fi
