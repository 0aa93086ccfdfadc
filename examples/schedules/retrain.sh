#!/bin/sh
# A training, judged by the gate; a passed version opens a review by mail. Call it with the folder of the project and
# the address of the reviewer. Without new data or code, no version is new, and no mail is sent. Nothing here promotes:
# a person does, or gate.auto_promote in params.yaml.
set -eu
cd "$1"
reviewer=$2
. .venv/bin/activate
eval "$(lockgate env)"
mkdir -p build
exec 9> build/retrain.lock
flock -n 9 || exit 0 # the last training still runs
before=$(cat build/version.json 2> /dev/null) || before=
if ! dvc repro > build/retrain.txt 2>&1; then # cron sends what stands on stderr
    cat build/retrain.txt >&2
    exit 1
fi
[ "$before" != "$(cat build/version.json)" ] || exit 0
verdict=0
lockgate verdict > build/review.txt || verdict=$?
case $verdict in
0) mail -s "review: $(head -n 1 build/review.txt)" "$reviewer" < build/report.md ;;
4) mail -s "not passed: $(head -n 1 build/review.txt)" "$reviewer" < build/review.txt ;;
*) exit $verdict ;;
esac
