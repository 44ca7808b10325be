#!/usr/bin/env bash
# Writes the lock files anew: every package with its version and hashes, no registry host, no path.
# Linux x86_64 wheels for Python 3.11 decide the versions; the hashes of the other wheels are listed too.
# Versions that stand in a lock file stay; `make lock ARGS=--upgrade` renews them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${VENV:-.venv}/bin/uv

excludes=scripts/lock-excludes.txt
compile() {
    "$uv" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all: \
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
