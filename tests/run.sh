#!/bin/sh
# Runs the tests: tests/run.sh BUILD [FOLDER|FILE ...]. Each test program (C, built under BUILD/tests)
# and each Lua test (run by `BUILD/lathe exec`) prints lines `ok NAME`, `not ok NAME: why`, `skip NAME: why`.
# This script adds them up, shows what failed, and closes with `N passed, N failed, N skipped`.
# A program that ends badly without a `not ok` line counts as one failure.
set -u
build=$1; shift
[ $# -gt 0 ] || set -- tests
cd "$(dirname "$0")/.." || exit 2
export LATHE_CACHE=off # tests leave nothing behind
export LATHE_BUILD="$build" LATHE_CONFORMANCE="${LATHE_CONFORMANCE:-../shared/conformance}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:allocator_may_return_null=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-allocator_may_return_null=1:halt_on_error=0:suppressions=$PWD/tests/support/tsan.supp}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}" LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0}"
logs="$build/test-logs"; rm -rf "$logs"; mkdir -p "$logs"
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/lathe-test.XXXXXX"); export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM

find "$@" -name '*_test.c' -o -name '*_test.lua' | sort | xargs -P "${LATHE_TEST_JOBS:-2}" -n 1 sh -c '
  src=$1; log="'"$logs"'/$(echo "$src" | tr / _).log"
  case "$src" in
    *.c) cmd="'"$build"'/${src%.c}" ;;
    *.lua) cmd="'"$build"'/lathe exec $src" ;;
  esac
  start=$(date +%s%N)
  timeout -k 5 "${LATHE_TEST_TIMEOUT:-240}" $cmd > "$log" 2>&1 < /dev/null; rc=$?
  if [ $rc -ne 0 ] && ! grep -q "^not ok " "$log"; then echo "not ok $src: ended with status $rc" >> "$log"; fi
  if [ $rc -eq 0 ] && ! grep -qE "^(ok|not ok|skip) " "$log"; then echo "not ok $src: reported nothing" >> "$log"; fi
  echo "time $(( ($(date +%s%N) - start) / 1000000 )) ms $src" >> "$log"' sh

cat "$logs"/*.log > "$logs/all" 2>/dev/null || : > "$logs/all"
passed=$(grep -c '^ok ' "$logs/all"); failed=$(grep -c '^not ok ' "$logs/all"); skipped=$(grep -c '^skip ' "$logs/all")
grep '^skip ' "$logs/all"
for log in "$logs"/*.log; do
  if grep -q '^not ok ' "$log"; then echo "--- $(basename "$log" .log)"; grep -v '^ok ' "$log" | tail -n 60; fi
done
if [ -d "$TMPDIR" ] && [ -n "$(ls -A "$TMPDIR")" ]; then
  echo "not ok temporary files left behind: $(ls -A "$TMPDIR" | head -n 5 | tr '\n' ' ')"; failed=$((failed + 1))
fi
if [ -n "${LATHE_TEST_TIMES:-}" ]; then grep -h '^time ' "$logs"/*.log | sort -k2 -n | tail -n 15; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
