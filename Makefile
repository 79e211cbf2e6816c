# Ciphertrunk. `make demo` and `make test` do everything they need themselves.

CARGO ?= cargo
# A built Asterisk source tree to take the headers from, instead of Debian's packages.
ASTERISK_SRC ?=

ROOT := build/root
MODULE := build/res_ciphertrunk.so
TEST_MODULE := build/test/res_ciphertrunk.so

# What this machine has to have beside a Rust toolchain: for the root, for the headers, for the module and its tests.
PREREQS := mmdebstrap debian-archive-keyring util-linux \
	dpkg-dev xz-utils patch make gcc libc6-dev pkg-config \
	clang libclang-dev libssl-dev libsrtp2-dev

.PHONY: all prereqs root headers module test-module demo test bench bench-calls fuzz miri check clean

all: module

# Installs what is missing, and says nothing when nothing is.
prereqs:
	@missing=; for package in $(PREREQS); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q '^install ok installed' || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" -ne 0 ]; then echo "Run once: sudo apt-get install$$missing" >&2; exit 1; fi; \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $$missing

# A throw-away Debian with Asterisk 22 and the peers of the tests.
root: prereqs
	@tests/root.sh $(ROOT)

# The headers of exactly the Asterisk in the root, or of ASTERISK_SRC.
ifeq ($(ASTERISK_SRC),)
headers: root
	@asterisk-headers/fetch.sh $(ROOT)
else
headers: prereqs
	@asterisk-headers/fetch.sh $(ROOT) $(ASTERISK_SRC)
endif

module: headers
	@$(CARGO) build --release -p res_ciphertrunk
	@install -D -m 0644 $(or $(CARGO_TARGET_DIR),target)/release/libres_ciphertrunk.so $(MODULE)
	@echo $(MODULE)

# With the deliberate faults that some host tests arm.
test-module: headers
	@$(CARGO) build --release -p res_ciphertrunk --features test-hooks
	@install -D -m 0644 $(or $(CARGO_TARGET_DIR),target)/release/libres_ciphertrunk.so $(TEST_MODULE)

# --- Packages and installing: packaging/, debian/, docs/packaging.md ---------------------------------------------------

.PHONY: install uninstall test-packaging reproducible sbom tarball deb test-deb rpm

# No folder of this machine and no user's name gets into the module: packaging/cargo.sh.
module test-module: override CARGO := REAL_CARGO="$(CARGO)" packaging/cargo.sh

# Beside the Asterisk that is on this machine: where its asterisk.conf says, or MODDIR=, CONFDIR=, DOCDIR= say. Below DESTDIR=
# no Asterisk is looked for, and the folder of modules is Debian's if MODDIR= names no other.
INSTALL := MODULE=$(MODULE) SAMPLE=conf/ciphertrunk.conf.sample BUILT=build/BUILT \
	DOCS="README.md CHANGELOG.md LICENSE docs conf/modules.conf.sample conf/asterisk.service.d" packaging/install.sh
INSTALL_OPTIONS = $(if $(DESTDIR),--destdir "$(DESTDIR)" --moddir "$(or $(MODDIR),/usr/lib/$(shell gcc -print-multiarch)/asterisk/modules)", \
	$(if $(MODDIR),--moddir "$(MODDIR)")) $(if $(CONFDIR),--confdir "$(CONFDIR)") $(if $(DOCDIR),--docdir "$(DOCDIR)") \
	$(if $(PREFIX),--prefix "$(PREFIX)")

# What build/res_ciphertrunk.so was made for; the script that installs compares it with the Asterisk it finds.
BUILT := packaging/built.sh asterisk-headers/fetched

install:
	@[ -f $(MODULE) ] || { echo "Run make module first." >&2; exit 1; }
	@$(BUILT) >build/BUILT
	@$(INSTALL) $(INSTALL_OPTIONS)

uninstall:
	@$(INSTALL) --uninstall $(INSTALL_OPTIONS)

# The script that installs, in made-up trees: seconds, and needs nothing; and the scripts of packages by shellcheck.
test-packaging:
	@packaging/test-install.sh
	@command -v shellcheck >/dev/null || { echo "shellcheck is not there: apt-get install shellcheck" >&2; exit 1; }
	@shellcheck packaging/*.sh debian/*.postinst debian/*.postrm && echo "shellcheck: no remark"

# Two builds in two folders: the same bytes, or it fails.
reproducible: headers
	@packaging/reproducible.sh asterisk-headers/fetched

CARGO_SBOM := build/tools/bin/cargo-sbom

$(CARGO_SBOM):
	@$(CARGO) install --quiet --locked --root build/tools cargo-sbom

# What the module is made from, as SPDX 2.3.
sbom: $(CARGO_SBOM)
	@packaging/sbom.sh . >build/ciphertrunk.spdx.json
	@echo build/ciphertrunk.spdx.json

# For an Asterisk that was built from source: ASTERISK_SRC= is its tree.
tarball: module $(CARGO_SBOM)
	@packaging/tarball.sh $(MODULE) asterisk-headers/fetched

# Source package and packages for Debian's Asterisk, built and checked in a clean root without a network; and what
# installing, upgrading and removing them does in a root with Debian's Asterisk.
deb: headers $(CARGO_SBOM)
	@packaging/deb.sh asterisk-headers/fetched

test-deb:
	@packaging/test-deb.sh $(ROOT)

# For a host with rpm and an Asterisk from source: ASTERISK_SRC= is its tree, PREFIX= and MODDIR= where it was installed.
rpm: headers $(CARGO_SBOM)
	@PREFIX="$(PREFIX)" MODDIR="$(MODDIR)" packaging/rpm.sh asterisk-headers/fetched

# ----------------------------------------------------------------------------------------------------------------------

# A call from a phone through Ciphertrunk to a carrier, with a report. Capture and recordings stay in build/demo.
demo: module
	@$(CARGO) test --quiet --test demo

# Everything: unit tests, vectors, agreement with libsrtp, and the module in a real Asterisk. The host tests need root.
# The test build of the module is made first: cargo leaves the last one in target/release.
test: test-module module
	@RUST_TEST_THREADS=2 $(CARGO) test --workspace --no-fail-fast

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
