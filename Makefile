# What can be done here; `make` alone lists it.
.DEFAULT_GOAL := help
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: test
test: ## run every test (nothing needs to be installed but Rust and a C compiler)
ifdef NEXTEST
	cargo nextest run --locked
else
	cargo test --locked
endif

.PHONY: lint
lint: ## formatting, clippy and documentation, warnings are errors
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: bench
bench: ## measure this machine: sagas/s, transitions per commit, latency of one order at a time
	cargo build --release --locked
	cargo bench --locked --bench end_to_end

.PHONY: demo
demo: ## a thousand orders through the embedded Skald
	cargo run --release --locked -- demo --orders 1000
