# Two commands are all most people need: `make run` and `make test`.  Each sets up what is missing first.

PYTHON ?= python3
# What `make run` connects to: a postgresql:// URL or a howdah.toml.  Empty: see `howdah run --help`.
TARGET ?=
# Added to the command behind a target: `make test ARGS="-k cancel"`, `make run ARGS="--listen 127.0.0.1:6000"`.
ARGS ?=
# The build that `make test` uses (release, debug) and that `make sanitize` uses (sanitize, thread).
FLAVOUR ?= debug
SANITIZER ?= sanitize
SANITIZED ?= tests/integration tests/faults
# How long `make fuzz` goes on, in seconds, all targets together.
FUZZ_SECONDS ?= 600

PACKAGES := src/howdah tests/probe fuzz/targets
SOURCES := setup.py tools/build.py $(shell find $(PACKAGES) fuzz/claim.h -name '*.pyx' -o -name '*.pxd' -o -name '*.h')
FOLDERS := $(shell find $(PACKAGES) -type d ! -name __pycache__)
READY := .venv/.howdah
UNDER := tools/under
PYTEST := python -m pytest -n auto
SLOW_PYTEST := $(PYTEST) --timeout=600 -o faulthandler_timeout=590

.PHONY: help run demo test clients regress lint bench build debug sanitize fuzz docs clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

run: build ## set everything up and start howdah (TARGET=postgresql://... or howdah.toml)
	@exec $(UNDER) release howdah run $(ARGS) $(TARGET)

demo: build ## 2,000 clients at once, without and with howdah
	@$(UNDER) release python -m bench.demo $(ARGS)

test: build/$(FLAVOUR)/stamp ## all tests (FLAVOUR=release for the optimised build)
	@$(UNDER) $(FLAVOUR) $(PYTEST) $(ARGS)

clients: build/$(FLAVOUR)/stamp ## other people's drivers, in all languages, on howdah and on PostgreSQL (apt and npm bring them)
	@.venv/bin/python -m tools.clients
	@$(UNDER) $(FLAVOUR) $(PYTEST) --all-clients tests/clients $(ARGS)

regress: build ## PostgreSQL's own regression tests, directly and through howdah (apt brings their sources)
	@$(UNDER) release python -m tests.regress $(ARGS)

lint: $(READY) ## format, lint, types, spelling, generated files
	@$(UNDER) release tools/lint

bench: build ## pgbench against PostgreSQL, PgBouncer and howdah in turn
	@$(UNDER) release python -m bench $(ARGS)

build: build/release/stamp ## compile what changed

debug: build/debug/stamp ## like run, with every check and debug logs
	@exec $(UNDER) debug howdah run --log-level debug $(ARGS) $(TARGET)

sanitize: build/$(SANITIZER)/stamp ## the tests of compiled code under ASan and UBSan (SANITIZER=thread: ThreadSanitizer)
	@$(UNDER) $(SANITIZER) $(SLOW_PYTEST) $(ARGS) tests/protocol; first=$$?; \
	$(UNDER) $(SANITIZER) env -u LD_PRELOAD $(SLOW_PYTEST) $(ARGS) $(SANITIZED) && exit $$first

fuzz: build/fuzz/stamp ## coverage-guided fuzzing of the parsers (FUZZ_SECONDS)
	@$(UNDER) fuzz python tools/fuzz.py $(FUZZ_SECONDS) $(ARGS)

docs: build ## write the generated pages again
	@$(UNDER) release python tools/generate_docs.py

clean: ## back to a fresh checkout; data of the embedded PostgreSQL is kept
	rm -rf build .venv tests/clients/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench tools fuzz -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete

$(READY): requirements.lock pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py
	@touch $@

build/release/stamp: $(READY) $(SOURCES)
	@.venv/bin/python tools/build.py release

# The other flavours show Python files through links: a new or removed file changes its folder.
build/fuzz/stamp: export CC := clang
build/fuzz/stamp: $(READY) $(SOURCES) $(FOLDERS)
	@$(PYTHON) tools/bootstrap.py --with clang
	@.venv/bin/python tools/build.py fuzz

build/%/stamp: $(READY) $(SOURCES) $(FOLDERS)
	@.venv/bin/python tools/build.py $*
