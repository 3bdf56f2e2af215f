# What the course can be told to do; `make` alone lists it.
# PYTHON=/path/to/python names an interpreter. TORCH=cpu takes PyTorch's small CPU build (see README.md).
SHELL = /bin/sh
.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help lab test lint unit notebooks browser trust bench lock clean

# An environment is ready when a file named after its ingredients lies in it: change one and it is made anew.
TORCH := $(or $(TORCH),$(shell cat .venv/.torch 2>/dev/null),pypi)
# (After a system upgrade the interpreter behind an environment may be gone.)
$(shell .venv/bin/python -c 'import pip' 2>/dev/null || rm -f .venv/.ready-*)
KEY := $(shell { pwd; echo '$(TORCH)'; cat pyproject.toml requirements.lock tools/install.sh; } | cksum | tr -d ' ')
READY := .venv/.ready-$(KEY)
export TORCH
export PYTHONNOUSERSITE = 1
unexport PYTHONHOME PYTHONPATH

PY = .venv/bin/python
NBVAL = -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=900

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1|/p' Makefile | awk -F'|' '{ printf "%-16s%s\n", $$1, $$2 }'

lab: $(READY) .venv/.trusted ## create the environment, check the data and open the course in JupyterLab
	@$(PY) -m course_lib info
	@set -- --log-level=WARN --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb; \
	if [ "$$(id -u)" = 0 ]; then set -- "$$@" --allow-root; fi; \
	if [ -z "$$DISPLAY$$WAYLAND_DISPLAY$$BROWSER" ] && [ "$$(uname -s)" != Darwin ]; then \
	  set -- "$$@" --no-browser; \
	  echo; echo "There is no browser here: open one of the addresses that follow. From another machine, first run"; \
	  echo "ssh -L 8888:localhost:8888 USER@THIS_MACHINE there (8888 being the number in the address)."; \
	else echo; echo "JupyterLab opens in your browser; if it does not, open one of the addresses that follow."; fi; \
	echo "Ctrl-C, twice, stops it."; \
	exec $(PY) -m jupyterlab "$$@"

test: lint unit notebooks browser ## everything that must be green: style, types, unit tests, notebooks, browser

lint: $(READY) ## style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

unit: $(READY) ## the unit tests
	$(PY) -m pytest

notebooks: $(READY) ## are the notebooks those of their sources, and does every student notebook run?
	$(PY) notebooks/build.py --check
	OMP_WAIT_POLICY=passive $(PY) $(NBVAL) notebooks/*.ipynb  # threads that spin crawl beside other programs

browser: $(READY) ## the widgets, in a real Chromium
	$(PY) -m pytest -m browser tests/browser

trust: $(READY) .venv-oldest/.ready-$(KEY) ## the slow suite: solutions, many kills, the oldest torch, no Jupyter
	$(PY) $(NBVAL) notebooks/solutions/*.ipynb
	$(PY) -m pytest -m trust
	.venv-bare/bin/python -c "from importlib.util import find_spec; assert not find_spec('IPython')"
	rm -rf .venv-bare/run && .venv-bare/bin/python -m course_lib train fashion_features --steps 20 --out .venv-bare/run
	.venv-oldest/bin/python -m pytest

bench: $(READY) ## the side-by-side measurements
	for file in benchmarks/*.py; do $(PY) "$$file" || exit 1; done

lock: $(READY) ## resolve requirements.lock again, keeping what still fits (LOCK=--upgrade: the newest of everything)
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip compile --no-config --universal --python-version 3.11 --generate-hashes $(LOCK) \
	  --custom-compile-command "make lock" --extra lab --extra test pyproject.toml -o requirements.lock

clean: ## remove the environments and caches; your training runs stay
	rm -rf .venv .venv-bare .venv-oldest .pytest_cache .mypy_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# Jupyter shows scripts of notebooks that it has not run itself only when it is told to trust them. These came with
# the Makefile you are running, so their widgets may live from the first moment.
.venv/.trusted: $(wildcard notebooks/[0-9][0-9]_*.ipynb notebooks/solutions/[0-9][0-9]_*.ipynb) | $(READY)
	@$(PY) -m jupyter trust $? >/dev/null && touch $@

$(READY):
	@sh tools/install.sh .venv
	@rm -f .venv/.ready-* && touch $@

.venv-bare/.ready-$(KEY):
	@sh tools/install.sh .venv-bare
	@rm -f .venv-bare/.ready-* && touch $@

.venv-oldest/.ready-$(KEY): .venv-bare/.ready-$(KEY)
	@sh tools/install.sh .venv-oldest
	@rm -f .venv-oldest/.ready-* && touch $@
