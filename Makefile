# make demo   the README's example, from training to a run on long inputs
# make test   style, types and tests
# make thorough  the tests that take too long for that
# make lint   style and types alone
# make fuzz   look for texts that break the parser, the checker or the teacher: 10 minutes each, or SECONDS=60
# make bench  time the parts beside what the machine can do; writes docs/results/speed.md
# make docs   the documentation as a site, in site/
# make clean  remove what is built here, the virtual environment too

PYTHON ?= python3
PY := .venv/bin/python
STAMP := .venv/.installed
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

# Two threads on small tensors are slower than one, and one thread gives the same numbers on every machine.
export OMP_NUM_THREADS := 1

.PHONY: demo test thorough lint docs bench fuzz clean

demo: $(STAMP)
	$(PY) -m npi.cli.main demo

test: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m mypy & types=$$!; $(PY) -m pytest -q -n 2 --dist worksteal; tests=$$?; wait $$types && exit $$tests

thorough: $(STAMP)
	$(PY) -m pytest -q -n 2 --dist worksteal -m thorough

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m mypy

docs: $(STAMP)
	$(PY) -m mkdocs build

bench: $(STAMP)
	$(PY) -m benchmarks.speed.parts

SECONDS ?= 600

fuzz: $(STAMP)
	$(PY) -m pip install -q -c constraints.txt atheris
	for target in parser checker teacher; do $(PY) -m tests.fuzz $$target -max_total_time=$(SECONDS) || exit 1; done
	$(PY) -m tests.fuzz.figures runs/fuzz

clean:
	rm -rf .venv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): constraints.txt pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install -q -c constraints.txt setuptools wheel
	$(PY) -m pip install -q -c constraints.txt $(TORCH)
	$(PY) -m pip install -q -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@
