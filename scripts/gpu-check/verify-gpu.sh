#!/bin/sh
# Unpacks the bundle beside this file into a temporary folder, runs the stages of scripts/gpu-check/run.ts with the bundle's Node, and
# removes the folder. The options are those of run.ts.
set -eu
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
umask 022
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-gpu-XXXXXX")
trap 'rm -rf "$work"' EXIT

# The bundle's own xz needs glibc 2.34. A copy of the folder may have lost the permission to execute it, which the loader does not need.
own_xz() {
  /lib64/ld-linux-x86-64.so.2 --library-path "$here/xz" "$here/xz/xz" "$@"
}
if command -v xz >/dev/null 2>&1; then
  decompress=xz
elif own_xz --version >/dev/null 2>&1; then
  decompress=own_xz
else
  echo "verify-gpu: expected the program xz, which unpacks the bundle, got none, and the bundle's own one needs glibc 2.34. Install xz." >&2
  exit 2
fi
for archive in programs lockstep; do
  "$decompress" -dc "$here/$archive.tar.xz" | tar -xf - -C "$work"
done

# Only the libraries that this system does not have come from the bundle.
present=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true)
mkdir "$work/libraries"
for file in "$work"/lib/*; do
  name=${file##*/}
  case $present in
    *"$name ("*) ;;
    *) ln -s "$file" "$work/libraries/$name" ;;
  esac
done

export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$work/libraries"
export HOME="${HOME:-$work}" XDG_CACHE_HOME="$work/cache" TMPDIR="$work" NO_COLOR=1
"$work/bin/node" "$work/lockstep/node_modules/jiti/lib/jiti-cli.mjs" "$work/lockstep/scripts/gpu-check/run.ts" "$@" &
child=$!
# A signal ends the program, which ends its own processes, before the folder is removed.
trap 'kill "$child" 2>/dev/null' INT TERM HUP
status=0
wait "$child" || status=$?
# A signal interrupts the first wait.
while kill -0 "$child" 2>/dev/null; do
  status=0
  wait "$child" || status=$?
done
exit "$status"
