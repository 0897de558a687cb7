#!/bin/sh
# Unpacks the bundle beside this file into a temporary folder, runs the stages of scripts/gpu-check/run.ts with the bundle's Node, and
# removes the folder. The options are those of run.ts.
set -eu
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
umask 022
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-gpu-XXXXXX")
trap 'rm -rf "$work"' EXIT

unpack() {
  if command -v xz >/dev/null 2>&1; then
    xz -dc "$1" | tar -xf - -C "$work"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2])' "$1" "$work"
  else
    echo "verify-gpu: expected the program xz or python3, which unpack the bundle, got neither. Install one of them." >&2
    exit 2
  fi
}
unpack "$here/programs.tar.xz"
unpack "$here/lockstep.tar.xz"

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
