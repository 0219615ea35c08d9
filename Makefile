# Whipsnake's verbs. Each does its own set-up; what they fetch or build lies in target/ and ~/.cache/whipsnake.

.DEFAULT_GOAL := help
.PHONY: help run build pack wheel wheel-test layer layer-test examples test test-rust test-python conformance checkpoint-suites faults recordings ecosystem checkpoint-packages checkpoint-arm64 pins soak \
	fuzz sanitize lint deny format docs site site-test bench bench-report bench-concurrency bounds order clean cli python venv layer-venv wheel-venv \
	site-venv packages bench-tools checkpoint-restores layer-test-here layer-test-arm64 test-concurrency

# Which CPython: an interpreter's path, or a version such as 3.14. Empty: the newest to be found, else one installed by uv.
PYTHON ?=
export PYTHON
# CPython's library: static or shared. Empty: static where the CPython has one that can be linked.
LIBPYTHON ?=
WITH_LIBPYTHON := $(if $(LIBPYTHON),--libpython $(LIBPYTHON))

# What `make run` runs. EVENT=- reads the event from standard input.
TASK ?= docs/samples/greeting
HANDLER ?= lambda_function.lambda_handler
EVENT ?= crates/cli/events/greeting.json

# What `make pack` takes beside TASK and HANDLER. PACK_OPTIONS: any other of `whipsnake pack --help`.
REQUIREMENTS ?=
PACK_OPTIONS ?=

# What `make layer` packs. SDK=1: the AWS SDK inside the same zip; SDK=apart: in one of its own. ARCH=arm64 or x86_64; empty: this
# machine's. LIBC=own or system: where the layer's C library is from. LAYER_OPTIONS: any other of `whipsnake layer --help`.
SDK ?=
ARCH ?=
LIBC ?=
LAYER_OPTIONS ?=
WITH_LIBC := $(if $(LIBC),--libc $(LIBC))

export CARGO_TARGET_DIR ?= $(CURDIR)/target
TARGET := $(CARGO_TARGET_DIR)
WHIPSNAKE := $(TARGET)/release/whipsnake
CACHE := $(HOME)/.cache/whipsnake
VENV := $(TARGET)/venv
ECOSYSTEM := python/tests/ecosystem
PACKAGES := $(TARGET)/ecosystem
CHECKPOINT_PACKAGES := python/tests/checkpoint_packages
WITH_UV := PATH="$$PATH:$(CACHE)/uv/bin:$(CACHE)/zigbuild/bin"
UV := $(or $(shell command -v uv),$(CACHE)/uv/bin/uv)
# Installs what `make pins` has chosen, and nothing else under its name.
HASHED = $(UV) pip install --quiet --require-hashes

# On a terminal cargo shows how far it is.
QUIETLY := $(shell [ -t 2 ] || echo --quiet)

# What pyo3 is told about the CPython: everything that builds the bootstrap needs it.
PYTHON_CONFIG := $(TARGET)/python.cfg
WITH_PYTHON := PYO3_CONFIG_FILE=$(PYTHON_CONFIG)

PYTEST = $(WITH_UV) WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(or $(FROM),$(TARGET)/release/bootstrap) \
	$(VENV)/bin/pytest --quiet -rs --numprocesses auto

help: ## Lists these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=path or version, LIBPYTHON=static or shared; for run: TASK=folder HANDLER=module.function EVENT=file.json;"
	@echo "for layer: SDK=1 or apart, ARCH=arm64, LAYER_OPTIONS=\"--keep tests --services s3,dynamodb\""

run: build ## Runs a function under the emulator (TASK, HANDLER, EVENT)
	@$(WHIPSNAKE) invoke $(HANDLER) --task $(TASK) --event $(EVENT)

build: python ## Builds target/release/bootstrap against the CPython
	@$(WITH_PYTHON) cargo build $(QUIETLY) --release -p whipsnake-bootstrap

pack: cli $(UV) ## Packs a function, its requirements and their bytecode for Lambda, into dist/ (TASK, HANDLER, REQUIREMENTS, ARCH)
	@$(WITH_UV) $(WHIPSNAKE) pack $(TASK) --handler $(HANDLER) $(if $(REQUIREMENTS),--requirements $(REQUIREMENTS)) \
		$(if $(ARCH),--arch $(ARCH)) $(PACK_OPTIONS)

layer: cli $(UV) $(if $(filter arm64,$(ARCH)),$(CACHE)/zigbuild/bin/cargo-zigbuild) ## Packs the CPython and its bootstrap for Lambda, into dist/ (SDK, ARCH)
	@$(WITH_UV) $(WHIPSNAKE) layer $(if $(SDK),--sdk $(if $(filter apart,$(SDK)),apart,inside)) $(if $(ARCH),--arch $(ARCH)) $(WITH_LIBPYTHON) $(WITH_LIBC) $(LAYER_OPTIONS)

wheel: cli $(UV) ## Builds the Python package for the CPython, into dist/: command, bootstrap, pytest plugin, types
	@$(WITH_UV) $(UV) build --wheel --python "$$($(WITH_UV) $(WHIPSNAKE) python)" --out-dir dist python

WHEELS := $(TARGET)/wheel-test

wheel-test: cli wheel-venv ## Installs the wheel where no Rust is, and uses it
	@rm -rf $(WHEELS)
	@python=$$($(WITH_UV) $(WHIPSNAKE) python) && \
	$(UV) build --quiet --wheel --python "$$python" --out-dir $(WHEELS) python && \
	$(WITH_UV) WHIPSNAKE_WHEEL_FILE=$$(echo $(WHEELS)/*.whl) WHIPSNAKE_WHEEL_PYTHON="$$python" \
	WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(WHIPSNAKE) \
	$(TARGET)/wheel-venv/bin/pytest --quiet -rs python/tests/wheel

LAYERS := $(TARGET)/layer-test

# The suite runs on any Python: the one in the layer may be too new or too special for its packages. No bootstrap but the layer's
# is run; the suite's root wants to see that there is one.
ON_LAYERS = WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(WHIPSNAKE) $(TARGET)/layer-venv/bin/pytest --quiet -rs
layer-test: cli layer-venv $(if $(filter arm64,$(ARCH)),layer-test-arm64,layer-test-here) ## Packs a layer and runs functions on it, in a root folder with Amazon Linux's glibc (needs root)

# Empty: without the second layer, which has its own C library and takes one more build.
OWN_C_LIBRARY ?= 1

layer-test-here: cli layer-venv
	@rm -rf $(LAYERS)
	@$(WITH_UV) $(WHIPSNAKE) layer --sdk apart --output $(LAYERS) $(WITH_LIBPYTHON) $(WITH_LIBC)
	@$(if $(OWN_C_LIBRARY),$(WITH_UV) $(WHIPSNAKE) layer --libc own --output $(LAYERS)/own-c-library $(WITH_LIBPYTHON))
	@$(WITH_UV) WHIPSNAKE_LAYERS=$(LAYERS) WHIPSNAKE_LAYER_PYTHON=$$($(WITH_UV) $(WHIPSNAKE) python 2>/dev/null) \
	WHIPSNAKE_LIBPYTHON=$(LIBPYTHON) WHIPSNAKE_LIBC=$(LIBC) WHIPSNAKE_OWN_C_LIBRARY=$(OWN_C_LIBRARY) \
	$(ON_LAYERS) --numprocesses auto --ignore python/tests/layer/test_arm64.py python/tests/layer

# Emulated: a few functions only, one after the other.
layer-test-arm64: cli layer-venv $(CACHE)/zigbuild/bin/cargo-zigbuild
	@$(WITH_UV) WHIPSNAKE_ARM64_PYTHON=$(PYTHON) $(ON_LAYERS) python/tests/layer/test_arm64.py

examples: cli layer-venv ## Checks layer/examples with the tools that those are for
	@$(WITH_UV) WHIPSNAKE_EXAMPLES=1 WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(WHIPSNAKE) \
	$(TARGET)/layer-venv/bin/pytest --quiet -rs python/tests/examples

test: test-rust test-python ## Runs all tests

test-rust: build
	$(WITH_PYTHON) cargo test --quiet --workspace

test-python: build venv ## Runs the black-box suites against the built bootstrap
	$(PYTEST) $(addprefix --ignore python/tests/,checkpoint_arm64 checkpoint_packages documentation ecosystem examples layer wheel) python/tests

CONCURRENCY_TESTS = python/tests/functions/test_concurrency.py python/tests/functions/test_standard_streams.py python/tests/faults/test_threads.py

# Their packages need not run on the CPython that is embedded.
test-concurrency: build layer-venv ## Several invocations at once, also on a CPython without GIL (PYTHON=one)
	WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(TARGET)/release/bootstrap $(TARGET)/layer-venv/bin/pytest --quiet -rs --numprocesses auto \
	$(CONCURRENCY_TESTS)

# How many payloads and values Hypothesis makes up.
EXAMPLES ?= 20000

conformance: build venv ## Runs every behaviour beside awslambdaric (REFERENCE=recorded: beside its recordings)
	WHIPSNAKE_REFERENCE=$(REFERENCE) WHIPSNAKE_THROUGH_NAMES=$(THROUGH_NAMES) WHIPSNAKE_EXAMPLES=$(EXAMPLES) \
	$(PYTEST) python/tests/conformance $(if $(REFERENCE)$(THROUGH_NAMES),,python/tests/properties)

# imports or init: of which kind the checkpoints are.
KIND ?= imports

# Which suites run through checkpoints: conformance, functions, faults, ecosystem.
SUITES ?= conformance functions faults ecosystem

checkpoint-suites: FROM = $(TARGET)/from-checkpoint-$(KIND)
checkpoint-suites: build venv ## Runs the suites with each function started from a checkpoint (KIND=init, SUITES="functions faults")
	@printf '#!/bin/sh\nexec env -u PWD -u OLDPWD -u SHLVL -u _ "%s" from-checkpoint "%s" "%s" "$$@"\n' \
		$(WHIPSNAKE) $(KIND) $(TARGET)/release/bootstrap > $(FROM) && chmod +x $(FROM)
	$(if $(filter ecosystem,$(SUITES)),@$(MAKE) --no-print-directory packages)
	WHIPSNAKE_REFERENCE=recorded WHIPSNAKE_FROM_CHECKPOINT=$(KIND) WHIPSNAKE_PACKAGES=$(PACKAGES) \
		$(PYTEST) $(foreach suite,$(SUITES),python/tests/$(suite:conformance=conformance/test_conformance.py))

# For how many seconds a process is stopped; 0.3 where empty.
FREEZE ?=

faults: build venv ## Runs what docs/specification.md promises where the platform or the function misbehaves (FREEZE=seconds)
	WHIPSNAKE_FREEZE_SECONDS=$(FREEZE) $(PYTEST) python/tests/faults

# How often each kind of checkpoint is restored, at other addresses each time.
RESTORES ?= 10000

checkpoint-restores: build venv ## Restores a checkpoint of each kind RESTORES times, none of which may fail
	WHIPSNAKE_RESTORES=$(RESTORES) $(PYTEST) python/tests/checkpoint/test_many_restores.py

# Which functions, on which processors (neoverse-n1, max), and how often each checkpoint is restored. QUICK=1: what CI runs.
FUNCTIONS ?= $(if $(QUICK),empty standard_library)
PROCESSORS ?= $(if $(QUICK),max)
STARTS ?= $(if $(QUICK),2,5)
ARM64 := aarch64-unknown-linux-gnu
ARM64_TARGET := $(TARGET)/arm64
ARM64_PACKAGES := $(ARM64_TARGET)/packages
ARM64_PINS := boto3 extension_modules

# Emulated as a whole machine, with a kernel: emulating single processes leaves most of what is tested to this machine's kernel. The command
# is built without the optimizations that take long.
checkpoint-arm64: cli layer-venv $(CACHE)/zigbuild/bin/cargo-zigbuild ## Restores checkpoints in an emulated arm64 machine (PYTHON=one for arm64; QUICK=1; needs qemu-system-arm)
	@rm -rf $(ARM64_TARGET)/layers
	@$(WITH_UV) QEMU_LD_PREFIX=/usr/aarch64-linux-gnu $(WHIPSNAKE) layer --arch arm64 --python $(PYTHON) --output $(ARM64_TARGET)/layers
	@$(WITH_UV) CARGO_TARGET_DIR=$(ARM64_TARGET) CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	cargo zigbuild $(QUIETLY) --locked --release --target $(ARM64).2.34 -p whipsnake -p whipsnake-restorer
	@for group in $(ARM64_PINS); do \
		pins=$(ECOSYSTEM)/requirements/$$group.txt; wanted="$$(basename $(PYTHON)) $$(cksum < $$pins)"; \
		if [ "$$(cat $(ARM64_PACKAGES)/$$group.made-for 2>/dev/null)" != "$$wanted" ]; then \
			rm -rf $(ARM64_PACKAGES)/$$group && \
			$(HASHED) --no-deps --compile-bytecode --only-binary :all: --python-platform aarch64-manylinux_2_28 \
				--python-version $$(basename $(PYTHON) | sed 's/^python//') --python $(TARGET)/layer-venv/bin/python \
				--target $(ARM64_PACKAGES)/$$group --requirements $$pins && \
			echo "$$wanted" > $(ARM64_PACKAGES)/$$group.made-for || exit; \
		fi; \
	done
	WHIPSNAKE_ARM64_PYTHON=$(PYTHON) WHIPSNAKE_ARM64_LAYERS=$(ARM64_TARGET)/layers WHIPSNAKE_ARM64_PACKAGES=$(ARM64_PACKAGES) \
	WHIPSNAKE_ARM64_PROGRAMS="$(ARM64_TARGET)/$(ARM64)/release/whipsnake $(ARM64_TARGET)/$(ARM64)/release/restorer" \
	WHIPSNAKE_ARM64_FUNCTIONS="$(FUNCTIONS)" WHIPSNAKE_ARM64_PROCESSORS="$(PROCESSORS)" WHIPSNAKE_RESTORES=$(STARTS) \
	$(ON_LAYERS) python/tests/checkpoint_arm64

recordings: build venv ## Records awslambdaric anew, and writes docs/compatibility.md
	WHIPSNAKE_WRITE_DOCS=1 $(PYTEST) python/tests/conformance

# For how long each target is fuzzed, and which; all of them when empty.
SECONDS ?= 60
FUZZ ?=

fuzz: venv ## Looks for bytes that a parser of ours takes otherwise than Python does, or not at all (SECONDS for each, FUZZ=decode)
	@$(WITH_PYTHON) PYTHONPATH=$$($(VENV)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") \
	crates/fuzz/run $(SECONDS) $(FUZZ)

# For what: address, or thread for data races, which shows most on a CPython without GIL (PYTHON=one).
SANITIZER ?= address

# Without what measures memory, lists all variables or counts threads: those tests see the sanitizer itself.
SANITIZED_address = python/tests/conformance python/tests/functions -k "not 200_megabytes and not memory_of_a_large_event and not huge_pages" \
	--deselect "tests/conformance/test_conformance.py::test_the_managed_runtime_and_whipsnake_agree[V4 all names]"
SANITIZED_thread = $(CONCURRENCY_TESTS) -k "not leaves_something_open"
SANITIZED_VENV := $(if $(filter thread,$(SANITIZER)),layer-venv,venv)

sanitize: python $(SANITIZED_VENV) ## Runs the black-box suites against a bootstrap that a sanitizer watches (SANITIZER=thread; needs a nightly Rust)
	$(WITH_PYTHON) crates/fuzz/sanitize $(SANITIZER) env WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_REFERENCE=recorded WHIPSNAKE_TIMES_SLOWER=4 \
	$(TARGET)/$(SANITIZED_VENV)/bin/pytest --quiet -rs --numprocesses auto $(SANITIZED_$(SANITIZER))

ecosystem: build venv packages ## Runs the tools that people run on Lambda, from PyPI, against the built bootstrap (PACKED=1: each packed first)
	WHIPSNAKE_PACKED=$(PACKED) WHIPSNAKE_PACKAGES=$(PACKAGES) $(PYTEST) $(ECOSYSTEM)

# The groups of the short form, which shares the others with the tools of `make ecosystem`.
QUICK_GROUPS = http_clients databases grpc
CHECKPOINT_PINS = $(if $(QUICK),$(QUICK_GROUPS:%=$(CHECKPOINT_PACKAGES)/requirements/%.txt),$(wildcard $(CHECKPOINT_PACKAGES)/requirements/*.txt))

checkpoint-packages: build venv packages ## Starts functions with real packages from checkpoints of both kinds (QUICK=1: a dozen of them, PACKED=1)
	@$(MAKE) --no-print-directory packages PINS="$(CHECKPOINT_PINS)" PACKAGES=$(TARGET)/checkpoint-packages
	WHIPSNAKE_QUICK=$(QUICK) WHIPSNAKE_PACKED=$(PACKED) WHIPSNAKE_PACKAGES=$(PACKAGES) WHIPSNAKE_CHECKPOINT_PACKAGES=$(TARGET)/checkpoint-packages $(PYTEST) $(CHECKPOINT_PACKAGES)

PIN = $(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make pins"

pins: $(UV) ## Resolves anew what the suites and the tools of `make ecosystem` need, with hashes
	@for group in $$(sed -n '/^\[dependency-groups]/,/^\[tool/s/^\([a-z]*\) = \[$$/\1/p' python/pyproject.toml); do \
		$(PIN) --python-version 3.12 --group python/pyproject.toml:$$group --output-file python/requirements/$$group.txt >/dev/null || exit; \
	done
	@for tool in $$(sed -n 's/^\([a-z0-9_]*\) = \[.*/\1/p' $(ECOSYSTEM)/pyproject.toml); do \
		$(PIN) --python-version 3.13 --group $(ECOSYSTEM)/pyproject.toml:$$tool --output-file $(ECOSYSTEM)/requirements/$$tool.txt >/dev/null || exit; \
	done
	@for group in $$(sed -n 's/^\([a-z0-9_]*\) = \[.*/\1/p' $(CHECKPOINT_PACKAGES)/pyproject.toml); do \
		$(PIN) --python-version 3.13 --group $(CHECKPOINT_PACKAGES)/pyproject.toml:$$group --output-file $(CHECKPOINT_PACKAGES)/requirements/$$group.txt >/dev/null || exit; \
	done

lint: python venv ## Checks formatting, lints and types
	cargo fmt --all --check
	$(WITH_PYTHON) cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check python docs/samples
	$(VENV)/bin/ruff format --check python docs/samples
	$(VENV)/bin/mypy --config-file python/pyproject.toml python/src python/tests python/benchmarks python/soak

# ADVISORIES=1: also known vulnerabilities, from the RustSec database.
deny: $(CACHE)/cargo-deny/bin/cargo-deny ## Checks the crates' licences, sources and doubles (ADVISORIES=1)
	@$< check licenses bans sources $(if $(ADVISORIES),advisories)

format: venv ## Formats everything
	cargo fmt --all
	$(VENV)/bin/ruff check --fix --quiet python docs/samples
	$(VENV)/bin/ruff format python docs/samples

docs: python ## Writes the generated pages of docs/ anew
	WHIPSNAKE_WRITE_DOCS=1 $(WITH_PYTHON) cargo test --quiet -p whipsnake-bootstrap -p whipsnake reference_page

SITE := $(TARGET)/site

site: site-venv ## Builds the documentation as a site in target/site; a link that leads nowhere is an error
	@rm -rf $(SITE)
	@$(TARGET)/site-venv/bin/sphinx-build --quiet --fresh-env --fail-on-warning --conf-dir python/site --doctree-dir $(TARGET)/site-doctrees . $(SITE)
	@echo "$(SITE)/index.html"

site-test: site ## Checks that the site is whole, and that what is wrong with a page is noticed
	@WHIPSNAKE_SITE=$(SITE) WHIPSNAKE_CLI=$(WHIPSNAKE) WHIPSNAKE_BOOTSTRAP=$(WHIPSNAKE) $(TARGET)/site-venv/bin/pytest --quiet -rs python/tests/documentation

# QUICK=1: fewer turns, a minute instead of several. COLD_DISK=1: also with the page cache dropped before each start (root).
# BENCH_OPTIONS: any other of `whipsnake bench --help`, such as "--bootstrap jit=PATH,PYTHON_JIT=1".
QUICK ?=
COLD_DISK ?=
BENCH_OPTIONS ?=
BENCH = TMPDIR=$(TARGET) $(WHIPSNAKE) bench --reference $(VENV)/bin/python --packages $(PACKAGES) --examples $(TARGET)/release/examples \
	$(if $(QUICK),--starts 8 --invocations 250 --soak 10000) $(if $(COLD_DISK),--cold-disk) $(BENCH_OPTIONS)

bench: bench-tools ## Measures beside awslambdaric on the same CPython; a page with plots in target/bench (QUICK=1)
	@$(BENCH) --json $(TARGET)/bench/results.json --report $(TARGET)/bench/report.html --lambda-perf $(TARGET)/bench/lambda-perf.json
	@echo "$(TARGET)/bench: report.html, results.json, lambda-perf.json"

bench-report: bench-tools ## The same, into docs/benchmarks.md and docs/benchmarks
	@$(BENCH) --page docs/benchmarks.md --json docs/benchmarks/results.json --report docs/benchmarks/report.html --plots docs/benchmarks

bounds: build venv ## Writes anew what a start may cost in instructions, system calls, opened files and bytes
	WHIPSNAKE_WRITE_BOUNDS=1 $(PYTEST) python/tests/benchmarks/test_start_costs.py

order: build cli ## Writes anew where the linker puts what a start runs (needs valgrind; LIBPYTHON=static)
	@$(WITH_PYTHON) cargo rustc $(QUIETLY) --release -p whipsnake-bootstrap --bin bootstrap -- -C link-arg=-Wl,-Map=$(TARGET)/bootstrap.map
	@python3 python/benchmarks/order.py --cli $(WHIPSNAKE) --bootstrap $(TARGET)/release/bootstrap --map $(TARGET)/bootstrap.map > $(TARGET)/start.ld
	@mv $(TARGET)/start.ld crates/bootstrap/start.ld

# The floor in Rust, the JSON comparison, and the packages of most functions.
bench bench-report: PINS = $(addprefix $(ECOSYSTEM)/requirements/,boto3.txt extension_modules.txt httpx.txt scikit_learn.txt)
bench-tools: build venv packages
	@$(WITH_PYTHON) cargo build --quiet --release --examples -p whipsnake-runtime-api -p whipsnake-marshal
	@$(VENV)/bin/python -m compileall -q $(VENV)/lib

bench-concurrency: build venv ## Several invocations at once, beside awslambdaric's (FREE_THREADED=a bootstrap)
	@$(VENV)/bin/python python/benchmarks/concurrency.py --cli $(WHIPSNAKE) --bootstrap $(TARGET)/release/bootstrap \
	--packages $$($(VENV)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") $(if $(FREE_THREADED),--free-threaded $(FREE_THREADED))

# Of all ways of serving together; a million of them one at a time. The bounded form is part of `make test`.
INVOCATIONS ?= 2500000

soak: build venv ## Serves INVOCATIONS and looks whether any is mixed up with another and whether anything grows (FREE_THREADED=a bootstrap)
	@$(VENV)/bin/python python/soak --bootstrap $(TARGET)/release/bootstrap --invocations $(INVOCATIONS) \
	$(if $(FREE_THREADED),--free-threaded $(FREE_THREADED))

clean: ## Removes what was built here
	cargo clean

cli: $(UV)
	@cargo build $(QUIETLY) --release -p whipsnake -p whipsnake-restorer

# Rewrites its file only when another CPython was found, so that nothing is built anew without need.
python: cli
	@$(WITH_UV) $(WHIPSNAKE) python --config $(PYTHON_CONFIG) $(WITH_LIBPYTHON) > $(TARGET)/python.path

# The suites' packages, on the very CPython that the bootstrap embeds: the managed runtime runs beside it.
venv: python
	@python=$$(cat $(TARGET)/python.path); wanted="$$python $$(cat python/requirements/test.txt python/requirements/lint.txt | cksum)"; \
	if [ "$$(cat $(VENV)/made-for 2>/dev/null)" != "$$wanted" ]; then \
		$(UV) venv --quiet --clear --python "$$python" $(VENV) && \
		$(HASHED) --python $(VENV)/bin/python --requirements python/requirements/test.txt --requirements python/requirements/lint.txt && \
		echo "$$wanted" > $(VENV)/made-for; \
	fi

# What the ecosystem's functions bring along: a folder for each tool, made anew when its pins or the CPython are others.
PINS = $(wildcard $(ECOSYSTEM)/requirements/*.txt)
packages: python $(UV)
	@python=$$(cat $(TARGET)/python.path); for pins in $(PINS); do \
		tool=$(PACKAGES)/$$(basename $$pins .txt); wanted="$$python $$(cksum < $$pins)"; \
		if [ "$$(cat $$tool.made-for 2>/dev/null)" != "$$wanted" ]; then \
			rm -rf $$tool && \
			$(HASHED) --no-deps --compile-bytecode --python "$$python" --target $$tool --requirements $$pins && \
			echo "$$wanted" > $$tool.made-for || exit; \
		fi; \
	done

layer-venv: cli $(UV)
	@python=$$(PYTHON= $(WITH_UV) $(WHIPSNAKE) python 2>/dev/null) && \
	$(UV) venv --quiet --allow-existing --python "$$python" $(TARGET)/layer-venv && \
	$(HASHED) --python $(TARGET)/layer-venv/bin/python --requirements python/requirements/layer.txt

wheel-venv: cli $(UV)
	@python=$$(PYTHON= $(WITH_UV) $(WHIPSNAKE) python 2>/dev/null) && \
	$(UV) venv --quiet --allow-existing --python "$$python" $(TARGET)/wheel-venv && \
	$(HASHED) --python $(TARGET)/wheel-venv/bin/python --requirements python/requirements/wheel.txt

site-venv: cli $(UV)
	@python=$$(PYTHON= $(WITH_UV) $(WHIPSNAKE) python 2>/dev/null) && \
	$(UV) venv --quiet --allow-existing --python "$$python" $(TARGET)/site-venv && \
	$(HASHED) --python $(TARGET)/site-venv/bin/python --requirements python/requirements/site.txt

# Links for another processor. cargo-zigbuild looks for zig on PATH.
$(CACHE)/zigbuild/bin/cargo-zigbuild: $(UV)
	@$(UV) venv --quiet --allow-existing $(CACHE)/zigbuild && \
	$(HASHED) --python $(CACHE)/zigbuild/bin/python --requirements python/requirements/cross.txt && \
	ln -sf $$(echo $(CACHE)/zigbuild/lib/python3*/site-packages/ziglang/zig) $(CACHE)/zigbuild/bin/zig

# Unoptimised: that is built in half the time, and its work is small.
$(CACHE)/cargo-deny/bin/cargo-deny:
	@CARGO_TARGET_DIR=$(TARGET)/cargo-deny cargo install --quiet --locked --debug --root $(CACHE)/cargo-deny cargo-deny@0.20.2 && rm -r $(TARGET)/cargo-deny

# With Python, or where there is none with uv's own installer.
$(CACHE)/uv/bin/uv:
	@{ python3 -m venv $(CACHE)/uv && $(CACHE)/uv/bin/pip install --quiet uv; } >/dev/null 2>&1 || \
		{ curl -LsSf https://astral.sh/uv/install.sh | UV_UNMANAGED_INSTALL=$(CACHE)/uv/bin sh >/dev/null 2>&1; [ -x $@ ]; } || \
		{ echo "make: uv is missing and could not be installed; see https://docs.astral.sh/uv/" >&2; exit 1; }
