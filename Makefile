# The commands of the README. `make run` and `make test` need Python 3.11 to 3.13, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?=
WITH_DEMO := $(if $(DEMO),--demo)
DEMO_PEOPLE := $(or $(PEOPLE),$(DEMO_PEOPLE))
CHECKED := .warehouse/check
DBT_INPUTS := dbt_project seeds dbt_project.yml profiles.yml pyproject.toml warehouse/lineage.py ingestion/columns.py \
	ingestion/contract*.py warehouse/measures.py warehouse/publish_set_page.py warehouse/powerbi/star.py access.yml \
	docs/reference/measures.md docs/reference/publish-sets.md
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)
# Hash of the files' names and contents, the installed packages and dbt's variables
hash = { find $(1) -type f | sort; find $(1) -type f | sort | git hash-object --stdin-paths; \
	ls -d $(VENV)/lib/*/site-packages/*.dist-info; env | grep ^DBT_ | sort; } | git hash-object --stdin
DBT := PYTHONPATH=warehouse/dbt_plugins $(BIN)/dbt --quiet
export LANDING WAREHOUSE_URL DEMO_PEOPLE
unexport PYTHONDONTWRITEBYTECODE  # each process would compile the code again

.DEFAULT_GOAL := help
.PHONY: help run test test-unit test-long test-packages check check-python check-sql check-dbt dev docs stop bench audit schema measures requirements

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/installed ## load, match people, build, test, publish, write report feeds; PEOPLE=60000, LANDING=folder, WAREHOUSE_URL=…
	@$(BIN)/warehouse run $(WITH_DEMO)

test: check ## run the checks, then every test
	@$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-unit: $(VENV)/installed ## run the tests that need no server
	@$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "unit and not long"

test-long: $(VENV)/installed ## run the long forms of some tests: whole runs, a person searched in every file, a killed build
	@$(BIN)/pytest -m long

test-packages: ## install the servers that some tests need (Debian 12, as root)
	mkdir -p /etc/postgresql-common
	grep -qs create_main_cluster /etc/postgresql-common/createcluster.conf || \
		echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf
	mkdir -p /etc/systemd/system  # servers that are new here do not start: tests start their own
	for unit in redis-server ssh smbd nmbd samba-ad-dc; do \
		[ -e /lib/systemd/system/$$unit.service ] || ln -sf /dev/null /etc/systemd/system/$$unit.service; done
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$(grep -v '^#' tests/packages.txt)

check: $(VENV)/installed ## check style, types, imports, conventions, privacy and measures: ruff, mypy, import-linter, sqlfluff, dbt-bouncer, lineage
	@mkdir -p $(CHECKED)
	@$(MAKE) --no-print-directory --keep-going -j2 $(SYNC) check-dbt check-sql check-python

check-python:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --cache-dir $(CHECKED)/imports

# A file is skipped if it has passed with the same content, sqlfluff version, macros and settings
check-sql:
	@sed -n '/^\[tool.sqlfluff/,/^\[\[/p' pyproject.toml > $(CHECKED)/sqlfluff.toml
	@$(call hash,$(CHECKED)/sqlfluff.toml dbt_project/macros) > $(CHECKED)/sql.settings
	@find dbt_project/models dbt_project/data_tests -name '*.sql' | sort > $(CHECKED)/sql.files
	@git hash-object --stdin-paths < $(CHECKED)/sql.files > $(CHECKED)/sql.hashes
	@paste -d ' ' $(CHECKED)/sql.hashes $(CHECKED)/sql.files | sed "s/^/$$(cat $(CHECKED)/sql.settings) /" > $(CHECKED)/sql.now
	@touch $(CHECKED)/sql.passed
	@grep -vxFf $(CHECKED)/sql.passed $(CHECKED)/sql.now | cut -d ' ' -f 3 \
		| xargs -r $(BIN)/sqlfluff lint --processes 2 --disable-progress-bar
	@mv $(CHECKED)/sql.now $(CHECKED)/sql.passed

# Skipped if nothing has changed that the result depends on
check-dbt:
	@now=$$($(call hash,$(DBT_INPUTS))) && if [ "$$now" != "$$(cat $(CHECKED)/dbt.passed 2> /dev/null)" ]; then \
		$(DBT) compile --exclude resource_type:test resource_type:unit_test --no-introspect --no-populate-cache \
			--profiles-dir . --target-path $(CHECKED) --log-path $(CHECKED) \
		&& COLUMNS=160 $(BIN)/dbt-bouncer --config-file pyproject.toml \
		&& $(BIN)/python -m warehouse.lineage && $(BIN)/python -m warehouse.measures \
		&& $(BIN)/python -m warehouse.publish_set_page \
		&& echo "$$now" > $(CHECKED)/dbt.passed; fi

dev: $(VENV)/installed ## start Dagster's web interface and daemon; PORT=3000
	@$(BIN)/warehouse dev $(WITH_DEMO) $(if $(PORT),--port $(PORT))

docs: $(VENV)/installed ## serve the documentation site; PORT=8080
	@$(BIN)/warehouse docs $(WITH_DEMO) $(if $(PORT),--port $(PORT))

stop: $(VENV)/installed ## stop the servers that a run started
	@$(BIN)/warehouse stop

bench: $(VENV)/installed ## run the benchmarks, on a machine without other load
	@failed=0; for program in load incremental latency faults privacy quality publications dashboards overhead suite county fuzz exact; do $(BIN)/python -m benchmarks.$$program || failed=1; done; exit $$failed

# The tools have an environment of their own, so that they cannot change the versions of what they examine
$(VENV)/audit: requirements-audit.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@touch $@

audit: $(VENV)/installed $(VENV)/audit ## look for known vulnerabilities (needs the internet) and risky code; write an SBOM (CycloneDX)
	@mkdir -p $(CHECKED)
	@$(VENV)/audit/bin/cyclonedx-py requirements --pyproject pyproject.toml -o $(CHECKED)/sbom.json requirements.txt
	@echo "The software bill of materials is in $(CHECKED)/sbom.json"
	@$(VENV)/audit/bin/bandit --quiet --recursive --configfile pyproject.toml commands ingestion orchestration warehouse
	@$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip --requirement requirements.txt

schema: $(VENV)/installed ## write the JSON Schema of source contracts, after their fields have changed
	@$(BIN)/python -m ingestion.schema

measures: $(VENV)/installed ## write docs/reference/measures.md and publish-sets.md from the models, after a definition has changed
	@$(DBT) parse --profiles-dir . --target-path $(CHECKED) --log-path $(CHECKED)
	@$(BIN)/python -m warehouse.measures --write
	@$(BIN)/python -m warehouse.publish_set_page --write

requirements: ## pin every dependency with hashes, for every platform (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --group dev pyproject.toml -o requirements.txt
