#!/usr/bin/env bash
# Runs the tests of the crates with unsafe code under memory and thread checkers.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/check_sanitizers.sh [address] [thread] [memcheck]

  address    AddressSanitizer and its leak check: kernels and cache, unit and integration tests
  thread     ThreadSanitizer: kernels, with a standard library that is built for it
  memcheck   valgrind: kernels but for the test of threads; it has no AVX-512, so the AVX2 and the portable code run
  -h, --help shows this

Without a word: all three. Each builds into a folder of its own below target/sanitizers.

The sanitizers come with the Rust compiler (x86-64 Linux); RUSTC_BOOTSTRAP=1 lets a stable one take their flags. For
`thread` the sources of the standard library are needed: those of the toolchain (rustup component add rust-src), or else
Debian's package rust-src of the very same version, unpacked below target/sanitizers. MIRROR=URL takes it from there and
not from the mirror that this machine's apt uses.
KERNEL_TEST_SHARE=NUMBER takes one of so many random cases and images; here 4, 10 under valgrind, 1 (all) in an ordinary
test.
HELP
}

cd "$(dirname "$0")/.."
. scripts/debian.sh
checks=()
for word; do
  case $word in
    address | thread | memcheck) checks+=("$word") ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown argument '$word'" 'scripts/check_sanitizers.sh --help' 2 ;;
  esac
done
((${#checks[@]})) || checks=(address thread memcheck)

target=x86_64-unknown-linux-gnu
[[ $(rustc -vV) == *"host: $target"* ]] || fail "expected a Rust compiler for $target" 'run it on such a machine'
mkdir -p "${CARGO_TARGET_DIR:-target}/sanitizers"
home=$(cd "${CARGO_TARGET_DIR:-target}/sanitizers" && pwd)
share=${KERNEL_TEST_SHARE-}
export RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0

say() { printf '\n== %s (%ss so far)\n' "$1" "$SECONDS"; }
# tests FOLDER SHARE ARGUMENT…
tests() {
  local folder=$1 usual=$2
  shift 2
  KERNEL_TEST_SHARE=${share:-$usual} CARGO_TARGET_DIR=$home/$folder cargo test --locked --quiet --target "$target" "$@"
}

check_address() {
  say 'AddressSanitizer: kernels, cache'
  RUSTFLAGS=-Zsanitizer=address tests address 4 -p kernels -p cache --lib --tests
}

# Prints where the sources of the standard library are.
library() {
  local ours version lists=$home/apt
  ours=$(rustc --print sysroot)/lib/rustlib/src/rust/library
  version=$(rustc -vV | sed -n 's/^release: //p')
  if [[ -d $ours ]]; then
    echo "$ours"
    return
  fi
  if [[ ! -d $home/usr/src/rustc-$version/library ]]; then
    debian_lists "$lists" trixie trixie-backports sid >&2
    (cd "$lists/archives" && debian_apt "$lists" apt-get download "rust-src=$version*") >&2 ||
      fail "Debian has no sources of Rust $version" 'rustup component add rust-src'
    dpkg-deb --extract "$lists"/archives/rust-src_*.deb "$home"
    rm -rf "$lists"
  fi
  echo "$home/usr/src/rustc-$version/library"
}

check_thread() {
  local sources
  say 'ThreadSanitizer: kernels'
  sources=$(library)
  # Without a standard library of its own it takes every lock for a race. (The variable is cargo's own, for its tests.)
  __CARGO_TESTS_ONLY_SRC_ROOT=$sources RUSTFLAGS=-Zsanitizer=thread \
    tests thread 4 -Zbuild-std -p kernels --lib --tests
}

check_memcheck() {
  say 'valgrind memcheck: kernels'
  command -v valgrind >/dev/null || fail 'valgrind is not there' 'apt-get install valgrind'
  # Threads of the global pool live as long as the process: what they hold is no leak.
  CARGO_PROFILE_RELEASE_DEBUG=line-tables-only CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite' \
    tests memcheck 10 --release -p kernels --lib --test against_naive --test errors
}

for check in "${checks[@]}"; do "check_$check"; done
say "passed: ${checks[*]}"
