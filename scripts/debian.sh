# Packages of Debian beside the build, for the checks that need tools which Rust's own installer does not bring.
# Sourced by other scripts, which have `set -euo pipefail`. Nothing is installed: lists, downloads and what is unpacked
# are in the folder that the caller names.

debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

# fail MESSAGE HINT [CODE]
fail() {
  echo "${0##*/}: $1" >&2
  echo "hint: $2" >&2
  exit "${3-1}"
}

# debian_apt FOLDER PROGRAM…: apt with lists, status and downloads of its own, so that the machine's packages are neither
# read nor changed. How to reach a mirror (a proxy, say) still comes from the machine's configuration.
debian_apt() {
  local folder=$1 program=$2
  shift 2
  "$program" -q \
    -o Dir::State="$folder" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder" \
    -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Debug::NoLocking=true "$@"
}

# debian_lists FOLDER SUITE…: makes the folder again and fetches the suites' lists into it.
debian_lists() {
  local folder=$1 suite tool mirror=${MIRROR-}
  shift
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$tool is not there" 'run it on Debian, or in a container of it'
  done
  [[ -r $debian_keys ]] || fail "expected Debian's archive keys in $debian_keys" 'apt-get install debian-archive-keyring'
  [[ -n $mirror ]] ||
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
      sed -n 's/^Debian Debian //p')
  mirror=${mirror%%$'\n'*}
  [[ -n $mirror ]] || fail "this machine's apt names no mirror of Debian" 'apt-get update, or MIRROR=URL of one'
  rm -rf "$folder"
  mkdir -p "$folder/lists/partial" "$folder/archives/partial"
  touch "$folder/status"
  for suite; do echo "deb [signed-by=$debian_keys] $mirror $suite main"; done >"$folder/sources.list"
  debian_apt "$folder" apt-get update
}
