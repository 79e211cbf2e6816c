# Ciphertrunk. `make demo` and `make test` do everything they need themselves.

CARGO ?= cargo
# A built Asterisk source tree to take the headers from, instead of Debian's packages.
ASTERISK_SRC ?=
# no: the SRTP half alone, for an Asterisk without PJSIP, or where pjproject's headers cannot be had.
PJSIP ?= yes
export PJSIP
FEATURES := $(if $(filter no,$(PJSIP)),--no-default-features)

ROOT := build/root
MODULE := build/res_ciphertrunk.so
TEST_MODULE := build/test/res_ciphertrunk.so

# What this machine has to have beside a Rust toolchain and a C compiler: for the roots, for the headers, for the tests.
PREREQS := mmdebstrap debian-archive-keyring util-linux \
	dpkg-dev xz-utils patch libsrtp2-dev

.PHONY: all prereqs root headers module matrix test-module install demo test test-host bench bench-calls fuzz miri check clean

all: module

# Installs what is missing, and says nothing when nothing is. A build for an Asterisk of this machine's needs no Debian.
prereqs:
ifeq ($(ASTERISK_SRC),)
	@asterisk-headers/prereqs.sh packages $(PREREQS)
else
	@asterisk-headers/prereqs.sh build
endif

# A throw-away Debian with Asterisk 22 and the peers of the tests; with ASTERISK=16 bullseye's Asterisk 16 beside it.
ASTERISK ?= 22

root: prereqs
ifeq ($(filter-out 22,$(ASTERISK)),)
	@tests/root.sh $(ROOT)
else
	@tests/root.sh $(ROOT)-$(ASTERISK) $(ASTERISK)
endif

# The headers of exactly the Asterisk in the root, or of the one built in ASTERISK_SRC.
ifeq ($(ASTERISK_SRC),)
headers: root
	@asterisk-headers/fetch.sh --root $(ROOT)
else
headers: prereqs
	@asterisk-headers/fetch.sh --tree $(ASTERISK_SRC)
endif

module: headers
	@$(CARGO) build --release -p res_ciphertrunk $(FEATURES)
	@install -D -m 0644 $(or $(CARGO_TARGET_DIR),target)/release/libres_ciphertrunk.so $(MODULE)
	@echo $(MODULE)

# With the deliberate faults that some host tests arm.
test-module: headers
	@$(CARGO) build --release -p res_ciphertrunk --features test-hooks
	@install -D -m 0644 $(or $(CARGO_TARGET_DIR),target)/release/libres_ciphertrunk.so $(TEST_MODULE)

# Compiles the module against every header set there is: those of the throw-away roots, and yours
# (HEADER_SETS="DIR...", each made by `asterisk-headers/fetch.sh --tree /usr/src/asterisk-... DIR`). All are tried; any failure fails.
HEADER_SETS ?=

matrix: headers
	@failed=; for set in asterisk-headers/fetched $(HEADER_SETS); do \
		echo "$$set: $$(sed -n 's/^version //p' $$set/MANIFEST)"; \
		CIPHERTRUNK_HEADERS=$$(cd $$set && pwd) $(CARGO) check --quiet -p res_ciphertrunk || failed="$$failed $$set"; \
	done; \
	[ -z "$$failed" ] || { echo "matrix: does not compile against$$failed" >&2; exit 1; }

# Where this machine's Asterisk looks: asterisk.conf says it, else where distributions put it. A package is built where
# no Asterisk is: there it is Debian's place.
MODDIR ?= $(shell sed -n 's/^astmoddir *=>* *//p' /etc/asterisk/asterisk.conf 2>/dev/null | grep . || \
	ls -d /usr/lib/*/asterisk/modules /usr/lib64/asterisk/modules /usr/lib/asterisk/modules 2>/dev/null | grep . || \
	echo $(if $(DESTDIR),/usr/lib/$$(gcc -print-multiarch)/asterisk/modules))

install:
	@[ -f $(MODULE) ] || { echo "Run make module first." >&2; exit 1; }
	@[ -n "$(MODDIR)" ] || { echo "No Asterisk was found. Name its folder of modules: make install MODDIR=..." >&2; exit 1; }
	install -D -m 0644 $(MODULE) $(DESTDIR)$(MODDIR)/res_ciphertrunk.so

# A call from a phone through Ciphertrunk to a carrier, with a report. Capture and recordings stay in build/demo.
demo: module
	@$(CARGO) test --quiet --test demo

# Everything: unit tests, vectors, agreement with libsrtp, and the module in a real Asterisk. The host tests need root.
# The test build of the module is made first: cargo leaves the last one in target/release.
test: test-module module
	@RUST_TEST_THREADS=2 $(CARGO) test --workspace --no-fail-fast

# The host tests in an Asterisk that you built in ASTERISK_SRC and installed in ASTERISK_PREFIX; all, or those named in TESTS.
# What it cannot have is named at the end: skipped is not passed.
ASTERISK_PREFIX ?=
TESTS ?=

# ASTERISK=16: in bullseye's, whose module has no PJSIP half, because the archive no longer has pjproject's source for it.
test-host:
	@$(MAKE) --no-print-directory ASTERISK= ASTERISK_SRC= root
ifeq ($(ASTERISK),16)
	@$(MAKE) --no-print-directory ASTERISK_SRC= root
	@PJSIP=no tests/on-host.sh --root $(ROOT)-16 $(TESTS)
else
	@tests/on-host.sh "$(ASTERISK_SRC)" "$(ASTERISK_PREFIX)" $(TESTS)
endif

# SRTP of this project beside others, on one core; build/bench/srtp.json. Fails when the kernel is not the CPU's best.
BENCH_CPU ?= $(shell expr $$(nproc) - 1)

bench: PREREQS += libipsec-mb-dev
bench: prereqs
	@$(CARGO) build --quiet --release --manifest-path benches/Cargo.toml
	@taskset -c $(BENCH_CPU) $(or $(CARGO_TARGET_DIR),benches/target)/release/media-bench build/bench/srtp.json

# Every fuzz target for so many seconds, from the seeds in fuzz/corpus.
# RUSTC_BOOTSTRAP: its sanitizer is an unstable option of the compiler.
FUZZ_SECONDS ?= 60
CARGO_FUZZ := build/tools/bin/cargo-fuzz

$(CARGO_FUZZ):
	@$(CARGO) install --quiet --locked --root build/tools cargo-fuzz

fuzz: prereqs $(CARGO_FUZZ)
	@for target in $$($(CARGO_FUZZ) list); do \
		echo "$$target"; \
		RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run $$target -- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=0 || exit 1; \
	done

# Undefined behaviour in crates/srtp and in the portable kernels: takes an hour. Needs a nightly toolchain with Miri
# (rustup toolchain install nightly -c miri,rust-src).
miri: export MIRIFLAGS = -Zmiri-disable-isolation
miri:
	@$(CARGO) +nightly miri test -p srtp --lib
	@$(CARGO) +nightly miri test -p packet-crypto --test rustcrypto --test batch

# CPU per call of the same Asterisk with plain RTP, stock's SRTP and ours.
bench-calls: module
	@$(CARGO) bench --quiet --bench calls

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy -p res_ciphertrunk --features test-hooks -- -D warnings
	$(CARGO) deny check bans licenses sources

clean:
	$(CARGO) clean
	rm -rf build asterisk-headers/fetched
