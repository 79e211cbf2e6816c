# Ciphertrunk. `make demo` and `make test` do everything they need themselves.

CARGO ?= cargo
# A built Asterisk source tree to take the headers from, instead of Debian's packages.
ASTERISK_SRC ?=
# Where that one is installed (configure's --prefix).
ASTERISK_PREFIX ?=
# no: the SRTP half alone, for an Asterisk without PJSIP, or where pjproject's headers cannot be had.
PJSIP ?= yes
export PJSIP
FEATURES := $(if $(filter no,$(PJSIP)),--no-default-features)

ROOT := build/root
MODULE := build/res_ciphertrunk.so
TEST_MODULE := build/test/res_ciphertrunk.so
CHECK := build/ciphertrunk-check

# What this machine has to have beside a Rust toolchain and a C compiler: for the roots, for the headers, for the tests.
PREREQS := mmdebstrap debian-archive-keyring util-linux \
	dpkg-dev xz-utils patch libsrtp2-dev

# GnuTLS and NSS are servers and clients of crates/check/tests.
PREREQS_TEST := gnutls-bin libnss3-tools python3
PREREQS_BENCHES := libipsec-mb-dev
PREREQS_INSTRUCTIONS := valgrind

.PHONY: all prereqs prereqs-all root headers module matrix test-module demo test soak-reload test-host test-16 test-vicidial bench bench-calls fuzz miri check clean

# The module: build/res_ciphertrunk.so.
all: module

# The program that looks at a peer before Asterisk is touched: build/ciphertrunk-check. It needs neither Asterisk nor its headers.
.PHONY: check-tool
check-tool:
	@$(CARGO) build --release -p ciphertrunk-check
	@install -D -s -m 0755 $(or $(CARGO_TARGET_DIR),target)/release/ciphertrunk-check $(CHECK)
	@echo $(CHECK)

# This list.
.PHONY: help
help:
	@awk -f .ci/help.awk $(MAKEFILE_LIST)

# Installs what is missing, and says nothing when nothing is. A build for an Asterisk of this machine's needs no Debian.
prereqs:
ifeq ($(ASTERISK_SRC),)
	@asterisk-headers/prereqs.sh packages $(PREREQS)
else
	@asterisk-headers/prereqs.sh build
endif

# The same for `make test` and all gates at once.
prereqs-all: PREREQS += $(PREREQS_TEST) $(PREREQS_BENCHES) $(PREREQS_INSTRUCTIONS)
prereqs-all: prereqs

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

# Compiles the module against every header set there is: those of Debian's 22 and 16, and yours (HEADER_SETS="DIR...", each made by
# `asterisk-headers/fetch.sh --tree /usr/src/asterisk-... DIR`), each without its half for PJSIP, and with it if the set has pjproject's.
# All are tried; any failure fails.
HEADER_SETS ?=

matrix: headers
	@$(MAKE) --no-print-directory ASTERISK=16 ASTERISK_SRC= root
	@PJSIP=no asterisk-headers/fetch.sh --root $(ROOT)-16 build/headers-16
	@failed=; for set in asterisk-headers/fetched build/headers-16 $(HEADER_SETS); do \
		for half in "--no-default-features" $$([ ! -f $$set/DEFINES ] || echo --features=pjsip); do \
			echo "$$set: $$(sed -n 's/^version //p' $$set/MANIFEST) $$half"; \
			CIPHERTRUNK_HEADERS=$$(cd $$set && pwd) $(CARGO) check --quiet -p res_ciphertrunk $$half || failed="$$failed $$set($$half)"; \
		done; \
	done; \
	[ -z "$$failed" ] || { echo "matrix: does not compile against$$failed" >&2; exit 1; }

# --- Packages and installing: packaging/, debian/, docs/packaging.md ---------------------------------------------------

.PHONY: install uninstall test-packaging reproducible sbom tarball test-tarball deb test-deb rpm test-rpm

# No folder of this machine and no user's name gets into what is installed: packaging/cargo.sh.
module test-module check-tool: override CARGO := REAL_CARGO="$(CARGO)" packaging/cargo.sh

# Beside the Asterisk that is on this machine: where its asterisk.conf says, or MODDIR=, CONFDIR=, DOCDIR=, DATADIR= say. Below DESTDIR=
# no Asterisk is looked for, and the folder of modules is Debian's if MODDIR= names no other.
INSTALL := MODULE=$(MODULE) SAMPLE=conf/ciphertrunk.conf.sample BUILT=build/BUILT XML=docs/xml/res_ciphertrunk-en_US.xml \
	CHECK=$(CHECK) MAN=docs/man/ciphertrunk-check.1 \
	DOCS="README.md CHANGELOG.md LICENSE docs docs/grafana conf/modules.conf.sample conf/asterisk.service.d conf/apparmor.d conf/fail2ban conf/crowdsec" packaging/install.sh
INSTALL_OPTIONS = $(if $(DESTDIR),--destdir "$(DESTDIR)" --moddir "$(or $(MODDIR),/usr/lib/$(shell gcc -print-multiarch)/asterisk/modules)", \
	$(if $(MODDIR),--moddir "$(MODDIR)")) $(if $(CONFDIR),--confdir "$(CONFDIR)") $(if $(DOCDIR),--docdir "$(DOCDIR)") \
	$(if $(DATADIR),--datadir "$(DATADIR)") \
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
	@packaging/test-apparmor.sh
	@command -v shellcheck >/dev/null || { echo "shellcheck is not there: apt-get install shellcheck" >&2; exit 1; }
	@shellcheck packaging/*.sh debian/*.postinst debian/*.postrm && echo "shellcheck: no remark"

# tlsfuzzer, sslyze and floods against crates/sip-tls and `openssl s_server`: what differs, in a table. TLSFUZZER= is a checkout of
# github.com/tlsfuzzer/tlsfuzzer (it is in no registry); what runs it comes from PyPI. SHORT= is how many short connections the last flood has.
TLSFUZZER ?= build/tools-py/tlsfuzzer
SHORT ?= 100000
PYTHON_TLS := build/tools-py/venv/bin/python

$(PYTHON_TLS):
	@python3 -m venv build/tools-py/venv
	@build/tools-py/venv/bin/pip --quiet install tlslite-ng==0.9.0b2 sslyze==6.3.1

.PHONY: test-tls
test-tls: $(PYTHON_TLS)
	@[ -d $(TLSFUZZER)/tlsfuzzer ] || { echo "test-tls: no tlsfuzzer in $(TLSFUZZER): git clone https://github.com/tlsfuzzer/tlsfuzzer $(TLSFUZZER)" >&2; exit 1; }
	@$(CARGO) build --quiet --release -p sip-tls --example answering
	@nice -n 19 $(PYTHON_TLS) tests/tls/compare.py $(or $(CARGO_TARGET_DIR),target)/release/examples/answering $(TLSFUZZER) build/test-tls
	@nice -n 19 $(PYTHON_TLS) tests/tls/floods.py $(or $(CARGO_TARGET_DIR),target)/release/examples/answering \
		build/test-tls/certificate.pem build/test-tls/key.pem $(SHORT)

# Handshakes, tickets and verification of crates/sip-tls with OpenSSL 1.1.1: that of bullseye (build/root-16, which `make root ASTERISK=16`
# makes), with the security level of Debian's openssl.cnf. The other ends are the machine's own.
TESTS_OPENSSL_1 := tickets resumption handshake certificates verification
OPENSSL_1 := $(CURDIR)/build/openssl-1.1.1

.PHONY: test-openssl-1.1.1
test-openssl-1.1.1:
	@mkdir -p $(OPENSSL_1)
	@for library in ssl crypto; do \
		cp -L $(ROOT)-16/usr/lib/$(shell uname -m)-linux-gnu/lib$$library.so.1.1 $(OPENSSL_1)/ && \
		ln -sf lib$$library.so.1.1 $(OPENSSL_1)/lib$$library.so || exit 1; \
	done
	@printf '%s\n' 'openssl_conf = all' '[all]' 'ssl_conf = ssl' '[ssl]' 'system_default = tls' '[tls]' 'CipherString = DEFAULT@SECLEVEL=2' \
		>$(OPENSSL_1)/openssl.cnf
	@OPENSSL_LIB_DIR=$(OPENSSL_1) OPENSSL_INCLUDE_DIR=$(CURDIR)/$(ROOT)-16/usr/include CFLAGS=-I$(CURDIR)/$(ROOT)-16/usr/include/$(shell uname -m)-linux-gnu \
		LD_LIBRARY_PATH=$(OPENSSL_1) OPENSSL_CONF=$(OPENSSL_1)/openssl.cnf CARGO_TARGET_DIR=$(or $(CARGO_TARGET_DIR),target)/openssl-1.1.1 \
		$(CARGO) test --quiet -p sip-tls $(TESTS_OPENSSL_1:%=--test %)

# The alert rules, and whether they fire (Debian: apt-get install prometheus; PROMTOOL= names another).
PROMTOOL ?= promtool
.PHONY: test-alerts
test-alerts:
	@command -v $(PROMTOOL) >/dev/null || { echo "promtool is not there: apt-get install prometheus" >&2; exit 1; }
	@$(PROMTOOL) check rules docs/prometheus-alerts.yml
	@$(PROMTOOL) test rules tests/alerts.yml

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
tarball: module check-tool $(CARGO_SBOM)
	@packaging/tarball.sh $(MODULE) asterisk-headers/fetched

# What that archive does on a host, with a call: in an overlay over ASTERISK_PREFIX=, where that Asterisk is installed. OTHERS= are
# prefixes of Asterisks that it must not go into.
OTHERS ?=

test-tarball: tarball
	@packaging/test-tarball.sh $$(ls -t build/ciphertrunk-*.tar.gz | head -n 1) "$(ASTERISK_PREFIX)" $(OTHERS)

# Source package and packages for Debian's Asterisk, built and checked in a clean root without a network; and what
# installing, upgrading and removing them does in a root with Debian's Asterisk.
deb: headers $(CARGO_SBOM)
	@packaging/deb.sh asterisk-headers/fetched

test-deb:
	@packaging/test-deb.sh $(ROOT)

# For a host with rpm and an Asterisk from source: ASTERISK_SRC= is its tree, PREFIX= and MODDIR= where it was installed.
rpm: headers $(CARGO_SBOM)
	@PREFIX="$(PREFIX)" MODDIR="$(MODDIR)" packaging/rpm.sh asterisk-headers/fetched

# What installing that rpm does, in an overlay over a throw-away root.
test-rpm:
	@$(MAKE) --no-print-directory ASTERISK_SRC= root
	@packaging/test-rpm.sh $(ROOT)

# ----------------------------------------------------------------------------------------------------------------------

# A call from a phone through Ciphertrunk to a carrier, with a report. Capture and recordings stay in build/demo.
demo: module
	@$(CARGO) test --quiet --test demo

# Every test: units, vectors, agreement with libsrtp, and the module in a real Asterisk. The host tests need root.
# The test build of the module is made first: cargo leaves the last one in target/release. The batch path of the crates
# is tested here and is not in the module.
BATCH := --features packet-crypto/batch,srtp/batch
TEST_BUILD := --workspace $(BATCH)

test: PREREQS += $(PREREQS_TEST)
test: test-module module
	@RUST_TEST_THREADS=4 CARGO="$(CARGO)" tests/run.sh $(TEST_BUILD)

# 200 renewals of a certificate under 50 calls and 500 connections: five minutes.
soak-reload: test-module module
	@SOAK_RELOAD=1 $(CARGO) test --test host -- --nocapture tls_swaps

# Ten minutes of Asterisk as VICIdial runs it: a generated configuration, a reload after each edit, phones, long calls, bursts.
VICIDIAL_SECONDS ?= 600

# In yours: ASTERISK_SRC= and ASTERISK_PREFIX=, as for test-host.
test-vicidial: export VICIDIAL_SECONDS := $(VICIDIAL_SECONDS)
ifeq ($(ASTERISK_PREFIX),)
test-vicidial: test-module
	@$(CARGO) test --test host -- --nocapture vicidial
else
test-vicidial:
	@$(MAKE) --no-print-directory test-host TESTS="--nocapture vicidial"
endif

# The host tests in an Asterisk that you built in ASTERISK_SRC and installed in ASTERISK_PREFIX; all, or those named in TESTS.
# What it cannot have is named at the end: skipped is not passed.
TESTS ?=

# ASTERISK=16: in bullseye's, whose module has no PJSIP half, because the archive no longer has pjproject's source for it.
test-host:
ifeq ($(ASTERISK),16)
	@$(MAKE) --no-print-directory ASTERISK= ASTERISK_SRC= headers
	@$(MAKE) --no-print-directory ASTERISK_SRC= root
	@PJSIP=no TEST_BUILD="$(TEST_BUILD)" tests/on-host.sh --root $(ROOT)-16 $(TESTS)
else
	@$(MAKE) --no-print-directory ASTERISK= ASTERISK_SRC= root
	@tests/on-host.sh "$(ASTERISK_SRC)" "$(ASTERISK_PREFIX)" $(TESTS)
endif

# What a host without our PJSIP half has, in Debian bullseye's Asterisk 16: the SRTP engine, with chan_sip.
TESTS_16 := chan_sip load::as_root engine::as_root no_pjsip::the_engine unload::as_root

test-16:
	@$(MAKE) --no-print-directory test-host ASTERISK=16 TESTS="$(TESTS_16)"

# SRTP of this project beside others, on one core; build/bench/srtp.json. Fails when the kernel is not the CPU's best, unless
# LEVEL names the one to be measured (a name that this CPU does not have gives the list).
BENCH_CPU ?= $(shell expr $$(nproc) - 1)

bench: PREREQS += $(PREREQS_BENCHES)
bench: prereqs
	@$(CARGO) build --quiet --release --manifest-path benches/Cargo.toml
	@BENCH_LEVEL="$(LEVEL)" taskset -c $(BENCH_CPU) $(or $(CARGO_TARGET_DIR),benches/target)/release/media-bench build/bench/srtp.json

# Every fuzz target for so many seconds, from the seeds in fuzz/corpus and those that fuzz/seeds.sh makes of tests/peers.
# RUSTC_BOOTSTRAP: its sanitizer is an unstable option of the compiler.
FUZZ_SECONDS ?= 60
CARGO_FUZZ := build/tools/bin/cargo-fuzz

$(CARGO_FUZZ):
	@$(CARGO) install --quiet --locked --root build/tools cargo-fuzz@0.13.2

fuzz: prereqs $(CARGO_FUZZ)
	@fuzz/seeds.sh build/fuzz
	@for target in $$($(CARGO_FUZZ) list); do \
		echo "$$target"; \
		mkdir -p build/fuzz/$$target; \
		RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run $$target fuzz/corpus/$$target build/fuzz/$$target -- -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=0 || exit 1; \
	done

# Model peers over long calls (silence, loss, holds, new keys, replays), so many packets a model: a stream is heard again within
# 2 seconds where that is safe, and no packet twice. `make test` has a few.
PROPERTY_PACKETS ?= 10000000

.PHONY: properties
properties: prereqs
	@PROPERTY_PACKETS=$(PROPERTY_PACKETS) nice -n 19 $(CARGO) test --quiet --release -p srtp --test properties -- --nocapture

# Undefined behaviour in crates/srtp and in the portable kernels: takes an hour. Needs a nightly toolchain with Miri
# (rustup toolchain install nightly -c miri,rust-src).
miri: export MIRIFLAGS = -Zmiri-disable-isolation
miri:
	@$(CARGO) +nightly miri test -p srtp --lib
	@$(CARGO) +nightly miri test -p packet-crypto --test rustcrypto --test batch

# CPU per call of the same Asterisk with plain RTP, stock's SRTP and ours.
bench-calls: module
	@$(CARGO) bench --quiet --bench calls

# Each console command's time, and the audio's lateness meanwhile, with CONNECTIONS=10000 and CALLS=300.
.PHONY: bench-cli
bench-cli: module
	@$(CARGO) bench --quiet --bench cli

# TLS connections and handshakes beside stock Asterisk, openssl s_server, HAProxy and Kamailio (Debian's, in build/bench-tools).
# CONNECTIONS=15000 PHONES=10000 are what is asked of the module; the defaults take a few minutes.
.PHONY: bench-tls
bench-tls: module
	@benches/tls/packages.sh $(ROOT) build/bench-tools kamailio kamailio-tls-modules || echo "bench-tls: goes on without Kamailio" >&2
	@CIPHERTRUNK_TEST_TOOLS=$$([ ! -f build/bench-tools/.made ] || echo build/bench-tools) $(CARGO) bench --quiet --bench tls

# --- Gates ------------------------------------------------------------------------------------------------------------

.PHONY: gates fmt clippy deny check-benches check-fuzz instructions root-aarch64 test-aarch64 test-aarch64-asterisk loom

# What is asked of a change beside its tests, as CI runs it, beside them: each says its name and its seconds. Those that compile where
# `make test` does, one at a time, come behind the others.
GATES := fmt check-benches check-fuzz test-aarch64 instructions clippy matrix test-16 deny

gates:
	@.ci/gates.sh $(GATES)

# The quick gates: fmt, clippy, deny.
check: fmt clippy deny

# Whether every workspace is formatted.
fmt:
	@for manifest in Cargo.toml benches/Cargo.toml benches/instructions/Cargo.toml fuzz/Cargo.toml tests/constant-time/Cargo.toml; do \
		$(CARGO) fmt --all --check --manifest-path $$manifest || exit 1; \
	done

# Lints, of which each is an error: as the module is built, as its test build is with the batch path beside it, and the SRTP half alone.
# Of the whole workspace each time: of a part cargo would choose other features for what is beneath, and compile that again.
clippy: headers
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@$(CARGO) clippy --workspace --all-targets $(BATCH),res_ciphertrunk/test-hooks -- -D warnings
	@$(CARGO) clippy -p res_ciphertrunk --no-default-features -- -D warnings

# What may be linked, and from where it comes: deny.toml.
CARGO_DENY := build/tools/bin/cargo-deny

# Its own release profile has LTO of everything at once, for seconds of its run.
$(CARGO_DENY):
	@CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --locked --debug --root build/tools cargo-deny@0.20.2 --no-default-features

deny: $(CARGO_DENY)
	@$(CARGO_DENY) --locked check bans licenses sources

# That the fuzz targets compile: with their sanitizer they take three minutes, and run by `make fuzz`.
check-fuzz: prereqs
	@$(CARGO) clippy --quiet --locked --manifest-path fuzz/Cargo.toml --bins -- -D warnings

# Whether benches/ compiles, lints included.
check-benches: PREREQS += $(PREREQS_BENCHES)
check-benches: prereqs
	@$(CARGO) clippy --locked --manifest-path benches/Cargo.toml -- -D warnings

# Instructions per packet, compared with benches/instructions/baseline.txt; UPDATE=1 writes that anew.
UPDATE ?=

instructions: PREREQS += $(PREREQS_INSTRUCTIONS)
instructions: prereqs
	@$(CARGO) run --quiet --release --locked --manifest-path benches/instructions/Cargo.toml $(if $(UPDATE),update)

# That no branch, address or division of the kernels depends on a key or on what is encrypted: levels that valgrind can run by valgrind, the
# others step by step on this CPU. Some seconds, or two minutes where a hypervisor takes the steps.
.PHONY: constant-time
constant-time: PREREQS += valgrind
constant-time: prereqs
	@$(CARGO) run --quiet --release --locked --manifest-path tests/constant-time/Cargo.toml

# The tests of packet-crypto and srtp for aarch64, under qemu-user; the module built for it.
test-aarch64: headers root-aarch64
	@CARGO="$(CARGO)" tests/aarch64.sh test build/aarch64

# The root that has a compiler for it.
root-aarch64: prereqs
	@tests/aarch64.sh root build/aarch64

# That module in Debian's Asterisk for aarch64, under qemu-user, with an encrypted call.
test-aarch64-asterisk: headers
	@CARGO="$(CARGO)" tests/aarch64.sh module build/aarch64
	@tests/aarch64-asterisk.sh build/aarch64-asterisk build/aarch64

# The hand-over between SIP threads in every order of steps that its model has.
loom:
	@RUSTFLAGS="--cfg loom" $(CARGO) test --release --target-dir target/loom -p sip-tls --lib waker::

# Removes what was built, the roots too.
clean:
	$(CARGO) clean
	rm -rf build asterisk-headers/fetched

.PHONY: asan valgrind

# The module and its C files under AddressSanitizer, in host tests that load, call, reload and unload. Its runtime is gcc's
# in the root; Asterisk itself is not instrumented, so what it leaks is not looked for.
# RUSTC_BOOTSTRAP: the sanitizer is an unstable option of the compiler.
TOOL_TESTS ?= load:: srtp_replay srtp_reinvite srtp_rollover tls_reload tls_adoption unload::
RUST_TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
ASAN_OPTIONS := detect_leaks=0:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1

asan: headers
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CFLAGS_$(subst -,_,$(RUST_TARGET))="-fsanitize=address -g" \
		$(CARGO) build --release -p res_ciphertrunk --features test-hooks --target $(RUST_TARGET) --target-dir target/asan
	@install -D -m 0644 target/asan/$(RUST_TARGET)/release/libres_ciphertrunk.so build/asan/res_ciphertrunk.so
	@CIPHERTRUNK_TEST_MODULE=build/asan/res_ciphertrunk.so \
		CIPHERTRUNK_TEST_WRAPPER="env LD_PRELOAD=libasan.so.8 ASAN_OPTIONS=$(ASAN_OPTIONS)" \
		RUST_TEST_THREADS=2 $(CARGO) test --test host -- $(TOOL_TESTS)

# Asterisk under valgrind's memcheck, with the module as it is. An error with a frame of ours fails; those of Asterisk alone
# are shown. One test at a time: each takes minutes.
VALGRIND_TESTS ?= load::as_root srtp_replay::replays srtp_reinvite::the_answer tls_reload::bind unload::as_root
VALGRIND := valgrind --leak-check=full --show-leak-kinds=definite --num-callers=30 --fullpath-after= --keep-debuginfo=yes \
	--error-markers=valgrind-begin,valgrind-end

valgrind: test-module module
	@tests/valgrind.sh $(ROOT) build/valgrind
	@touch build/valgrind/.started
	@CIPHERTRUNK_TEST_TOOLS=build/valgrind CIPHERTRUNK_TEST_WRAPPER="$(VALGRIND)" \
		CIPHERTRUNK_TEST_SLOWNESS=10 RUST_TEST_THREADS=1 $(CARGO) test --test host -- $(VALGRIND_TESTS)
	@find build/host -name '*.out' -newer build/valgrind/.started -exec sed -n '/valgrind-begin/,/valgrind-end/p' {} + >build/valgrind/errors
	@cat build/valgrind/errors
	@! grep -q -F -e '$(CURDIR)/' -e res_ciphertrunk build/valgrind/errors
	@echo "valgrind: no error of the module's; $$(grep -c valgrind-begin build/valgrind/errors) without it (build/valgrind/errors)"
