# make demo   the main job: the sample searched to its end, with a map and a report, into demo/
# make test   every check: style, types, layers, tests, QGIS and PostGIS included where they can be had
# make bench  ratios of speed, each against a baseline measured in the same run
# make fuzz   each entrance for files of strangers, fuzzed for SECONDS=60; what breaks stops it
# make docs   the documentation as web pages, into site/
# make release  builds what is uploaded, checks it, and says how
# make audit  known vulnerabilities of what is installed, asked of the network

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# processes that test, each whole files
WORKERS ?= auto
QGIS_PYTHON := $(or $(OWL_QGIS_PYTHON),/usr/bin/python3)

.PHONY: demo test bench check docs notebook release fuzz audit qgis postgis chromium clean

# Each command is shown as a user types it. What is there stays: a second call goes on where the
# first one stopped, or says that everything is done.
demo: $(VENV)/.installed
	@set -e; PATH="$(BIN):$$PATH"; \
	typed() { echo; echo "$$ $$*"; "$$@"; }; \
	echo "A search from its first batch to its report: 5 x 5 km of invented land with contaminated"; \
	echo "sites, an OpenStreetMap extract of it, and the truth answering in a person's place."; \
	if [ -e demo/olinda/landsat.tif ]; then \
	  echo "demo/ holds one already, which goes on; rm -r demo starts afresh."; \
	else rm -rf demo; typed owl-geo sample demo --quiet; fi; \
	[ -e demo/trial/owl.toml ] || typed owl-geo init demo/trial \
	  --scene demo/scene.tif --patch-size 16 --osm demo/area.osm --oracle demo/truth.gpkg \
	  --oracle-column class --oracle-values contaminated --oracle-share 0.1; \
	typed owl-geo run demo/trial; \
	typed owl-geo predict demo/trial; \
	typed owl-geo report demo/trial; \
	echo; \
	echo "A search on generated patches. Their images are noise by design and only the concepts"; \
	echo "tell anything, so the test AUC climbs to about 0.76, which is all that can be known."; \
	typed owl-geo run --source synthetic --out demo/synthetic

# One thread for each process: where all of them want every core, they mostly wait for each other.
test: export OMP_NUM_THREADS = 1
test: check qgis postgis chromium
	OWL_QGIS_PYTHON=$(QGIS_PYTHON) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -r owl_geo qgis_plugin -c pyproject.toml

SECONDS ?= 60
FUZZED := batch_bytes batch_values tiff osm vector stac run_records owl_toml plugin_toml

fuzz: $(VENV)/.installed-dev
	@for name in $(FUZZED); do \
	  echo "fuzzing $$name"; \
	  $(BIN)/python -m fuzz $$name -max_total_time=$(SECONDS) 2>.fuzz.log || \
	    { tail -n 40 .fuzz.log; exit 1; }; \
	  grep -a "^Done" .fuzz.log; \
	done; rm -f .fuzz.log

audit: $(VENV)/.installed-dev
	@if $(BIN)/python -c 'import socket; socket.create_connection(("pypi.org", 443), 5)' 2>/dev/null; \
	then $(BIN)/pip-audit --skip-editable; \
	else echo "audit: pypi.org cannot be reached, so nothing was asked"; fi

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html; with its search: python3 -m http.server -d site, then http://localhost:8000"

notebook: $(VENV)/.installed-dev
	$(BIN)/python docs/run_notebook.py

release: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q tests/repository/test_release.py tests/cli/test_plugin_command.py
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/owl-geo plugin zip --out dist/owl_geo_labeler.zip
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	@echo; ls dist
	@echo "to PyPI:             $(BIN)/twine upload dist/*.whl dist/*.tar.gz"
	@echo "to plugins.qgis.org: dist/owl_geo_labeler.zip, under Upload a plugin"
	@echo "the tag:             git tag v$$($(BIN)/owl-geo --version | sed 's/.* //')"

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: owl-geo needs Python 3.11 or newer; set one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	@echo "installing into $(VENV): some minutes, on Linux 6 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml
	@echo "installing into $(VENV): some minutes, on Linux 6 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# QGIS belongs to the system's Python; the tests that need it skip, and say so, where it is missing.
# The desktop test presses keys in a real window, on a screen that Xvfb makes up.
QGIS_PACKAGES := python3-qgis python3-pytest qgis xvfb xauth xdotool imagemagick \
  fonts-dejavu fonts-open-sans libgl1-mesa-dri

qgis:
	@if $(QGIS_PYTHON) -c 'import qgis.core, pytest' 2>/dev/null && \
	    command -v qgis Xvfb xdotool import >/dev/null; then \
	  echo "QGIS: found, in $(QGIS_PYTHON)"; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "QGIS: missing, and no apt-get to install it; its tests will be skipped"; \
	elif [ "$$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then \
	  echo "QGIS: missing; for its tests: sudo apt-get install $(QGIS_PACKAGES)"; \
	else \
	  echo "QGIS: installing it by apt, a minute or two"; \
	  as_root=$$([ "$$(id -u)" -eq 0 ] || echo sudo); \
	  $$as_root apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq --no-install-recommends \
	    $(QGIS_PACKAGES) >/dev/null || \
	  echo "QGIS: could not be installed; its tests will be skipped"; \
	fi

# The tests of a team's label store start a server of their own; nothing of the system's is used.
POSTGIS_PACKAGES := postgresql postgresql-postgis

postgis:
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && \
	    ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1; then \
	  echo "PostGIS: found"; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "PostGIS: missing, and no apt-get to install it; its tests will be skipped"; \
	elif [ "$$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then \
	  echo "PostGIS: missing; for its tests: sudo apt-get install $(POSTGIS_PACKAGES)"; \
	else \
	  echo "PostGIS: installing it by apt, a minute"; \
	  as_root=$$([ "$$(id -u)" -eq 0 ] || echo sudo); \
	  $$as_root apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq --no-install-recommends \
	    $(POSTGIS_PACKAGES) >/dev/null || \
	  echo "PostGIS: could not be installed; its tests will be skipped"; \
	fi

# The report is looked at in a real browser.
chromium:
	@if command -v "$${OWL_BROWSER:-chromium}" >/dev/null; then \
	  echo "Chromium: found"; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "Chromium: missing, and no apt-get to install it; its tests will be skipped"; \
	elif [ "$$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then \
	  echo "Chromium: missing; for its tests: sudo apt-get install chromium"; \
	else \
	  echo "Chromium: installing it by apt, a minute"; \
	  as_root=$$([ "$$(id -u)" -eq 0 ] || echo sudo); \
	  $$as_root apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq --no-install-recommends \
	    chromium >/dev/null || \
	  echo "Chromium: could not be installed; its tests will be skipped"; \
	fi

clean:
	rm -rf $(VENV) demo build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .fuzz .fuzz.log
