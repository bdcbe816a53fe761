#!/bin/sh
# Sets up what Daybook needs to build and test, or says what to install.
set -eu

missing=""
command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs (1.95 or newer)"; exit 1; }
command -v cc >/dev/null || missing="$missing build-essential"
found=""
for dir in "$(command -v pg_config >/dev/null && pg_config --bindir || true)" /usr/lib/postgresql/*/bin; do
  [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && found="$dir"
done
[ -n "$found" ] || missing="$missing postgresql"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing:$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing
else
  echo "missing:$missing. On Debian or Ubuntu: sudo apt-get install$missing"
  exit 1
fi
