# Daybook: `make help` says what there is.
#
# One profile (dev, with optimised dependencies) and one target folder for running and testing, so
# that nothing is compiled twice; benches and soaks are compiled with --release.

SHELL := /bin/sh
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BIN := $(TARGET)/debug
# The real microloans, where they are at hand; tests make up a folder of the same shape elsewhere.
DATA ?= ../shared/data/kiva
SEEDS ?= 20
FIRST ?= 1
PHONES ?= 10
FUZZ_SECONDS ?= 60
DEMO_ARGS ?=

# With nextest where it is installed: it runs the tests of all crates at once.
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help run test build lint doc unit python contract bindings replay bench soak fuzz clean

help: ## what there is
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10
	@echo
	@echo 'make soak SEEDS=$(SEEDS) FIRST=$(FIRST)     make bench     make replay PHONES=$(PHONES) DATA=$(DATA)'

run: ## build, make a demo lender in .daybook/demo.db, serve it on 127.0.0.1:8080
	@scripts/need rust compiler
	cargo build -p daybook-server -p daybook-mobile-sync -p daybook-tests --bin daybook --bin daybook-phone --bin with-gateway
	@mkdir -p .daybook
	$(BIN)/with-gateway $(BIN)/daybook --db sqlite:.daybook/demo.db demo $(DEMO_ARGS)

test: ## all that CI runs: format, lints, docs, tests on SQLite and on a private PostgreSQL
	@scripts/need rust compiler postgres python node
	cargo fmt --all --check
	$(MAKE) --no-print-directory lint doc build contract python unit

lint:
	cargo clippy --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

# Everything the tests run, before the first of them: the server's program and the other Automerge too.
build:
	cargo build --workspace --all-targets
	scripts/javascript >/dev/null

unit: export DAYBOOK_BIN := $(BIN)/daybook
unit: export RUST_BACKTRACE := 1
# A green build stays green: properties draw new cases only in a soak.
unit: export PROPTEST_RNG_SEED := 1
ifeq ($(NEXTEST),yes)
unit:
	$(BIN)/with-postgres sh -c 'cargo test --workspace --doc && cargo nextest run --workspace --no-fail-fast'
else
unit:
	$(BIN)/with-postgres cargo test --workspace --no-fail-fast
endif

python: build # the phone's library from Python, against the server's program
	scripts/bindings dev $(TARGET)/bindings-dev
	DAYBOOK_BIN=$(BIN)/daybook PYTHONPATH=$(TARGET)/bindings-dev/python python3 tests/python/phone_test.py

bindings: ## the phone's library with sources for Kotlin, Swift and Python, in target/bindings
	@scripts/need rust compiler
	scripts/bindings release $(TARGET)/bindings

contract: # a server on demo data keeps to what its OpenAPI document says
	scripts/schemathesis $(BIN)/daybook

replay: ## replay the real payments of DATA on PHONES phones
	@scripts/need rust compiler
	cargo run --release -p daybook-tests --bin replay -- --data $(DATA) --phones $(PHONES)

bench: ## every bench, as a table, each figure with its floor and its aim
	@scripts/need rust compiler postgres
	cargo run --release -p daybook-tests --bin bench -- all

soak: ## SEEDS seeds, from FIRST on: properties, the simulation, then the replay with faults on both engines
	@scripts/need rust compiler postgres
	scripts/soak $(FIRST) $(SEEDS) $(DATA) $(PHONES)

fuzz: ## each fuzz target for FUZZ_SECONDS (needs a nightly Rust and cargo-fuzz)
	@scripts/need rust compiler fuzz
	@for target in $$(cargo +nightly fuzz list); do \
	  mkdir -p fuzz/findings/$$target; \
	  cargo +nightly fuzz run $$target fuzz/findings/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) || exit 1; done

clean: ## remove what was built, and the demo
	cargo clean
	rm -rf .daybook
