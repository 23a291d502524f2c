# demo: install, fetch the models, talk.  test: every test.  check: style, types, floors.  bench: measure.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check bench models clean

demo: models
	$(BIN)/antiphon demo $(ARGS)

test: models
	$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: models
	$(BIN)/python -m benchmarks $(ARGS)

models: $(INSTALLED)
	$(BIN)/antiphon models pull

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "antiphon needs Python 3.11 or newer; this is %d.%d. Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" % v[:2])'
	@echo "Installing antiphon and its libraries into $(VENV): about 600 MB, a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
