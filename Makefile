# `make demo` shows what this is, `make test` runs every test, `make check` is ruff and mypy, `make docs` the documentation.
# Each makes what it is missing, so all of them work in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo soak test check docs schema clean

demo: $(READY)
	$(BIN)/python -m bench run suites/digits.yaml --offline
	$(BIN)/python -m bench report
	@echo "The report: file://$(CURDIR)/site/index.html"

test: $(READY) check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# The fault tests with many more cases: about 20 minutes on two cores
soak: $(READY)
	$(BIN)/python tests/soak.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# mypy reads no package-dir: it is shown the package as it is installed
	@rm -rf build/typing && mkdir -p build/typing/bench && ln -s $(CURDIR)/bench/* $(CURDIR)/report build/typing/bench/
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m mkdocs build
	@echo "The documentation: file://$(CURDIR)/build/docs/index.html"

schema: $(READY)
	$(BIN)/python -m bench.suite.json_schema

clean:
	rm -rf .venv site build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,dev]'
	touch $@
