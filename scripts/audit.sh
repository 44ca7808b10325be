#!/usr/bin/env bash
# Asks the package index and the advisory services about every locked package: releases that were withdrawn,
# and known holes. Needs a network; `make check` looks at hashes and licences without one.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
venv=${VENV:-.venv}
use_the_index_of_pip
failed=0

withdrawn() { # withdrawn LOCK: fail when a release was yanked after it was locked
    local told empty
    empty=$(mktemp -d)
    told=$("$venv/bin/uv" pip install --dry-run --no-deps --require-hashes --target "$empty" -r "$1" 2>&1) || {
        printf '%s\n' "$told"
        return 1
    }
    rmdir "$empty"
    ! grep -i yanked <<<"$told"
}

for lock in requirements.lock requirements-dev.lock requirements-setup.lock; do
    step "Withdrawn releases ($lock)" withdrawn "$lock" || failed=1
    step "Advisories ($lock)" "$venv/bin/uv" tool run pip-audit --require-hashes --disable-pip -r "$lock" || failed=1
done
for place in web tests/clients/js; do
    step "Advisories ($place)" npm audit --prefix "$place" || failed=1
done
exit $failed
