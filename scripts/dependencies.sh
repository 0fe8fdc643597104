#!/usr/bin/env bash
# Licences, second versions, sources and known vulnerabilities of all dependencies, by deny.toml.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/dependencies.sh

Runs cargo-deny, and installs it first where it is missing (four minutes of one core). Advisories need the RustSec
database, a git repository: where it can't be had this says so, and checks the rest; with ADVISORIES=required that is an
error. Where cargo-deny can't be installed either, nothing is checked: an error if CI is set.
HELP
}

case "${1-}" in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) echo "dependencies.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

version=0.20.2
if ! cargo deny --version >/dev/null 2>&1; then
  echo "installing cargo-deny $version"
  if ! cargo install --quiet --locked "cargo-deny@$version"; then
    if [[ -n ${CI-} ]]; then
      echo "dependencies.sh: expected to install cargo-deny, which failed" >&2
      echo "hint: see the lines above; cargo needs a package registry" >&2
      exit 1
    fi
    echo 'skipped: cargo-deny cannot be installed here'
    exit 0
  fi
fi

cargo deny --locked check --hide-inclusion-graph licenses bans sources

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if timeout 120 cargo deny --locked fetch db >"$log" 2>&1; then
  cargo deny --locked check --hide-inclusion-graph advisories
elif [[ ${ADVISORIES-} == required ]]; then
  tail -n 5 "$log" >&2
  echo 'dependencies.sh: expected the advisory database, could not fetch it' >&2
  exit 1
else
  echo 'advisories NOT checked: the RustSec database cannot be fetched here'
fi
