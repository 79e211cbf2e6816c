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

.PHONY: all prereqs root headers module test-module install demo test bench bench-calls fuzz miri check clean

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
