# The commands of the README.

CARGO_FLAGS := --locked

.PHONY: demo test bench lint schemathesis needs

# A conversation with the real server: both sides are printed as they speak.
demo: needs
	@test -x target/release/sidetone || echo "Building the engine and whisper.cpp." \
	    "The first time this takes 3 to 7 minutes on two cores, later a few seconds."
	cargo build $(CARGO_FLAGS) --release --bin sidetone
	cargo run $(CARGO_FLAGS) --release --quiet --bin sidetone -- demo

# Every test of every crate.
test: needs
	@test -d target/debug || echo "Building the engine and whisper.cpp for the tests." \
	    "The first time this takes about 5 minutes on two cores."
	@.ci/console
	cargo test $(CARGO_FLAGS) --workspace

# Every stage, a whole call's step, and the budgets beside the figures; then recordings, beside whisper.cpp's own
# program where SIDETONE_WHISPER_CPP names it.
bench: needs
	cargo bench $(CARGO_FLAGS) --package sidetone-bench

# Form, lints, documentation and dependencies.
lint: needs
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(CARGO_FLAGS) --workspace --no-deps
	.ci/deny

# The API against its own OpenAPI document.
schemathesis: needs
	@.ci/schemathesis

needs:
	@.ci/needs
