#!/usr/bin/env bash
# Writes the lock files anew: every package with its version and hashes, no registry host, no path.
# Linux x86_64 wheels for Python 3.11 decide the versions; the hashes of the other wheels are listed too.
# Versions that stand in a lock file stay; `make lock ARGS=--upgrade` renews them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${VENV:-.venv}/bin/uv

excludes=scripts/lock-excludes.txt
python=3.11
compile() {
    "$uv" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
        --python-version "$python" --python-platform x86_64-manylinux_2_28 --only-binary :all: \
        --excludes "$excludes" "$@"
}

compile "$@" scripts/setup-requirements.txt --output-file requirements-setup.lock
compile "$@" --extra all pyproject.toml \
    --constraint requirements-setup.lock --output-file requirements.lock
compile "$@" --extra all --group dev pyproject.toml \
    --constraint requirements-setup.lock --constraint requirements.lock --output-file requirements-dev.lock

# The frameworks of `make test-clients` and what kaiwa is measured beside: an environment each, nothing shared
# with the others or with kaiwa.
for asked in tests/clients/programs/*.in bench/peers/*.in; do
    excludes=${asked%.in}-excludes.txt
    [ -f "$excludes" ] || excludes=/dev/null
    compile "$@" "$asked" --output-file "${asked%.in}.lock"
done

# The Chainlit page: a process of its own, with packages of its own; one of them comes as source only.
excludes=/dev/null
compile --only-binary :none: "$@" ui/chainlit/chainlit.in --output-file ui/chainlit/chainlit.lock

# What runs Azure Functions apps here: the worker code asks for Python 3.13 (and runs on 3.11), the rest does not.
functions=deploy/azure-functions
excludes=/dev/null python=3.13
compile "$@" --no-deps $functions/worker.in --output-file $functions/worker.lock
excludes=$functions/packages-excludes.txt python=3.11
compile "$@" $functions/packages.in --output-file $functions/packages.lock
