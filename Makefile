# Two commands matter: `make demo` and `make test`. Both set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One uv for everybody: a lock is only as stable as the tool that reads it.
UV_VERSION := 0.13.9
READY := $(VENV)/.ready

.PHONY: help setup demo up replay test check format lint types imports bench chaos fuzz soak audit lock clean

help:
	@echo "make demo    three days of traffic in a minute and a half: a campaign appears and is revoked"
	@echo "make test    everything CI runs: checks, then all tests"
	@echo "make up      a cluster on this machine until Ctrl-C      make replay EVENTS=file.jsonl"
	@echo "make check   ruff, mypy, import rules                    make format"
	@echo "make audit   known vulnerabilities in requirements.lock; says so when offline"
	@echo "make chaos   a hundred faults under load, and what they changed: nothing      make chaos ARGS=\"--faults 10\""
	@echo "make fuzz    what nobody should send, at every door       make soak    an hour at half of the maximum"
	@echo "make bench   what a request costs                        make lock    after changing dependencies"

setup: $(READY)

# The machine's certificates count too (company proxies). Exactly the locked versions, verified by hash; then the checkout itself, without fetching anything more.
$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --quiet --require-hashes --build-constraint requirements.lock -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --system-certs --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/python -m launch demo

up: $(READY)
	@$(BIN)/python -m launch up

replay: $(READY)
	@$(BIN)/python -m launch replay $(EVENTS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports --no-cache

check: lint types imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Fast ones first; those that start a Ray cluster last.
test: check
	$(BIN)/pytest -q -m "not ray" --doctest-modules
	$(BIN)/pytest -q -m ray tests

audit: $(READY)
	@$(BIN)/python .ci/audit.py

bench: $(READY)
	@$(BIN)/python -m benchmarks

chaos: $(READY)
	@$(BIN)/python -m chaos $(ARGS)

fuzz: $(READY)
	@$(BIN)/python -m benchmarks.fuzz --inputs $(or $(INPUTS),10000) --seed $(or $(SEED),1)

soak: $(READY)
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),60)

lock:
	@test -x $(BIN)/uv || ($(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION))
	$(BIN)/uv pip compile --system-certs --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" --extra cluster --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache .stillwatch
