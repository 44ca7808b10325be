#!/usr/bin/env bash
# Installs what runs Azure Functions apps (`kaiwa functions serve`) into .funcs: the platform's own worker code and
# what it and the apps of deploy/azure-functions import. Called by scripts/setup.sh dev.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
uv=$venv/bin/uv
locks=deploy/azure-functions
libraries=.funcs
stamp=$libraries/.kaiwa-setup

install_libraries() { # the worker code asks for Python 3.13, and is pure Python that runs on 3.11
    rm -rf "$libraries"
    "$uv" pip install --quiet --python "$venv/bin/python" --target "$libraries" --require-hashes --no-deps \
        --python-version 3.13 --only-binary :all: -r "$locks/worker.lock" &&
        "$uv" pip install --quiet --python "$venv/bin/python" --target "$libraries" --require-hashes --no-deps \
            -r "$locks/packages.lock"
}

wanted=$(cat "$locks"/*.lock | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
use_the_index_of_pip
step "Azure Functions ($(cat "$locks"/*.lock | grep -c ==) packages)" install_libraries
echo "$wanted" >"$stamp"
