#!/bin/sh
# usage: sh scripts/with-node.sh [--debian] SCRIPT.ts [ARGUMENT...]
# Runs a script on the Node of node_modules, after installing what a fresh clone lacks: the npm packages, and with
# --debian the programs that the tests compare with (as root on Debian; elsewhere those tests say what they miss).
set -eu
cd "$(dirname "$0")/.."

if [ "${1-}" = --debian ]; then
  shift
  sh scripts/install-debian.sh
fi

find_node() {
  for node in node_modules/node-linux-*/bin/node; do
    [ -x "$node" ] && return 0
  done
  return 1
}

if ! find_node || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "Installing the npm packages of package-lock.json" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
  find_node || {
    echo "Cannot run $1: npm installed no Node 26 for this machine ($(uname -sm))" >&2
    exit 1
  }
fi
# npm 9 (Debian 12) makes no link for a program named "node".
[ -e node_modules/.bin/node ] || ln -s "../../$node" node_modules/.bin/node

PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec "$node" --disable-warning=ExperimentalWarning "$@"
