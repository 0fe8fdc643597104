#!/usr/bin/env bash
# Builds the tests of crates/kernels for 64-bit Arm and runs them under an emulator.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/check_neon.sh [--asm-only | --clean] [-- TEST-ARGUMENTS]

Compiles crates/kernels for aarch64-unknown-linux-gnu, runs its unit, property and independence tests under qemu-user,
lints it for that target's own code with rustc's warnings as errors, and reads the machine code of the optimised build:
the inner loops of the matrix kernel must be vector multiply-adds (fmla) that touch no stack.

  --asm-only  without the tests
  --clean     removes what earlier runs fetched and built
  -h, --help  shows this

The compiler, the Arm standard library, the linker and the emulator are packages of Debian stable and its backports. They
are unpacked (not installed) below target/neon, about 2.5 GB, and entered with chroot; this machine's own packages are
not touched. Needs apt, dpkg, unshare, cargo, and Debian's archive keys; not root where user namespaces are allowed.

MIRROR=URL takes Debian packages from there and not from the mirror that this machine's apt uses.
KERNEL_TEST_SHARE=NUMBER takes one of so many random cases and images; 4 here, 1 (all) in an ordinary test.
HELP
}

say() { printf '\n== %s (%ss so far)\n' "$1" "$SECONDS"; }

asm_only=
cd "$(dirname "$0")/.."
. scripts/debian.sh
mkdir -p "${CARGO_TARGET_DIR:-target}/neon"
home=$(cd "${CARGO_TARGET_DIR:-target}/neon" && pwd)
while (($# > 0)); do
  case $1 in
    --asm-only) asm_only=1 ;;
    --clean) rm -rf "$home"; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) fail "unknown argument '$1'" 'scripts/check_neon.sh --help' 2 ;;
  esac
  shift
done

target=aarch64-unknown-linux-gnu
suite=trixie
tree=$home/tree

[[ $(uname -m) == x86_64 ]] || fail "expected x86-64, found $(uname -m)" 'on 64-bit Arm: cargo test -p kernels'
for tool in unshare cargo; do
  command -v "$tool" >/dev/null || fail "$tool is not there" 'it needs util-linux and Rust'
done
inside=(unshare --mount)
((EUID == 0)) || inside+=(--map-root-user)
"${inside[@]}" true 2>/dev/null ||
  fail 'this user may neither mount nor make user namespaces' 'run it as root, or in a container that allows them'

unpack() {
  local lists=$home/apt package
  rm -rf "$tree"
  mkdir -p "$tree"
  debian_lists "$lists" "$suite" "$suite-backports"
  debian_apt "$lists" apt-get install --download-only --yes --target-release "$suite-backports" \
    base-files bash coreutils rustc cargo gcc-aarch64-linux-gnu libc6-dev-arm64-cross "qemu-user/$suite"
  # Alone: the packages that it depends on (the compiler's own libraries for Arm) are not needed to build with it.
  (cd "$lists/archives" && debian_apt "$lists" apt-get download "libstd-rust-dev:arm64/$suite-backports")
  # base-files first: it brings the links /bin, /lib and /lib64 that the others' paths go through.
  for package in "$lists"/archives/base-files_*.deb "$lists"/archives/*.deb; do
    dpkg-deb --extract "$package" "$tree"
  done
  rm -rf "$lists"
  mkdir -p "$tree/project" "$tree/dev" "$tree/proc" "$tree/tmp"
  touch "$tree/dev/null" "$tree/unpacked"
}

# in_tree COMMAND…: runs it in the unpacked tree, in the staged project, without network.
in_tree() {
  "${inside[@]}" bash -euc '
    tree=$1; shift
    mount --bind /dev/null "$tree/dev/null"
    mount --rbind /proc "$tree/proc"
    exec chroot "$tree" /usr/bin/env -i --chdir=/project HOME=/tmp PATH=/usr/bin LC_ALL=C.UTF-8 \
      CARGO_TARGET_DIR=/tmp/target CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu CARGO_INCREMENTAL=0 \
      CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=gcc \
      CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
      CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
      KERNEL_TEST_SHARE="${KERNEL_TEST_SHARE-4}" RUSTFLAGS=-Dwarnings "$@"
  ' bash "$tree" "$@"
}

# The crate, the one of this project that it needs, its lock file and its dependencies, in a workspace of its own: the
# other crates need much that these do not.
stage() {
  local project=$tree/project
  rm -rf "$project/crates"
  mkdir -p "$project/crates" "$project/.cargo"
  cp -p Cargo.toml "$project/"
  cp -Rp crates/kernels crates/util "$project/crates/"
  if ! cmp -s Cargo.lock "$home/Cargo.lock"; then
    cp Cargo.lock "$project/"
    (cd "$project" && CARGO_TARGET_DIR=$home/unused cargo vendor --quiet vendor)
    printf '[source.%s]\n%s\n' crates-io 'replace-with = "vendor"' vendor 'directory = "vendor"' \
      >"$project/.cargo/config.toml"
    cp Cargo.lock "$home/Cargo.lock"
  fi
}

if [[ ! -e $tree/unpacked ]]; then
  say "unpacking Debian $suite with a Rust compiler and an emulator"
  unpack
  rm -f "$home/Cargo.lock"
fi
say 'staging crates/kernels and its dependencies'
stage
in_tree rustc --version
in_tree qemu-aarch64 --version | head -n 1

if [[ -z $asm_only ]]; then
  say "tests for $target, optimised, under the emulator"
  in_tree cargo test --release --offline --quiet -p kernels --lib --tests "$@"
fi

say 'machine code of the matrix kernel'
in_tree cargo build --release --offline --quiet -p kernels --example accuracy
in_tree aarch64-linux-gnu-objdump --disassemble --no-show-raw-insn --demangle \
  "/tmp/target/$target/release/examples/accuracy" >"$home/accuracy.s"
# Two sizes of the register tile, inlined into the direct and into Winograd's algorithm.
awk -v expected=4 -f scripts/neon_loops.awk "$home/accuracy.s" ||
  fail 'the matrix kernel is not what it should be for 64-bit Arm' "look at $home/accuracy.s"

say 'all passed'
