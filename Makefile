# make lab       install into .venv what the course needs, and open its map in JupyterLab
# make test      install what the tests need too, and run all but the slow ones
# make test-all  the same, then the slow ones
# make page      write the notebooks to build/pages as single HTML files, to be read without Python
# make print     write the maps and the glossary to build/print.html, for a printer
# make fresh     put the notebooks back as they were, and what a learner changed or made into build/kept
# make wheels    download into build/wheels what a machine without internet needs for: make lab WHEELS=build/wheels
#
# Asks for a POSIX make, Python 3.11 or newer and its venv module. Another Python: make lab PYTHON=python3.12

PYTHON = python3
NOTEBOOK = notebooks/index.ipynb
# Further words for JupyterLab, as in: make lab LABFLAGS='--no-browser --port=9000'
LABFLAGS =
# Further words for pytest, as in: make test PYTESTFLAGS='-k conntrack'
PYTESTFLAGS =
# How many test files run at once.
JOBS = 2
# A folder that `make wheels` filled: then nothing is asked of the internet.
WHEELS =

PYTEST = .venv/bin/python -m pytest -n $(JOBS) --dist loadfile
INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check $(if $(WHEELS),--no-index --find-links='$(WHEELS)')

.PHONY: setup lab test test-slow test-all notebooks page print fresh wheels pictures bench clean

# The two stamps say what is in .venv; a change of pyproject.toml makes both out of date.
setup: .venv/lab.stamp
	@:

.venv/lab.stamp: pyproject.toml binder/overrides.json
	@command -v $(PYTHON) >/dev/null || { \
	  echo "k8slab needs Python 3.11 or newer, and there is no $(PYTHON) here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "k8slab needs Python 3.11 or newer; $(PYTHON) is older." \
	    "Name a newer one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing JupyterLab and k8slab into .venv: once, and again when pyproject.toml changes."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) -e .
	@mkdir -p .venv/share/jupyter/lab/settings
	@cp binder/overrides.json .venv/share/jupyter/lab/settings/overrides.json
	@touch $@

.venv/test.stamp: .venv/lab.stamp
	@echo "Installing into .venv what the tests need."
	@$(INSTALL) -e '.[test]'
	@touch $@

# The notebook is JupyterLab's first page, and not a file given to it: so the address it prints leads there.
# On a Linux without a display there is no browser, or one in text mode that would take the terminal.
# JupyterLab wants root to say that it means it.
lab: setup
	@set -- $(LABFLAGS); \
	if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY$$BROWSER" ]; then \
	  set -- --no-browser "$$@"; fi; \
	if [ "$$(id -u)" = 0 ]; then set -- --allow-root "$$@"; fi; \
	exec .venv/bin/python -m jupyterlab --LabApp.default_url=/lab/tree/$(NOTEBOOK) "$$@"

test: .venv/test.stamp
	$(PYTEST) -m 'not slow' $(PYTESTFLAGS)

test-slow: .venv/test.stamp
	$(PYTEST) -m slow $(PYTESTFLAGS)

# Not "test test-slow": with `make -j` the two would run at once.
test-all: test
	$(PYTEST) -m slow $(PYTESTFLAGS)

# Run the notebooks and save them with their outputs, without live widgets.
notebooks: setup
	.venv/bin/python scripts/execute_notebooks.py

# The notebooks as single HTML files with live steppers, which need no network and no Python.
page: setup
	.venv/bin/python scripts/pages.py

print: setup
	@mkdir -p build
	.venv/bin/python -m k8slab.course.printed > build/print.html
	@echo build/print.html

fresh: setup
	@.venv/bin/python scripts/fresh.py

# With what pip itself needs to install the project from its folder.
wheels: setup
	.venv/bin/python -m pip download --quiet --disable-pip-version-check --dest build/wheels . 'setuptools>=77'
	@echo 'build/wheels: for the same system and Python version; there: make lab WHEELS=build/wheels'

# What takes how long, as ratios: nothing here fails.
bench: .venv/test.stamp
	@for file in tests/benchmarks/*.py; do \
	  .venv/bin/python -m tests.benchmarks.$$(basename $$file .py) || exit 1; done

# The README's pictures, and in build/pictures one of everything that is shown, in both themes.
pictures: .venv/test.stamp
	.venv/bin/python scripts/screenshot.py
	.venv/bin/python scripts/gallery.py

clean:
	rm -rf .venv build dist k8slab.egg-info .pytest_cache .hypothesis
	find k8slab tests scripts notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
