# What can be done here; `make` alone lists it.
.DEFAULT_GOAL := help
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: test
test: ## run every test, with a PostgreSQL, a RabbitMQ and a Redis that are started for them
	cargo test --locked --no-run --all-features
ifdef NEXTEST
	scripts/with-stack -- cargo nextest run --locked --all-features
else
	scripts/with-stack -- cargo test --locked --all-features
endif

MINUTES ?= 5
TIMES ?= 200

.PHONY: chaos
chaos: ## kill and cut off real processes and services for MINUTES=5, and check that nothing is lost; SEED= repeats an order
	SKALD_CHAOS_MINUTES=$(MINUTES) SKALD_CHAOS_SEED=$(SEED) cargo test --locked --all-features --test system -- \
	  --exact chaos::nothing_is_lost_or_doubled_however_long_everything_fails --ignored --nocapture

.PHONY: drain
drain: ## end processes under load in good order, TIMES=200, and check that nothing is lost or done twice
	cargo test --locked --all-features --test system --no-run
	SKALD_DRAIN_TIMES=$(TIMES) scripts/with-stack postgres rabbitmq -- cargo test --locked --all-features --test system -- \
	  --exact drain::processes_that_are_told_to_stop_again_and_again_lose_and_double_nothing --ignored --nocapture

.PHONY: cluster
cluster: ## kill and suspend the nodes of a cluster of three brokers under load
	cargo test --locked --all-features --test system --no-run
	scripts/with-stack postgres -- cargo test --locked --all-features --test system -- cluster:: --ignored --nocapture \
	  --test-threads 1

# Which target `make fuzz` runs, all in turn if none is named, and for how long each.
TARGET ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
SECONDS ?= 120
# What it needs of the compiler is there on stable, too. No sanitizer: there is no unsafe code to be watched.
CARGO_FUZZ = RUSTC_BOOTSTRAP=1 cargo fuzz
FUZZ_BUILD = --sanitizer none --codegen-units 16

.PHONY: fuzz
fuzz: ## feed what reads messages, requests and settings with anything for SECONDS=120 each; TARGET=one
	@command -v cargo-fuzz >/dev/null || { echo 'first: cargo install cargo-fuzz --locked'; exit 1; }
	$(CARGO_FUZZ) build $(FUZZ_BUILD)
	@for target in $(TARGET); do mkdir -p fuzz/target/found/$$target && \
	  $(CARGO_FUZZ) run $(FUZZ_BUILD) $$target fuzz/target/found/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(SECONDS) -timeout=5 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 || exit 1; done

.PHONY: interop
interop: ## have stock clients of NestJS, golevelup, FastStream and CloudEvents talk to Skald, and run the dashboard's script
	cargo build --locked
	tests/interop/run

.PHONY: docker-check
docker-check: ## have promtool, haproxy, hadolint and others read the files of docker/
	docker/check

.PHONY: stack-up
stack-up: ## start these services to work with, and print where they are
	scripts/stack up

.PHONY: stack-down
stack-down: ## end them and delete their data
	scripts/stack down

.PHONY: lint
lint: ## formatting, clippy and documentation, warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: bench
bench: ## measure this machine: sagas/s embedded and on PostgreSQL and RabbitMQ, latency, memory, limits, Redis
	cargo bench --locked --bench end_to_end --no-run
	scripts/with-stack -- cargo bench --locked --bench end_to_end

.PHONY: demo
demo: ## a thousand orders through the embedded Skald
	cargo run --release --locked -- demo --orders 1000

PART ?= core

.PHONY: mutants
mutants: ## change PART=core, machines, wire, bus, settings or api in small ways, and tell what its tests don't notice (cargo install cargo-mutants)
	scripts/mutants $(PART)

# How many seeds `make sim` runs, from which on, and on how many cores.
SEEDS ?= 1000000
FROM ?= 0
SIM_THREADS ?= 1
SIMULATION = cargo run --release --locked --quiet --features seeded-bugs --example simulation --

.PHONY: sim
sim: ## run SEEDS=… worlds full of faults through the production code; then find each known mistake
	$(SIMULATION) bugs 10000
	SIM_THREADS=$(SIM_THREADS) $(SIMULATION) seeds $(FROM) $(SEEDS)

.PHONY: sim-seed
sim-seed: ## run one SEED=… twice, and print the shortest story of what it breaks
	$(SIMULATION) seed $(SEED)

.PHONY: model
model: ## go through every world of a few small settings, with and without known mistakes
	$(SIMULATION) model 10000000

.PHONY: model-everything
model-everything: ## go through every world of one order with every trouble at once: 27 million, some twenty minutes
	$(SIMULATION) everything 100000000
