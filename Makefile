# The tasks of this project. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# pip obeys variables and files of its user's that are meant for other environments. Of the variables, only those count
# that say where and how to download.
DOWNLOADS := INDEX_URL EXTRA_INDEX_URL NO_INDEX FIND_LINKS TRUSTED_HOST CERT CLIENT_CERT PROXY KEYRING_PROVIDER \
	CACHE_DIR NO_CACHE_DIR TIMEOUT DEFAULT_TIMEOUT RETRIES CONFIG_FILE
FOREIGN := $(filter-out $(addprefix PIP_,$(DOWNLOADS)),$(filter PIP_%,$(.VARIABLES)))
PIP := env $(addprefix -u ,$(FOREIGN)) $(BIN)/python -I -m pip --disable-pip-version-check --quiet

# Every recipe runs as in the activated environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install demo wheel up down check unit test test-long reference docs chaos audit bench bench-peers lock clean

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) .dvc/config.local  ## make the environment in .venv from requirements.lock
	@[ -e .git ] || grep -q no_scm .dvc/config.local || { sed -i.old 's/^\[core\]$$/&\n    no_scm = true/' .dvc/config.local && rm .dvc/config.local.old; }

$(INSTALLED): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Lockgate needs Python 3.11 or newer"; echo "hint: name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 8; } >&2
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) install --no-user --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -I -c 'import click' || { echo "error: pip put the packages elsewhere than into $(VENV)"; echo "hint: a file of pip's settings says where; see: $(BIN)/pip config list"; exit 8; } >&2
	$(PIP) install --no-user --no-deps --no-build-isolation --editable .
	@mkdir -p -m 700 .lockgate
	@touch $(INSTALLED)

# DVC's own cache of states, /var/tmp/dvc, can be written to by everyone; .lockgate is private. DVC asks for git; an
# unpacked archive has none (see install).
.dvc/config.local:
	@printf '[core]\n    site_cache_dir = "%s"\n' "$(CURDIR)/.lockgate/dvc" > $@

demo: install  ## from nothing to a model in Production, with the addresses to look at; PROBLEM=churn takes examples/churn
	@sh docs/demo.sh $(PROBLEM)

wheel: install  ## build dist/lockgate-VERSION.whl, which runs without a clone
	@rm -rf .lockgate/wheel && mkdir -p .lockgate/wheel && cp -R pyproject.toml src .lockgate/wheel/
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .lockgate/wheel
	@rm -rf .lockgate/wheel

up: install  ## start Postgres and the MLflow server
	@lockgate up

down:  ## stop them
	@lockgate down

check: install  ## ruff, mypy --strict, import contract
	ruff format --check .
	ruff check .
	mypy
	lint-imports

unit: install  ## the tests that need no server, in seconds
	pytest -q tests/unit

test: install check  ## every promise at least once, in minutes
	pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations 30 -m "not long"

# Long tests wait for a third of their time (servers that are killed, queues, graces): more workers than cores.
test-long: install  ## the rest: journeys on every path, chaos, many variants
	pytest -q -n 4 --dist loadfile --no-loadscope-reorder --durations 30 -m long

reference: install  ## write the parts of docs that come from the code: commands, keys, tables, exit codes
	PYTHONPATH=docs python -m from_code

docs: install  ## build the documentation as a site in build/docs, and check its links
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	python docs/site/built_pages.py build/docs

chaos: install  ## abuse a stack of its own for SECONDS (300) with WORKERS (4), as drawn from SEED
	PYTHONPATH=tests python -m chaos --seconds $(or $(SECONDS),300) --workers $(or $(WORKERS),4) $(if $(SEED),--seed $(SEED))

audit: install  ## known vulnerabilities of requirements.lock, by api.osv.dev, or by a folder ADVISORIES without a network
	python audit/audit.py $(if $(ADVISORIES),--advisories $(ADVISORIES))

bench: install  ## measure: pipeline, commands, serving
	python benchmarks/bench.py

bench-peers: install  ## measure: our blend beside other libraries on each problem, or on PROBLEMS; downloads them
	"$(PYTHON)" -m venv .lockgate/peers-venv
	.lockgate/peers-venv/bin/pip install --quiet -r benchmarks/peers-requirements.txt
	python benchmarks/peers.py .lockgate/peers-venv/bin/python $(PROBLEMS)

lock:  ## renew requirements.lock from requirements.in
	"$(PYTHON)" -m venv .lockgate/lock-venv
	.lockgate/lock-venv/bin/pip install --quiet uv
	.lockgate/lock-venv/bin/uv pip compile --universal --fork-strategy fewest --generate-hashes --no-annotate --no-header --python-version 3.11 requirements.in -o requirements.lock
	sha256=$$(sha256sum requirements.lock | cut -d " " -f 1) && sed -i.old "s/sha256: [0-9a-f]*/sha256: $$sha256/" conda.yaml && rm conda.yaml.old

clean: ## stop the servers and remove all that was made here, the registry too
	-@lockgate down
	rm -rf .lockgate/* build data/prepared examples/*/build examples/*/data/prepared examples/*/dvc.lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
