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

node=node_modules/node/bin/node
if [ ! -d node_modules/node ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "Installing the npm packages of package-lock.json" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
if [ ! -x "$node" ]; then
  # The package "node" fetches node-linux-<arch> in its install script. Not every npm runs those of packages unasked, so
  # it is run here: the only one that we need.
  (cd node_modules/node && npm_config_loglevel=error node installArchSpecificPackage.js >&2) || true
  [ -x "$node" ] || {
    echo "Cannot run $1: the npm package \"node\" could not fetch Node for this machine ($(uname -sm))" >&2
    exit 1
  }
fi
# npm makes no link to a program that came after it.
[ -e node_modules/.bin/node ] || ln -sf ../node/bin/node node_modules/.bin/node

PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec "$node" --disable-warning=ExperimentalWarning "$@"
