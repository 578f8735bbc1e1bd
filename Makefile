# make demo    a service with a console in it: examples/manhole2.py
# make test    the tests, three at a time; make test PYTEST_ARGS='-k ssh -x'
# make fuzz    the parsers of unauthenticated input; make fuzz SECONDS=600 FUZZ_ARGS='--target telnet'
# make attacks the attacks of the tests, with what each does to a service, as a Markdown table
# make screenshots  the pictures of README and docs, anew
# make bench   the benchmarks, into benchmarks/results; QUICK=1; ONLY='key_echo enter'
#
# Each makes .venv when it is missing, and installs again when pyproject.toml has changed.

PYTHON ?= python3
# They wait as much as they compute: three keep two cores busy. A file's tests stay together, as they
# share services, until a worker has no more to do and takes half of what another has left.
PYTEST_ARGS ?= -n 3 --dist worksteal
SECONDS ?= 60
FUZZ_ARGS ?=
WHEEL_PYTEST_ARGS ?= $(PYTEST_ARGS)
VENV ?= .venv
WHEEL := build/wheel

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test fuzz attacks screenshots lint wheel-test bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	@exec $(BIN)/python examples/manhole2.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# By atheris if it is in .venv, guided by coverage; else by a mutator of our own.
fuzz: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m fuzz.run --seconds $(SECONDS) $(FUZZ_ARGS)

attacks: $(VENV)/.installed-test
	@PYTHONPATH=tests $(BIN)/python -m attacks.report

screenshots: $(VENV)/.installed-test
	@$(BIN)/python docs/screenshots/take.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests are copied away from the sources, so that only what the wheel brings can be imported.
wheel-test: $(VENV)/.installed-dev
	rm -rf $(WHEEL)
	$(BIN)/python -m build --wheel --outdir $(WHEEL)
	test -x build/venv/bin/python || $(PYTHON) -m venv build/venv
	build/venv/bin/python -m pip --disable-pip-version-check --quiet uninstall --yes admin-console
	build/venv/bin/python -m pip --disable-pip-version-check --quiet install \
		"$$(echo $(WHEEL)/*.whl)[test]"
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && \
		cp -R tests examples pyproject.toml "$$place" && bin=$$PWD/build/venv/bin && \
		cd "$$place" && "$$bin/python" -m pytest -p no:cacheprovider $(WHEEL_PYTEST_ARGS)

# The peers live in an environment of their own. What cannot be installed is told in the report.
bench: build/bench/.installed
	build/bench/bin/python -m benchmarks $(if $(QUICK),--quick) $(ONLY)

build/bench/.installed: pyproject.toml benchmarks/peers.txt
	test -x build/bench/bin/python || $(PYTHON) -m venv build/bench
	build/bench/bin/python -m pip --disable-pip-version-check --quiet install --editable . 'pyte>=0.8.2'
	sed '/^#/d' benchmarks/peers.txt | while read -r peer; do \
		build/bench/bin/python -m pip --disable-pip-version-check --quiet install "$$peer" || \
			echo "not installed: $$peer"; done
	@touch $@

clean:
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache
	find console tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; name another: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed
