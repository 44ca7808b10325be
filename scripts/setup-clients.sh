#!/usr/bin/env bash
# Makes what `make test-clients` needs beside the checkout that scripts/setup.sh makes: a virtual environment
# for each framework, since their packages do not agree, a browser, and a stand-in of Cosmos DB.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
uv=$venv/bin/uv
locks=tests/clients/programs
environments=.venv-clients

install_framework() { # install_framework DIRECTORY LOCK
    "$uv" venv --quiet --clear --python "$venv/bin/python" "$1"
    VIRTUAL_ENV=$PWD/$1 "$uv" pip sync --require-hashes "$2"
}

install_stand_in_of_cosmosdb() {
    (cd "$cosmosdb" && npm ci --ignore-scripts --no-progress) &&
        cp "$cosmosdb"/package-lock.json "$cosmosdb"/node_modules/.kaiwa-setup
}

missing_debian_packages() {
    command -v chromium >/dev/null || echo chromium
}

began=$SECONDS
mapfile -t packages < <(missing_debian_packages)
if [ ${#packages[@]} -gt 0 ]; then
    need_root_for "${packages[@]}"
    step "Debian packages: ${packages[*]}" install_from_debian "${packages[@]}"
fi
use_the_index_of_pip
for lock in "$locks"/*.lock; do
    name=$(basename "$lock" .lock)
    wanted=$(sha256sum <"$lock")
    stamp=$environments/$name/.kaiwa-setup
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || continue
    rm -f "$stamp"
    step "Framework: $name ($(grep -c == "$lock") packages)" install_framework "$environments/$name" "$lock"
    echo "$wanted" >"$stamp"
done
cosmosdb=tests/apps/cosmosdb
if ! cmp -s $cosmosdb/package-lock.json $cosmosdb/node_modules/.kaiwa-setup; then
    step "Stand-in of Cosmos DB" install_stand_in_of_cosmosdb
fi
scripts/setup-chainlit.sh
[ $((SECONDS - began)) = 0 ] || say "Clients ready after $((SECONDS - began)) s"
