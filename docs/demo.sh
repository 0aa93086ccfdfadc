# `make demo`: from nothing to a model in Production. Run from the project's folder; doing it again changes nothing.
# With a name, such as churn, the problem is that of examples/churn.
set -eu
problem=${1:-rossmann}

say() { printf '\n$ %s\n' "$*"; "$@"; }

if [ "$problem" != rossmann ] && [ ! -f "examples/$problem/params.yaml" ]; then
    printf 'error: there is no examples/%s\nhint: PROBLEM is one of: rossmann' "$problem" >&2
    for each in examples/*/params.yaml; do printf ', %s' "$(basename "$(dirname "$each")")" >&2; done
    printf '\n' >&2
    exit 2
fi

# Where MLflow and Postgres run elsewhere, their addresses are in the environment.
own=
[ -n "${MLFLOW_TRACKING_URI:-}" ] || { own=yes && say lockgate up; }

folder= enter=
if [ "$problem" != rossmann ]; then
    folder=examples/$problem/ enter=" && cd examples/$problem"
    cd "$folder"
    # The folder is a project of DVC of its own: a command of DVC above it must not ask for its files.
    [ -e .dvc/config.local ] || { mkdir -p .dvc && cp ../../.dvc/config.local .dvc/config.local; }
    # Without the real file, the demonstration uses generated rows of the same form.
    if [ -z "$(find data/raw -type f ! -name '*.md' ! -name '.*' 2>/dev/null)" ]; then
        say python generate.py
    fi
# Without Kaggle's files, the demonstration uses a generated chain of stores: an explicit choice, in params.yaml.
elif ! ls data/raw | grep -qiE '^(train|store)|\.zip$' && grep -q '^source: files' params.yaml; then
    printf '\ndata/raw holds no files: params.yaml now says source: generated\n'
    sed -i.old 's/^source: files    /source: generated/' params.yaml && rm params.yaml.old
fi
say dvc repro
say lockgate verdict

# The version that this pipeline made; if it is in Production already, promote says so and changes nothing.
model=$(python -c 'import json; print(json.load(open("build/version.json"))["model"])')
version=$(python -c 'import json; print(json.load(open("build/version.json"))["version"])')
say lockgate promote "$version" --reason demo --yes
say lockgate predict --input data/prepared/holdout.parquet --output build/forecast.csv --force
say lockgate status

picture=
[ ! -f build/plots/holdout.png ] || picture="  a picture of it        ${folder}build/plots/holdout.png
"
address=$(lockgate env | sed -n 's/^export MLFLOW_TRACKING_URI=//p')
pages= # of Lockgate, in the server of `lockgate up`
[ -z "$own" ] || pages="  review and promote     $address/lockgate
"
cat <<END

Look at it:
  the model              $address/#/models/$model
  this version           $address/#/models/$model/versions/$version
$pages$picture  its forecasts          ${folder}build/forecast.csv
Go on with:
  . .venv/bin/activate$enter
  lockgate predict --input data/prepared/holdout.parquet --output - | head
  eval "\$(lockgate env)"
  lockgate serve --port 5010
  lockgate --help
END
