# shellcheck shell=bash
# Shared by the scripts in this directory: words for the reader, tools they need, and Debian 13 root file systems. Sourced.
#
# A root file system is made once, kept in the cache and never written to again: run_in_root lays a file system in memory over
# it (tools/container). Whatever happens to the caller, no mount, container or changed file stays behind.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for rootfs
CACHE=${EDGED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/edged}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# quietly COMMAND...: show what a command printed only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  ((status == 0)) || tail -n 40 "$log" >&2
  rm "$log"
  return "$status"
}

# need_tools COMMAND=PACKAGE...: make sure that commands are there; root on Debian installs what is missing.
need_tools() {
  local pair packages=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || packages+=("${pair##*=}")
  done
  ((${#packages[@]})) || return 0
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    die "missing: ${packages[*]}. As root on Debian: apt-get install ${packages[*]}"
  fi
  say "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get -q update || die "apt-get update failed"
  quietly apt-get -q -y --no-install-recommends install "${packages[@]}" || die "could not install ${packages[*]}"
}

# lines WORD...: print words one a line, as CONTAINER_OPTIONS wants them.
lines() { printf '%s\n' "$@"; }

need_root() {
  [[ $EUID -eq 0 ]] || die "needs root, because it makes and runs Debian 13 root file systems: run it with sudo."
}

# dependencies build|run: the packages that debian/control asks for, one a line.
dependencies() {
  python3 "$TOP/tools/control.py" "$TOP/debian/control" "$1"
}

# run_in_root ROOT COMMAND...: run a command in a container over a throw-away copy of ROOT, without network, and return its exit
# code. CONTAINER_OPTIONS as for tools/container.
run_in_root() {
  local scratch lock status=0
  scratch=$(mktemp -d)
  # The shared lock keeps tools/rootfs from removing the root file system meanwhile.
  exec {lock}<"$1"
  flock --shared "$lock"
  "$TOP/tools/container" "$scratch" "$@" || status=$?
  exec {lock}<&-
  rmdir "$scratch"
  return "$status"
}
