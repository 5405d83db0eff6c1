# Two commands do everything, set-up included, and a third one measures:
#
#   make run PHOTOS=<folder>    label the folder, print the report
#   make test                   run all tests
#   make bench                  measure what docs/performance.md shows, and write it there (an hour; alone, please);
#                               ARGS='soak requests' measures the two soaks, an hour each
#
# A second call sees from the stamps below that nothing is to be installed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PEERS := .venv-peers
INSTALLED_PEERS := $(PEERS)/.installed

# Weights beside the project serve where no others are named.
ifneq ($(wildcard ../shared/weights),)
export NIGHTLABEL_WEIGHTS_DIR ?= $(abspath ../shared/weights)
endif

.PHONY: run test bench lint format clean help browser pgbouncer

help:
	@sed -n '1,/^$$/p' Makefile | sed 's/^# \{0,1\}//'

run: $(INSTALLED)
ifndef PHOTOS
	$(error Name a folder: make run PHOTOS=~/Pictures)
endif
	$(BIN)/nightlabel run "$(PHOTOS)"

test: $(INSTALLED_DEV) browser pgbouncer
	$(BIN)/pytest $(ARGS)

bench: $(INSTALLED_DEV) $(INSTALLED_PEERS)
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): pyproject.toml | $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The HTML report is looked at in a real browser, which only root can install; without one its tests are skipped, or fail
# in CI. dpkg wants the sbin folders.
browser:
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null \
		|| { [ "$$(id -u)" = 0 ] && export PATH="$$PATH:/usr/sbin:/sbin" && apt-get update -qq \
			&& apt-get install -qq -y --no-install-recommends chromium chromium-driver > /dev/null; } \
		|| echo "No Chromium here, and none can be installed: apt-get install chromium chromium-driver"

# What many put before Postgres; its tests are skipped without it, or fail in CI.
pgbouncer:
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer > /dev/null \
		|| { [ "$$(id -u)" = 0 ] && export PATH="$$PATH:/usr/sbin:/sbin" && apt-get update -qq \
			&& apt-get install -qq -y --no-install-recommends pgbouncer > /dev/null; } \
		|| echo "No pgbouncer here, and none can be installed: apt-get install pgbouncer"

# The peers' own packages, beside the project's torch.
$(INSTALLED_PEERS): benchmarks/peers/requirements.txt $(INSTALLED)
	$(PYTHON) -m venv $(PEERS)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(PEERS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf $(PEERS) $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
