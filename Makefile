# `make demo` and `make test` need git, make and Python >= 3.11. All else is installed into .venv, as requirements.lock says.

BIN := .venv/bin
READY := .venv/ready
ARGS ?=

.PHONY: demo test check docs bench lock clean

demo: $(READY)
	@$(BIN)/statecore demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/pyright --version >/dev/null 2>&1 || echo "pyright cannot run here (it needs node): left out, mypy decides"
	@! $(BIN)/pyright --version >/dev/null 2>&1 || $(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) docs

docs: $(READY)
	$(BIN)/zensical build --clean --strict

bench: $(READY)
	@for file in tests/benchmarks/*_bench.py; do \
	  echo "== $$(basename $$file .py)"; $(BIN)/python -m tests.benchmarks.$$(basename $$file .py) || exit 1; \
	done

# Needs uv, which nothing else does.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --output-file requirements.lock

clean:
	rm -rf .venv site dist .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# PYTHON=... chooses the interpreter; without it, the first of these that is new enough and can make an environment.
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

$(READY): pyproject.toml requirements.lock
	@if ! $(BIN)/python -c '$(USABLE)' >/dev/null 2>&1; then \
	  for python in $(PYTHONS); do \
	    if "$$python" -c '$(USABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "statecore needs Python >= 3.11 with its venv module; tried: $(PYTHONS). Install one, or say PYTHON=/where/it/is" >&2; exit 1; \
	  fi; \
	  echo "making .venv with $$("$$found" --version)"; \
	  "$$found" -m venv --clear .venv; \
	fi
	@echo "installing what requirements.lock says into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
