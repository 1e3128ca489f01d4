# A fresh machine needs Python 3.11 to 3.13, git and make. `make help` lists the commands.

PYTHON ?= python3
# Tests run in JOBS processes; the notebooks' kernels then share the cores with one thread each.
JOBS ?= 2
OMP_NUM_THREADS ?= 1
PORT ?= 8000
# More for pytest or for the matrix: make test ARGS="-k attention", make matrix ARGS="py3.12".
ARGS ?=

export OMP_NUM_THREADS
# Packages are compiled when they are first imported, and what was compiled is kept: a shell that
# forbids it (not an empty value) would have every process do it again.
export PYTHONDONTWRITEBYTECODE =
.DEFAULT_GOAL := help
.PHONY: help book serve test notebooks exercises mutants checker matrix colab address constraints \
  clean distclean python

help:
	@echo "make book       build the site and say where it is (sets up .venv-book)"
	@echo "make serve      show the site on http://127.0.0.1:$(PORT) (PORT=... for another port)"
	@echo "make test       run every test: package, notebooks, site (sets up .venv)"
	@echo "make notebooks  run all chapters again and store their outputs"
	@echo "make exercises  store the outputs of right answers in the exercises again"
	@echo "make mutants    break every solution in many ways and see the checks notice"
	@echo "make checker    show what the checker of blocks catches, misses and wrongly accuses"
	@echo "make matrix     run chapters and exercises under other Pythons, processors and versions"
	@echo "make colab      run each notebook alone, as on Colab, in a fresh environment"
	@echo "make address    write the repository's address from pyproject.toml everywhere"
	@echo "make clean      remove the site and the caches; make distclean: environments too"
	@echo
	@echo "PYTHON=python3.12 names another Python, ARGS=\"...\" hands on more options."

python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.11, 3.12 or 3.13," \
	       "or name one: make PYTHON=/path/to/python3" >&2; exit 1; }

book: python
	@"$(PYTHON)" -m tests.tools.environment book
	@echo "Building the book ..."
	@.venv-book/bin/python -m tests.tools.build_book
	@echo "The book is at $(CURDIR)/_build/html/index.html"
	@echo "make serve shows it on http://127.0.0.1:$(PORT)"

serve:
	@test -f _build/ready || $(MAKE) --no-print-directory book
	@"$(PYTHON)" -c "import socket; socket.create_server(('127.0.0.1', $(PORT))).close()" \
	  2>/dev/null || { echo "Port $(PORT) is taken here: make serve PORT=8001" >&2; exit 1; }
	@echo "The book is on http://127.0.0.1:$(PORT) (Ctrl-C stops)"
	@"$(PYTHON)" -m http.server --bind 127.0.0.1 --directory _build/html "$(PORT)" || true

# The site is built by its tests, if it is older than its sources: at the same time as others run.
test: python
	@"$(PYTHON)" -m tests.tools.environment book test
	@.venv/bin/python -m pytest --nbval -q -n "$(JOBS)" $(ARGS)

notebooks: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.execute $(ARGS)

exercises: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.execute --exercises $(ARGS)

mutants: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.mutants $(ARGS)

checker: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.checker

matrix: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.matrix $(ARGS)

colab: python
	@"$(PYTHON)" -m tests.tools.environment test
	@.venv/bin/python -m tests.tools.colab $(ARGS)

address: python
	@"$(PYTHON)" -m tests.tools.address

# Exact pins for every supported Python; needs uv.
constraints:
	uv pip compile --universal --upgrade --python-version 3.11 --all-extras \
	  --no-header --no-annotate pyproject.toml -o constraints.txt

clean:
	rm -rf _build build dist .pytest_cache .hypothesis .ruff_cache
	find . -name .git -prune -o -path './.venv*' -prune -o -name __pycache__ -print0 | xargs -0 rm -rf

distclean: clean
	rm -rf .venv .venv-book .venv-matrix-*
