# `make demo`: from nothing to a model in Production. Run from the project's folder; doing it again changes nothing.
set -eu

say() { printf '\n$ %s\n' "$*" >&2; "$@"; }

say lockgate up
say dvc repro
say lockgate verdict

# The version that this pipeline made; if it is in Production already, promote says so and changes nothing.
version=$(python -c 'import json; print(json.load(open("build/version.json"))["version"])')
say lockgate promote "$version" --reason "make demo" --yes
say lockgate predict --input data/prepared/holdout.parquet --output build/forecast.csv --force
say lockgate status

model=$(python -c 'import json; print(json.load(open("build/version.json"))["model"])')
address=$(lockgate env | sed -n 's/^export MLFLOW_TRACKING_URI=//p')
cat <<END

Look at it:
  the model's versions   $address/#/models/$model
  the version            $address/#/models/$model/versions/$version
  the forecasts          build/forecast.csv
Serve it (after: . .venv/bin/activate; eval "\$(lockgate env)"):
  mlflow models serve -m models:/$model/Production --env-manager local --port 5001
END
