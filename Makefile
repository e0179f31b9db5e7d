# Every target sets itself up: Python 3.11 or newer and make are all it takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
OUT ?= out/$(if $(ANTHROPIC_API_KEY),reports,simulated)

# Each folder of samples is for the recipe of its name.
SAMPLES = $(notdir $(wildcard events/documents/*))

.DEFAULT_GOAL := help
# Builds what is deployed; with Lambda's own Python 3.13 it is compiled as well.
PACKAGER ?= $(or $(PYTHON313),$(PYTHON))
FUNCTIONS := Intake Submit Poll Collect Reconcile
# Lambda's Python, also where pyenv has it and doesn't show it.
WHICH := -c 'import sys; print(sys.executable)' 2>/dev/null
PYTHON313 = $(shell python3.13 $(WHICH) || PYENV_VERSION=`pyenv latest 3.13 2>/dev/null` python3.13 $(WHICH))

.PHONY: help run test test313 simulate faults day check template bench bench-table bench-listings races cost load budgets \
  packages stack format lock clean

help: ## What can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: $(VENV)/run ## Make a report of every sample document, or of those for RECIPE=translation (simulated without ANTHROPIC_API_KEY; with it, YES=1 says yes to the prices)
	@for recipe in $(or $(RECIPE),$(SAMPLES)); do \
	  echo "$$recipe:"; status=0; \
	  $(BIN)/docmill run events/documents/$$recipe --recipe $$recipe --out $(OUT)/$$recipe \
	    $(if $(ANTHROPIC_API_KEY),$(if $(YES),--yes),--simulate) || status=$$?; \
	  test $$status -le 1 || exit $$status; \
	done

test: $(VENV)/dev ## Run all tests, or those in TESTS
	$(BIN)/python -m pytest -n auto -q $(TESTS)

test313: ## The same on Python 3.13, Lambda's, where it is
	@python="$(PYTHON313)"; if test -z "$$python"; then \
	  echo "There is no Python 3.13 here, so nothing was tried on it."; \
	else $(MAKE) test PYTHON="$$python" VENV=$(VENV)/3.13; fi

simulate: $(VENV)/dev ## Whole worlds with every fault, SEEDS=10000 of them; SEED=7 tells the story of one
	$(BIN)/python -m tests.world $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),10000))

faults: $(VENV)/dev ## Kill the real process KILLS=100 times, then with trouble; and a day in fast motion
	$(BIN)/python -m tests.faults kills --kills $(or $(KILLS),100)
	$(BIN)/python -m tests.faults kills --kills $(or $(KILLS),100) --seed 2 --troubled
	$(MAKE) day

day: $(VENV)/dev ## A day of DOCUMENTS=100000 in fast motion, where 2 % of everything fails
	$(BIN)/python -m tests.faults day --documents $(or $(DOCUMENTS),100000)

check: $(VENV)/dev $(VENV)/ministack/done template ## Format, lint, types, import contracts, template lint, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto -q

races: $(VENV)/dev $(VENV)/ministack/done ## Race for the table with threads and processes, on a DynamoDB by other hands than moto's
	$(BIN)/python -m pytest -q tests/adapters/test_dynamo_races.py tests/adapters/test_store_contract.py \
	  tests/adapters/test_stores_agree.py tests/faults/test_claims_cut_short.py

template: $(VENV)/dev $(VENV)/linters/done ## Lint the template, as written and as CloudFormation gets it
	$(BIN)/cfn-lint -t infra/template.yaml
	$(BIN)/python -m tests.infra.lint $(VENV)/linters/bin

bench: $(VENV)/dev ## Time a run against the plain SDK loop
	$(BIN)/python -m tests.bench.compare

bench-table: $(VENV)/dev $(VENV)/ministack/done ## What a document costs the table and the processor, of DOCUMENTS=5000
	$(BIN)/python -m tests.bench.table --documents $(or $(DOCUMENTS),5000)

bench-listings: $(VENV)/dev ## Have drop and backfill compare KEYS=1000000 with what is there, in less than 100 MB
	$(BIN)/python -m tests.bench.listings --keys $(or $(KEYS),1000000)

cost: $(VENV)/dev ## Count and price what a million documents take on AWS; WRITE=1 puts it into infra/README.md
	$(BIN)/python -m tests.cost $(if $(WRITE),--write)

load: $(VENV)/dev ## An hour of DOCUMENTS=100000 uploads on AWS in virtual time, and quotas that are short
	$(BIN)/python -m tests.load --documents $(or $(DOCUMENTS),100000)

budgets: $(VENV)/dev packages ## Size, start and memory of each function's package, against its budget
	$(BIN)/python -m tests.bench.budgets

packages: $(addprefix here-,$(FUNCTIONS)) ## Build each function for this machine, below dist, for tests to run
	rm -rf dist/runtime
	$(PACKAGER) -m pip --disable-pip-version-check --quiet install --require-hashes \
	  --target dist/runtime -r infra/runtime.lock
	$(PACKAGER) -c 'import sys; print(sys.executable)' > dist/python

stack: $(VENV)/dev $(VENV)/ministack/done $(VENV)/sam/done ## Build the stack, deploy it into an AWS on this machine, and use it (8 minutes)
	PACKAGER=$(abspath $(VENV))/ministack/bin/python PACKAGE_FLAGS=--here SAM_CLI_TELEMETRY=0 \
	  $(VENV)/sam/bin/sam build --build-dir dist/sam
	DOCMILL_STACK_VENVS=$(abspath $(VENV)) $(BIN)/python -m pytest -q tests/stack

here-%:
	$(PACKAGER) infra/package.py $* dist/functions/$* --here

# What `sam build` asks for, with the folder to fill in ARTIFACTS_DIR.
build-%:
	$(PACKAGER) infra/package.py $* "$(ARTIFACTS_DIR)" $(PACKAGE_FLAGS)

format: $(VENV)/dev ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/dev ## Resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra build --upgrade --generate-hashes --no-emit-index-url \
	  --universal --python-version 3.11 -q -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --upgrade --generate-hashes \
	  --no-emit-index-url --universal --python-version 3.11 -q -o tests/requirements.lock
	for name in linters ministack runtime sam; do \
	  uv pip compile infra/$$name.in --upgrade --generate-hashes --no-emit-index-url \
	    --universal --python-version 3.11 -q -o infra/$$name.lock || exit; \
	done
	for name in intake functions submit; do \
	  uv pip compile infra/$$name.in -c requirements.lock --upgrade --generate-hashes \
	    --no-emit-index-url --python-platform aarch64-manylinux_2_34 --python-version 3.13 \
	    --only-binary :all: -q -o infra/$$name.lock || exit; \
	done

clean: ## Remove what was set up (never what came out)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The stamps say which lock file the environment was filled from.
$(VENV)/run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "docmill needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(VENV)/dev || $(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev: tests/requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "docmill needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r tests/requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/run

# Tools that pin what docmill uses live by themselves. Their locks are whole, whatever pip makes of extras.
$(VENV)/%/done: infra/%.lock
	$(PYTHON) -m venv $(VENV)/$*
	$(VENV)/$*/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	touch $@
