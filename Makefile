# Everything a person types. `make run` and `make test` need only Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?=
WITH_DEMO := $(if $(DEMO),--demo)
DEMO_PEOPLE := $(or $(PEOPLE),$(DEMO_PEOPLE))
export LANDING WAREHOUSE_URL DEMO_PEOPLE

.DEFAULT_GOAL := help
.PHONY: help run test test-unit test-packages check dev docs stop bench schema requirements

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/installed ## load, build, test, publish, write feeds; LANDING=folder reads the files there, WAREHOUSE_URL=… another server
	@$(BIN)/warehouse run $(WITH_DEMO)

test: check ## check, then every test
	@$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-unit: $(VENV)/installed ## the tests that need no server, in under a minute
	@$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder -m unit

test-packages: ## install the servers that some tests need (Debian 12, as root)
	mkdir -p /etc/postgresql-common
	grep -qs create_main_cluster /etc/postgresql-common/createcluster.conf || \
		echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$(grep -v '^#' tests/packages.txt)

check: $(VENV)/installed ## lint, format, conventions, privacy: ruff, sqlfluff, dbt-bouncer, column lineage
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models dbt_project/data_tests
	@$(BIN)/dbt --quiet compile --no-introspect --no-populate-cache --profiles-dir . --target-path .warehouse/target --log-path .warehouse/target
	@$(BIN)/dbt-bouncer --config-file pyproject.toml
	@$(BIN)/python -m warehouse.lineage

dev: $(VENV)/installed ## Dagster's web page and daemon
	@$(BIN)/warehouse dev $(WITH_DEMO) $(if $(PORT),--port $(PORT))

docs: $(VENV)/installed ## dbt's documentation
	@$(BIN)/warehouse docs $(WITH_DEMO) $(if $(PORT),--port $(PORT))

stop: $(VENV)/installed ## end what a run started
	@$(BIN)/warehouse stop

bench: $(VENV)/installed ## measure; needs no other load on the machine
	@failed=0; for program in load incremental latency faults privacy quality county; do $(BIN)/python -m benchmarks.$$program || failed=1; done; exit $$failed

schema: $(VENV)/installed ## write the JSON Schema of source contracts, after ingestion/contracts.py has changed
	@$(BIN)/python -m ingestion.schema

requirements: ## pin every dependency again, with hashes, for every platform (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --group dev pyproject.toml -o requirements.txt
