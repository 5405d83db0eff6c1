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

.PHONY: run test bench lint format clean help programs

help:
	@sed -n '1,/^$$/p' Makefile | sed 's/^# \{0,1\}//'

run: $(INSTALLED)
ifndef PHOTOS
	$(error Name a folder: make run PHOTOS=~/Pictures)
endif
	$(BIN)/nightlabel run "$(PHOTOS)"

test: $(INSTALLED_DEV) programs
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

# Programs that tests use and pip does not have: the HTML report is looked at in a real browser, pgbouncer stands before
# Postgres, openssl makes certificates. Only root can install them; without one its tests are skipped, or fail in CI.
# dpkg wants the sbin folders.
programs:
	$(call need,chromium chromedriver,chromium chromium-driver)
	$(call need,pgbouncer,pgbouncer)
	$(call need,openssl,openssl)

need = @export PATH="$$PATH:/usr/sbin:/sbin"; for program in $(1); do command -v $$program > /dev/null || missing=yes; done; \
	test -z "$$missing" \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends $(2) > /dev/null; } \
		|| echo "Missing here, and not to be installed: apt-get install $(2)"

# The peers' own packages, beside the project's torch.
$(INSTALLED_PEERS): benchmarks/peers/requirements.txt $(INSTALLED)
	$(PYTHON) -m venv $(PEERS)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(PEERS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf $(PEERS) $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
