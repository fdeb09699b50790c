# Everything happens in .venv; every target can be repeated.
PYTHON ?= python3.11
PYTEST ?= -n 2
BIN := .venv/bin

.PHONY: run test test-slow test-all ui check peers lock clean help

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: .venv/installed  ## build everything that is out of date, then show the report
	@$(BIN)/recsys run

ui: .venv/installed  ## open the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/recsys ui

test: .venv/test  ## run the quick tests, a few minutes
	@$(BIN)/pytest $(PYTEST) -m "not slow"

test-slow: .venv/test  ## run the tests that take more than a few seconds each
	@$(BIN)/pytest $(PYTEST) -m slow

test-all: .venv/test  ## run every test, about half an hour
	@$(BIN)/pytest $(PYTEST)

check: .venv/lint  ## lint, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate -m recsys_assets.definitions

peers: .venv/peers  ## install the other libraries that benchmarks/peers compares with

lock:  ## choose new versions of all libraries
	./.ci/lock

clean:  ## remove the environment and everything built in the lake; data_lake/raw and data_lake/log stay
	rm -rf .venv data_lake/artifacts data_lake/drafts data_lake/locks data_lake/dagster

# torch comes first and alone: a resolver that meets it among others may take a build with gigabytes of CUDA.
.venv/torch: requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv; the first time this downloads about 1 GB and takes some minutes."
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	@touch $@

.venv/installed: .venv/torch pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	@touch $@

.venv/test: .venv/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[test,postgres]"
	@touch $@

.venv/lint: .venv/test
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[lint]"
	@touch $@

.venv/peers: .venv/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[peers]"
	@touch $@
