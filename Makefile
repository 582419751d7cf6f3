# Lathe. One file, no configure, no recursion. `make help` lists the targets.
#
#   build/            the program as users run it
#   build/asan/       the same sources under AddressSanitizer + UndefinedBehaviorSanitizer
#   build/tsan/       … under ThreadSanitizer
#   build/lint/       … with every warning an error, and what the static analyser has passed
#   build/fault/      … with the two seams (allocation, system calls that write) replaced by failing ones
#   build/fuzz/       … for libFuzzer, with clang; corpora and what crashed in build/fuzz/corpus, build/fuzz/crashes
#
# Any .c file dropped into a room is built; any engine/bind/x.c must define luaopen_engine_x and
# is then reachable as require "engine.x"; any tests/ROOM/*_test.{c,lua} is run by `make test`.

CC       ?= cc
BUILD    ?= build
PREFIX   ?= /usr/local
VERSION  := 0.1.0
T        ?=
# make V=1 shows the commands
Q        := $(if $(V),,@)

PKGS     := lua5.4 zlib libxxhash libcrypto libpcre2-8 libutf8proc
PKG_OPT  := libzstd libedit uchardet libexttextcat libcurl
EXTRACT_PKGS := libxml-2.0 libarchive libseccomp libcrypto libxxhash zlib libutf8proc libpcre2-8
HAVE     := $(foreach p,$(PKG_OPT),$(shell pkg-config --exists $(p) && echo $(p)))
HAVE_POPPLER := $(shell pkg-config --exists poppler-glib && echo poppler-glib)
HAVE_DEF := $(if $(filter libzstd,$(HAVE)),-DHAVE_ZSTD) $(if $(filter libedit,$(HAVE)),-DHAVE_LIBEDIT) \
            $(if $(filter uchardet,$(HAVE)),-DHAVE_UCHARDET) \
            $(if $(filter libexttextcat,$(HAVE)),-DHAVE_EXTTEXTCAT) $(if $(filter libcurl,$(HAVE)),-DHAVE_CURL) $(if $(HAVE_POPPLER),-DHAVE_POPPLER)

WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes \
            -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough \
            -Wcast-qual -Wno-missing-field-initializers $(if $(CI),-Werror)
CPPFLAGS += -D_GNU_SOURCE -DLATHE_VERSION='"$(VERSION)"' -Iengine $(HAVE_DEF)
CFLAGS   ?= -O2 -g
CSTD     := -std=c11 -fno-strict-aliasing -fstack-protector-strong -pthread $(WARN)
LIBS     := -pthread -ldl -lm
ENGINE_INC := $(shell pkg-config --cflags $(PKGS) $(HAVE) 2>/dev/null)
ENGINE_LIB := $(shell pkg-config --libs $(PKGS) $(HAVE) 2>/dev/null)
EXTRACT_INC := $(shell pkg-config --cflags $(EXTRACT_PKGS) $(HAVE_POPPLER) $(filter-out libedit libcurl libexttextcat,$(HAVE)) 2>/dev/null)
EXTRACT_LIB := $(shell pkg-config --libs $(EXTRACT_PKGS) $(HAVE_POPPLER) $(filter-out libedit libcurl libexttextcat,$(HAVE)) 2>/dev/null)

CLIENT_SRC := engine/extract/client.c engine/extract/members.c
ROOMS    := base file text json tensor tokenizer dedup net store format model
ENGINE_SRC := $(foreach r,$(ROOMS),$(wildcard engine/$(r)/*.c engine/$(r)/*/*.c)) $(CLIENT_SRC)
ENGINE_SRC := $(wildcard $(ENGINE_SRC))
BIND_SRC := $(wildcard engine/bind/*.c)
BIND_MODULES := $(filter-out bind,$(BIND_SRC:engine/bind/%.c=%))
EXTRACT_SRC := $(filter-out $(CLIENT_SRC),$(wildcard engine/extract/*.c))
# not what needs a library that the extractor does without
EXTRACT_SHARED := $(filter-out engine/text/language.c,$(wildcard engine/base/*.c engine/text/*.c engine/file/*.c engine/json/*.c))
TEST_SRC := $(wildcard tests/*/*_test.c)
SUPPORT_SRC := $(wildcard tests/support/*.c)
SEAM_SRC := engine/base/mem.c engine/file/sys.c
SEAM_FAULT := $(wildcard tests/support/fault/*.c)

.DEFAULT_GOAL := all
.PHONY: all demo deps deps-dev test asan tsan kill9 determinism bench fuzz lint format audit install doc clean help

# The kernels of engine/tensor/cpu/ops are compiled once for each set; the device chooses at run time.
OPS_SRC  := $(wildcard engine/tensor/cpu/ops/*.c)
KERNEL_SETS := base $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),avx2 avx512)
KERNEL_FLAGS_avx2 := -march=haswell
KERNEL_FLAGS_avx512 := -march=skylake-avx512

# $(1) folder, $(2) kernel set
define KERNEL_SET
$(1)/engine/tensor/cpu/ops/%.$(2).o: engine/tensor/cpu/ops/%.c
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CPPFLAGS) -DKERNEL_SET=$(2) $$(CFLAGS) $$($(1)_FLAGS) $$(CSTD) $$(KERNEL_FLAGS_$(2)) -MMD -MP -c -o $$@ $$<
endef

# $(1) folder, $(2) extra compiler and linker flags, $(3) engine sources, $(4) extra sources of the seams
define VARIANT
$(1)_OBJ := $$(patsubst %.c,$(1)/%.o,$(3) $(4))
$(1)_BIND := $$(patsubst %.c,$(1)/%.o,$$(BIND_SRC))
$(1)_EXTRACT := $$(patsubst %.c,$(1)/%.o,$$(EXTRACT_SRC) $$(EXTRACT_SHARED))
$(1)_TESTS := $$(patsubst %.c,$(1)/%,$$(TEST_SRC))

$(1)_FLAGS := $(2)
$(1)_OPS := $$(foreach s,$$(KERNEL_SETS),$$(OPS_SRC:%.c=$(1)/%.$$(s).o))
$$(foreach s,$$(KERNEL_SETS),$$(eval $$(call KERNEL_SET,$(1),$$(s))))

$(1)/libengine.a: $$($(1)_OBJ) $$($(1)_OPS)
	@rm -f $$@; ar rcs $$@ $$^
$(1)/registry.c: $$(BIND_SRC) Makefile
	@mkdir -p $(1)
	@{ echo '/* made by the Makefile from engine/bind/ */'; echo '#include "bind/bind.h"'; \
	   for m in $$(BIND_MODULES); do echo "int luaopen_engine_$$$$m(lua_State *L);"; done; \
	   echo 'const luaL_Reg bind_modules[] = {'; \
	   for m in $$(BIND_MODULES); do echo "  {\"engine.$$$$m\", luaopen_engine_$$$$m},"; done; \
	   echo '  {NULL, NULL}};'; } > $$@
$(1)/registry.o: $(1)/registry.c
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $(2) $$(CSTD) $$(ENGINE_INC) -c -o $$@ $$<
$(1)/lathe: $(1)/engine/main.o $(1)/registry.o $$($(1)_BIND) $(1)/libengine.a
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CFLAGS) $(2) -o $$@ $$^ $$(ENGINE_LIB) $$(LIBS) $$(LDFLAGS)
$(1)/lathe-extract: $$($(1)_EXTRACT)
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CFLAGS) $(2) -o $$@ $$^ $$(EXTRACT_LIB) $$(LIBS) $$(LDFLAGS)
# Kernels: vectorised, and free of errno and traps (which changes no value). Never fast-math.
$(1)/engine/tensor/%.o: CFLAGS += -O3 -fno-math-errno -fno-trapping-math -Wno-psabi
$(1)/engine/tokenizer/%.o: CFLAGS += -O3
$(1)/engine/%.o: engine/%.c
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) $(2) $$(CSTD) $$(if $$(filter engine/extract/%,$$<),$$(EXTRACT_INC)) $$(ENGINE_INC) -MMD -MP -c -o $$@ $$<
$(1)/tests/support/%.o: tests/support/%.c
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CPPFLAGS) -Itests $$(CFLAGS) $(2) $$(CSTD) $$(ENGINE_INC) -MMD -MP -c -o $$@ $$<
$$($(1)_TESTS): $(1)/%: %.c $$(patsubst %.c,$(1)/%.o,$$(SUPPORT_SRC)) $(1)/libengine.a
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  CC $$@")
	$$(Q)$$(CC) $$(CPPFLAGS) -Itests $$(CFLAGS) $(2) $$(CSTD) $$(ENGINE_INC) -MMD -MP -MT $$@ -MF $$@.d -o $$@ $$< $$(patsubst %.c,$(1)/%.o,$$(SUPPORT_SRC)) $(1)/libengine.a $$(ENGINE_LIB) $$(LIBS)
-include $$(wildcard $(1)/engine/*.d $(1)/engine/*/*.d $(1)/engine/*/*/*.d $(1)/engine/*/*/*/*.d $(1)/tests/*/*.d $(1)/tests/*/*/*.d)
endef

SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DLATHE_SANITIZE -O1
$(eval $(call VARIANT,build,,$(ENGINE_SRC),))
$(eval $(call VARIANT,build/asan,$(SAN),$(ENGINE_SRC),))
$(eval $(call VARIANT,build/tsan,-fsanitize=thread -O1 -DLATHE_SANITIZE,$(ENGINE_SRC),))
$(eval $(call VARIANT,build/fault,-DLATHE_FAULT,$(filter-out $(SEAM_SRC),$(ENGINE_SRC)),$(SEAM_FAULT)))
$(eval $(call VARIANT,build/lint,-Werror,$(ENGINE_SRC),))
$(eval $(call VARIANT,build/fuzz,-w $(SAN) -fsanitize=fuzzer-no-link,$(ENGINE_SRC),))

PROGRAMS = $(1)/lathe $(if $(EXTRACT_SRC),$(1)/lathe-extract)

all: $(call PROGRAMS,build) ## build the program

test: $(call PROGRAMS,build) build/fault/lathe $(build_TESTS) ## run every test; T=tests/json runs one room or file
	@tests/run.sh build $(T)

asan: $(call PROGRAMS,build/asan) build/fault/lathe $(build/asan_TESTS) ## the same suite under ASan + UBSan
	@tests/run.sh build/asan $(T)

tsan: $(call PROGRAMS,build/tsan) $(build/tsan_TESTS) ## the thread tests under ThreadSanitizer
	@tests/run.sh build/tsan $(T)

kill9: all ## 30 kills at random moments, each followed by a re-run
	@LATHE_KILLS=30 tests/run.sh build tests/recipe/kill9_test.lua

determinism: all ## -j1 = -j2 = file by file, byte for byte, on the nano recipe
	@tests/run.sh build tests/recipe/determinism_test.lua

demo: ## install what is missing, build, run recipes/demo.lua offline
	@tools/demo

deps: ## install what the build needs (Debian, Ubuntu)
	@tools/deps build

deps-dev: ## … and what lint, audit and fuzz need
	@tools/deps build dev

# One stamp a file: only what changed is analysed again. Vector types are beyond the analyser's core checks.
TIDY_SRC := $(ENGINE_SRC) $(BIND_SRC) $(EXTRACT_SRC) engine/main.c
lint-compile: $(call PROGRAMS,build/lint) $(build/lint_TESTS)
lint-tidy: $(TIDY_SRC:%.c=build/lint/%.tidy)
build/lint/engine/%.tidy: engine/%.c build/lint/engine/%.o .clang-tidy tools/lint.h
	@mkdir -p $(@D)
	@clang-tidy --quiet $(if $(filter engine/tensor/cpu/%,$<),--checks=-clang-analyzer-core.*) $< -- -std=c11 \
	  $(CPPFLAGS) $(if $(filter engine/base/err.c,$<),,-include tools/lint.h) $(EXTRACT_INC) $(ENGINE_INC) >$@.log 2>&1 || \
	  { cat $@.log; exit 1; }
	@mv $@.log $@
cppcheck: ; @mkdir -p build/lint/cppcheck; cppcheck -q -j2 --std=c11 --enable=warning,performance,portability \
	  --inline-suppr --suppress=missingIncludeSystem --suppress=invalidPointerCast --suppress=uninitvar --suppress=legacyUninitvar \
	  --suppress=incorrectLogicOperator --suppress=autoVariables --error-exitcode=1 --cppcheck-build-dir=build/lint/cppcheck $(CPPFLAGS) engine
.PHONY: lint-compile lint-tidy cppcheck

lint: ## ranks of the rooms, static analysis, luacheck, formatting
	@tools/lint

format: ## rewrite C files in the house format
	@clang-format -i $$(git ls-files '*.c' '*.h')

# Each tests/fuzz/NAME.c is one program; extract.c also needs what the engine itself does not link.
FUZZ_CC ?= clang
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
FUZZ := $(if $(T),$(filter $(patsubst %.c,%,$(notdir $(T))),$(FUZZ)),$(FUZZ))
build/fuzz/%: CC := $(FUZZ_CC)
build/fuzz/runtime:
	@mkdir -p $(@D)
	@tests/fuzz/run --check $(FUZZ_CC) && touch $@
$(build/fuzz_OBJ) $(build/fuzz_OPS) $(build/fuzz_EXTRACT): | build/fuzz/runtime
build/fuzz/bin/%: tests/fuzz/%.c build/fuzz/libengine.a $(build/fuzz_EXTRACT)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $@")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -w $(SAN) -fsanitize=fuzzer $(CSTD) -w $(ENGINE_INC) $(EXTRACT_INC) -o $@ $< \
	  $(if $(filter extract,$*),$(filter-out %/main.o,$(build/fuzz_EXTRACT))) build/fuzz/libengine.a \
	  $(ENGINE_LIB) $(if $(filter extract,$*),$(EXTRACT_LIB)) $(LIBS)
.SECONDARY: $(FUZZ:%=build/fuzz/bin/%)

fuzz: build/lathe $(FUZZ:%=build/fuzz/bin/%) ## fuzz the parsers of untrusted bytes; T=json SECONDS=20 for one
	@tests/fuzz/run $(or $(SECONDS),20) $(FUZZ)

audit: ## known vulnerabilities of the linked packages
	@tools/audit

bench: all ## ratios to named peers; LATHE_PEERS=PYTHON, T=bpe for one
	@tests/bench/run $(T)

install: all ## into PREFIX (default /usr/local), DESTDIR respected
	install -D -m 755 build/lathe $(DESTDIR)$(PREFIX)/bin/lathe
	$(if $(EXTRACT_SRC),install -D -m 755 build/lathe-extract $(DESTDIR)$(PREFIX)/libexec/lathe/lathe-extract)
	@for d in lua recipes templates extractors; do (find $$d -type f | while read -r f; do \
	  install -D -m 644 "$$f" "$(DESTDIR)$(PREFIX)/share/lathe/$$f"; done); done
	@install -d $(DESTDIR)$(PREFIX)/share/lathe/doc
	@tools/engine-doc > $(DESTDIR)$(PREFIX)/share/lathe/doc/engine.txt

doc: all ## write doc/api.md, the reference, from the comments above the code
	@mkdir -p doc
	@build/lathe exec tools/api.lua doc/api.md

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1	\2/p' Makefile | expand -t 22
