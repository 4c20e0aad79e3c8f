# Cellkeeper. `make` lists what there is to do. Every target sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test coverage hil hil-full firmware flash bench cells lint docs lock clean FORCE

PYTHON ?= python3
BOARD ?= mps2_an500
TARGET ?= mps2_an500
EMULATOR ?= qemu
PIP := .venv/bin/python -m pip install -q --disable-pip-version-check -c requirements.lock
RUN := .venv/bin/cellkeeper
PYTEST := .venv/bin/python -m pytest

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "missing: Python 3.11 or newer ($(PYTHON) is $$($(PYTHON) -V 2>&1)); name one with PYTHON=..."; exit 3; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || make/need python3-venv-is-missing:python3-venv
	@echo "setting up .venv (about a minute the first time)"
	@$(PYTHON) -m venv .venv
	@$(PIP) -e '.[dev,boards]'
	@touch $@

# PyBaMM makes the log that drives the pack where there is no measured one.
.venv/twin: .venv/ready
	@echo "setting up PyBaMM (only once)"
	@$(PIP) -e '.[dev,boards,twin]' && touch $@

DASHBOARD := $(shell find cloud/dashboard/src -type f 2>/dev/null) $(wildcard cloud/dashboard/public/*) $(wildcard cloud/dashboard/*.json cloud/dashboard/*.ts cloud/dashboard/index.html)
cloud/dashboard/node_modules/ready: cloud/dashboard/package-lock.json | .venv/ready
	@echo "fetching the dashboard's packages"
	@make/node npm ci --no-audit --no-fund --loglevel=error && touch $@
cloud/dashboard/dist/index.html: $(DASHBOARD) cloud/dashboard/node_modules/ready
	@echo "building the dashboard"
	@make/node npm run --silent build >/dev/null
	@touch $@

ARM_TOOLS := arm-none-eabi-gcc:gcc-arm-none-eabi /usr/lib/arm-none-eabi/newlib:libnewlib-arm-none-eabi \
    dpkg-source:dpkg-dev gcc:gcc
# The builder knows by itself what is out of date.
build/mps2_an500/firmware.elf: .venv/ready FORCE
	@make/need $(ARM_TOOLS)
	@.venv/bin/python -m boards.tools.build mps2_an500
build/mps2_an500-scheduled/firmware.elf: build/mps2_an500/firmware.elf
	@.venv/bin/python -m boards.tools.build mps2_an500 --safety-timer scheduled

demo: .venv/ready cloud/dashboard/dist/index.html $(if $(CELLKEEPER_DATA),,.venv/twin) ## a pack, an emulated controller, a broker, a cloud and a live page on this machine
	@make/need qemu-system-arm:qemu-system-arm && $(MAKE) --no-print-directory build/mps2_an500/firmware.elf || \
	    echo "no emulated Cortex-M7 here: the demo runs on MicroPython's unix port alone"
	@$(RUN) demo $(ARGS)

test: .venv/ready .venv/twin cloud/dashboard/dist/index.html build/mps2_an500-scheduled/firmware.elf ## every test
	@make/need qemu-system-arm:qemu-system-arm mosquitto:mosquitto chromium:chromium
	@$(MAKE) --no-print-directory lint coverage
	@$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

# Only tests that always do the same: what random walks reach would be covered by chance.
COVERS := $(patsubst %,tests/firmware/test_%.py,contactor frame guard kernel limiters measure monitor ocv params \
    safety_properties signals)
coverage: .venv/ready ## branch coverage of safety/, tables/ and link/frame by the firmware's tests: 100 %, or it fails
	@.venv/bin/python -m coverage run -m pytest -q -n 0 -k "not TestPack and not noise" $(COVERS)
	@.venv/bin/python -m coverage report

hil: .venv/ready $(if $(CELLKEEPER_DATA),,.venv/twin) ## the rig's scenarios (ARGS=--matrix: all that are generated; TARGET=cpython|unix|mps2_an500|serial EMULATOR=qemu|renode SCENARIO=...)
ifeq ($(TARGET),mps2_an500)
	@if [ $(EMULATOR) = qemu ]; then make/need qemu-system-arm:qemu-system-arm; fi
	@if [ $(EMULATOR) = renode ] && ! command -v renode >/dev/null; then $(RUN) hil run --target $(TARGET) --emulator renode; fi
	@$(MAKE) --no-print-directory build/mps2_an500/firmware.elf
endif
	@$(RUN) hil run $(SCENARIO) --target $(TARGET) --emulator $(EMULATOR) $(ARGS)

hil-full: .venv/ready $(if $(CELLKEEPER_DATA),,.venv/twin) build/mps2_an500-scheduled/firmware.elf ## every scenario and campaign on every target; goes on where it was (ARGS="--seed N --count N")
	@make/need qemu-system-arm:qemu-system-arm
	@$(RUN) hil full $(ARGS)

CELLS ?= $(basename $(notdir $(wildcard cloud/twin/cells/*.args)))
cells: .venv/ready ## fit the shipped cell files again from CELLKEEPER_DATA (CELLS="lg_hg2 ..."), a minute or two each
	@test -d "$(CELLKEEPER_DATA)" || { echo "CELLKEEPER_DATA must name the folder of the data sets"; exit 3; }
	@for cell in $(CELLS); do (cd "$(CELLKEEPER_DATA)" && OMP_NUM_THREADS=1 xargs -a $(CURDIR)/cloud/twin/cells/$$cell.args \
	    $(CURDIR)/$(RUN) identify --out $(CURDIR)/cloud/twin/cells/$$cell.json) || exit 1; done

firmware: .venv/ready ## build and size the firmware of BOARD (mps2_an500, esp32, esp32s3, mimxrt1060_evk)
	@if [ $(BOARD) = mps2_an500 ] || [ $(BOARD) = esp32 ]; then $(MAKE) --no-print-directory build/mps2_an500/firmware.elf; fi
	@if [ $(BOARD) = esp32 ]; then make/need qemu-system-arm:qemu-system-arm; fi
	@if [ $(BOARD) != mps2_an500 ]; then .venv/bin/python -m boards.tools.build $(BOARD) $(ARGS); fi

flash: .venv/ready ## put MicroPython (FIRMWARE=file) and the application on BOARD at PORT
	@.venv/bin/python -m boards.tools.flash $(BOARD) $(if $(PORT),--port $(PORT)) $(if $(FIRMWARE),--firmware $(FIRMWARE)) $(ARGS)

bench: .venv/ready build/mps2_an500/firmware.elf ## measure; writes build/bench.json and prints a table
	@make/need qemu-system-arm:qemu-system-arm mosquitto:mosquitto
	@$(RUN) bench $(ARGS)

build/stubs/ready: boards/tools/stubs.py $(wildcard boards/typings/*.pyi) .venv/ready
	@echo "fetching MicroPython's type stubs"
	@.venv/bin/python -m boards.tools.stubs && touch $@

lint: .venv/ready build/stubs/ready cloud/dashboard/node_modules/ready ## ruff, pyright (strict, firmware included), tsc
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/pyright --warnings && .venv/bin/pyright --warnings -p tests/firmware && \
	    .venv/bin/pyright --warnings -p pyrightconfig.firmware.json
	@make/node npm run --silent check

docs: .venv/ready ## generate docs/ from the tables
	@.venv/bin/python -m docs.generate

lock: .venv/ready ## renew requirements.lock
	@.venv/bin/python -m pip install -q uv
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --extra dev --extra twin --extra boards --extra postgres \
	    --no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade pyproject.toml -o requirements.lock

clean: ## remove what was built
	rm -rf build .venv cloud/dashboard/dist cloud/dashboard/node_modules
