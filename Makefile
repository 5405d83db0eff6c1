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
# Finds what a page keeps from people who see, hear or move otherwise.
AXE_VERSION := 4.14.1
AXE := $(VENV)/axe/$(AXE_VERSION)

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

test: $(INSTALLED_DEV) programs $(AXE)
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

# What tests use and pip does not have: the HTML report is looked at in a real browser, pgbouncer stands before Postgres,
# openssl makes certificates, exiftool and exiv2 read sidecars back, kinds are derived from WordNet, systemd verifies its
# units, iproute2 makes networks. Only root can install them; without one its tests are skipped, or fail in CI. dpkg wants
# the sbin folders.
programs:
	$(call need,chromium chromedriver,chromium chromium-driver)
	$(call need,pgbouncer,pgbouncer)
	$(call need,openssl,openssl)
	$(call need,exiftool exiv2,libimage-exiftool-perl exiv2)
	$(call need,/usr/share/wordnet/data.noun,wordnet-base)
	$(call need,systemd-analyze,systemd)
	$(call need,ip tc,iproute2)

need = @export PATH="$$PATH:/usr/sbin:/sbin"; for program in $(1); do \
		test -e $$program || command -v $$program > /dev/null || missing=yes; done; \
	test -z "$$missing" \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends $(2) > /dev/null; } \
		|| echo "Missing here, and not to be installed: apt-get install $(2)"

# From npm, which has no part in the project but this.
$(AXE): | $(BIN)/python
	$(call need,npm,npm)
	@if command -v npm > /dev/null; then \
		npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@$(AXE_VERSION) && touch $@; \
	else echo "Missing here: npm, with which axe-core is installed"; fi

# The peers' own packages, beside the project's torch.
$(INSTALLED_PEERS): benchmarks/peers/requirements.txt $(INSTALLED)
	$(PYTHON) -m venv $(PEERS)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(PEERS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/project.pth
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf $(PEERS) $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
