# Needs only python3 (3.11 to 3.13) and make.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install spark peers run test test-full test-spark test-spark-full faults bench bench-features bench-quality docs docs-commands lint format lock clean

help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps

.venv/runs: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "SmartRetail needs Python 3.11 to 3.13; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation --editable .
	@touch $@

.venv/installed: .venv/runs requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/spark: .venv/runs requirements-spark.lock
	$(PIP) --require-hashes -r requirements-spark.lock
	@touch $@

.venv-peers/installed: requirements-peers.lock
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-peers.lock
	@touch $@

install: .venv/runs ## Install what running needs; the other targets install what they need.

spark: .venv/spark ## Install what the engine spark needs beside that; a JVM (17 or later) must be there.

peers: .venv-peers/installed ## Install featuretools, which needs pandas 2, apart from all else, for bench-features.

run: .venv/runs ## Install, start the database, and predict for the demo shop.
	$(BIN)/smartretail run

test: .venv/installed ## Run the tests (half an hour and more).
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not spark"

test-full: .venv/installed ## Run all tests, the long ones too.
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not spark"

test-spark: .venv/installed .venv/spark ## Run the tests of the engine spark (five minutes); without a JVM they are skipped.
	$(BIN)/python -m pytest -m "spark and not slow"

test-spark-full: .venv/installed .venv/spark ## The same, and the whole road to a publishing on Spark.
	$(BIN)/python -m pytest -m spark

faults: .venv/installed ## Kill every phase of a small shop 20 times at random moments (40 minutes).
	$(BIN)/python -m tests.faults $(OPTIONS)

bench: .venv/installed ## Measure: loading beside COPY, order habit beside the truth (half an hour).
	$(BIN)/python -m tests.bench.load_against_copy
	$(BIN)/python -m tests.bench.habit_against_oracle

bench-features: .venv/installed .venv-peers/installed ## Measure the features of a home beside peers: OPTIONS="--home H".
	$(BIN)/python -m tests.bench.features.beside_peers $(OPTIONS)

bench-quality: .venv/installed ## Measure ours beside hand-made peers: PREDICTION=order_habit OPTIONS="--home H".
	$(BIN)/python -m python_ml.experiments.bench_quality $(or $(PREDICTION),order_habit) $(OPTIONS)

docs: .venv/installed ## Build the documentation into site/; a link that leads nowhere fails it.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

docs-commands: .venv/installed ## Type every command of the documents on small shops (a long while).
	$(BIN)/python -m pytest tests/docs

lint: .venv/installed ## Check style and types of Python and SQL.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 models_sql tests/dbt/integrity tests/dbt/time tests/dbt/publishing

format: .venv/installed ## Put Python into shape.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet

lock: .venv/installed ## Resolve the dependencies anew into the four lock files.
	$(LOCK) --group build --group dev --upgrade --output-file requirements-dev.lock
	$(LOCK) --group build --constraints requirements-dev.lock --upgrade --output-file requirements.lock
	$(LOCK) --group spark --constraints requirements-dev.lock --upgrade --output-file requirements-spark.lock
	$(subst pyproject.toml,,$(LOCK)) --group peers --upgrade --output-file requirements-peers.lock

clean: ## Stop the database and remove what was made, the shop's home included.
	-test -x $(BIN)/smartretail && $(BIN)/smartretail db stop
	rm -rf .venv .venv-peers .smartretail site target logs .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
