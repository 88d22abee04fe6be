# Two commands matter: `make run` starts the platform, `make test` proves it. `make help` lists the others.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input -q
PYTEST := $(PYTHON) -m pytest
SUPERVISOR := $(PYTHON) -m brokerage.supervisor
STAMPS := $(VENV)/stamps
ENGINE_SOURCES := $(shell find engine -type f \( -path 'engine/include/*' -o -path 'engine/src/*' -o -path 'engine/bindings/*' -o -path 'engine/heartbeat/*' \) 2>/dev/null) \
	engine/pyproject.toml engine/CMakeLists.txt
TEST_PROCESSES ?= 2
FAULT_ROUNDS ?= 50
HISTORY ?= 10000000
KILLS_ALL ?= 1000
SIM_SEEDS ?= 1000000
SIM_SECONDS ?= 600
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= 1
FUZZ_COMMANDS ?= 100000000
KAFKA_NODES ?= 1
BOUNCES ?= 5
OUTAGE_S ?= 600
LINTED := apps brokerage tests benchmarks manage.py

.PHONY: help setup engine run up down status kafka kafka-down test test-kafka test-kafka-long bench-audit test-fast test-faults test-faults-long simulate lint check format bench-order-path bench-durable bench-failover \
	bench-recovery bench-engine bench-marketdata fuzz-engine fuzz-engine-targets fuzz-engine-invariants \
	screenshots demo-reset clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- setting up ----------------------------------------------------------------------------------------------

setup: $(STAMPS)/runtime $(STAMPS)/engine ## Create the virtual environment, install what is pinned, build the engine

engine: $(STAMPS)/engine ## Build the C++ order book and install it into the virtual environment

$(STAMPS)/python:
	@set -e; found=$$(.ci/machine python); echo "Creating $(VENV) with $$found"; \
	test -x $(PYTHON) || "$$found" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements.txt requirements-embedded.txt constraints.txt | $(STAMPS)/python
	@echo "Installing what the platform needs"
	@$(PIP) install -c constraints.txt -r requirements.txt
	@$(PIP) install --no-deps --require-hashes -r requirements-embedded.txt
	@touch $@

$(STAMPS)/dev: requirements-dev.txt constraints.txt | $(STAMPS)/runtime
	@echo "Installing what the tests need"
	@$(PIP) install -c constraints.txt -r requirements-dev.txt
	@touch $@

$(STAMPS)/bench: requirements-bench.txt constraints.txt | $(STAMPS)/dev
	@echo "Installing the peers of the benchmark"
	@$(PIP) install -c constraints.txt -r requirements-bench.txt
	@touch $@

$(STAMPS)/engine: $(ENGINE_SOURCES) | $(STAMPS)/runtime
	@.ci/machine compiler
	@.ci/machine headers $(PYTHON)
	@echo "Building the engine"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PIP) install --no-build-isolation --no-deps --force-reinstall ./engine
	@touch $@

# -- running -------------------------------------------------------------------------------------------------

run: setup ## Start everything and print the address and the demo logins; Ctrl-C stops it
	@$(SUPERVISOR) run

up: setup ## Start everything in the background; return when it is healthy
	@$(SUPERVISOR) up

down: ## Stop what `make up` or `make run` started; return when it has stopped
	@test ! -x $(PYTHON) || $(SUPERVISOR) down

status: ## Show the processes
	@test ! -x $(PYTHON) || $(SUPERVISOR) status || true

demo-reset: down kafka-down ## Throw away the embedded data and begin with a new demo market at the next start
	@rm -rf var/postgres var/postgres.new var/valkey var/snapshots var/anchors var/archive var/kafka var/demo.json var/secrets.json var/beat-schedule*
	@echo "The demo's data is gone; the next start makes it anew."

kafka: setup ## Start a real Apache Kafka in the background, KAFKA_NODES of 1 or 3, and say how to use it; needs Java, the first time Maven
	@$(PYTHON) -m brokerage.supervisor.kafka_cli up --nodes $(KAFKA_NODES)

kafka-down: ## Stop it; its data in var/kafka stays
	@test ! -x $(PYTHON) || $(PYTHON) -m brokerage.supervisor.kafka_cli down

# -- proving -------------------------------------------------------------------------------------------------

test: setup $(STAMPS)/dev ## Run every test, on a PostgreSQL and a Valkey of their own
	@.ci/machine chromium
	@.ci/machine clang >/dev/null || true
	@$(PYTEST) -n $(TEST_PROCESSES) --dist loadfile tests

test-fast: setup $(STAMPS)/dev ## Run the tests without browser, faults, whole stories and servers
	@$(PYTEST) -n $(TEST_PROCESSES) --dist loadfile tests --ignore=tests/browser --ignore=tests/faults \
		--ignore=tests/flows --ignore=tests/supervisor

test-faults: setup $(STAMPS)/dev ## Kill processes in mid-flow FAULT_ROUNDS times and prove that nothing is lost
	@OPENBELL_TEST_FAULT_ROUNDS=$(FAULT_ROUNDS) $(PYTEST) tests/faults

test-faults-long: setup $(STAMPS)/dev ## Kill matching leaders until there were KILLS_ALL; goes on where it ended; writes var/faults/kills.json
	@$(PYTHON) -m tests.faults.kills --kills $(KILLS_ALL)

test-kafka: setup $(STAMPS)/dev ## Prove the relay into a real Kafka, with three brokers too
	@.ci/machine java
	@OPENBELL_TEST_KAFKA_WHOLE=1 $(PYTEST) tests/kafka

test-kafka-long: setup $(STAMPS)/dev ## Kill the broker under load BOUNCES times and leave it away for OUTAGE_S seconds; writes var/faults/kafka.json
	@.ci/machine java
	@$(PYTHON) -m tests.kafka.long_run --bounces $(BOUNCES) --outage-s $(OUTAGE_S)

simulate: setup $(STAMPS)/dev ## Run the runner and the relay in simulated worlds full of faults for SIM_SECONDS, SIM_SEEDS at most; writes var/simulation/last.json
	@$(PYTHON) -m tests.simulation --seconds $(SIM_SECONDS) --seeds $(SIM_SEEDS)

fuzz-engine: setup $(STAMPS)/dev ## Compare the C++ book with the Python one over FUZZ_COMMANDS random commands; writes var/fuzz/engine.json
	@$(PYTHON) -m tests.matching.fuzz --commands $(FUZZ_COMMANDS)

fuzz-engine-targets: setup $(STAMPS)/dev ## Run every libFuzzer target under the sanitizers for FUZZ_SECONDS each
	@.ci/machine clang >/dev/null
	@OPENBELL_TEST_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) tests/matching/test_engine_fuzz.py

fuzz-engine-invariants: setup ## Check what must hold after each of 100 million random commands, from FUZZ_SEED on
	@.ci/machine compiler
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH"; cmake -S engine -B engine/build/long -DOPENBELL_FUZZ=ON -DOPENBELL_TESTS=OFF >/dev/null \
		&& cmake --build engine/build/long --parallel 2 >/dev/null
	@engine/build/long/fuzz/openbell_long_run 100000000 $(FUZZ_SEED)

lint: setup $(STAMPS)/dev ## Lint, format, types and storeys
	@$(PYTHON) -m ruff check $(wildcard $(LINTED))
	@$(PYTHON) -m ruff format --check $(wildcard $(LINTED))
	@$(PYTHON) -m mypy
	@$(VENV)/bin/lint-imports

check: lint ## The same, and the architecture tests (catalogue, migrations, tidy)
	@$(PYTEST) tests/architecture

format: $(STAMPS)/dev ## Put imports and layout into the agreed form
	@$(PYTHON) -m ruff check --select I --fix $(wildcard $(LINTED))
	@$(PYTHON) -m ruff format $(wildcard $(LINTED))

bench-order-path: setup $(STAMPS)/dev ## Measure entry, matching and booking; writes var/bench/order-path.json
	@$(PYTHON) -m benchmarks.order_path

bench-durable: setup $(STAMPS)/dev ## Measure taking, matching and booking beside pgbench, with HISTORY (10,000,000) old orders too; writes var/bench/durable.json
	@$(PYTHON) -m benchmarks.durable --history $(HISTORY)

bench-failover: setup $(STAMPS)/dev ## Kill and stop the matching leader under load, KILLS and STOPS times, then soak for SOAK_S seconds; writes var/bench/failover.json
	@$(PYTHON) -m benchmarks.failover

bench-recovery: setup $(STAMPS)/dev ## Measure cold recovery of ORDERS (1,000,000) open orders on both roads; writes var/bench/recovery.json
	@$(PYTHON) -m benchmarks.recovery

bench-engine: setup $(STAMPS)/bench ## Measure the order book beside a yardstick and its peers; writes var/bench/engine.json
	@.ci/machine compiler
	@$(PYTHON) -m benchmarks.engine

bench-marketdata: setup $(STAMPS)/dev ## Measure importing, candles and reading of TICKS (50,000,000) ticks, and what a client sees; writes var/bench/marketdata.json
	@$(PYTHON) -m benchmarks.marketdata

bench-audit: setup $(STAMPS)/dev ## Measure the relay into a real Kafka beside the writing of events, and the verifying of the hash chain; writes var/bench/audit.json
	@.ci/machine java
	@$(PYTHON) -m benchmarks.audit

screenshots: setup $(STAMPS)/dev ## Take the desktop and phone pictures, light and dark, into var/screenshots
	@.ci/machine chromium
	@$(PYTEST) tests/browser

clean: down ## Remove the virtual environment and everything built; the data in var/ stays
	@rm -rf $(VENV) build engine/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
