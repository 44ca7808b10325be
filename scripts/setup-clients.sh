#!/usr/bin/env bash
# Makes what `make test-clients` needs beside the checkout that scripts/setup.sh makes: a virtual environment
# for each framework, since their packages do not agree, a browser, and a stand-in of Cosmos DB.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
cosmosdb=tests/apps/cosmosdb

missing_debian_packages() {
    command -v chromium >/dev/null || echo chromium
    [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || echo nginx-light # the balancers of deploy/
    command -v caddy >/dev/null || echo caddy
    command -v systemd-analyze >/dev/null || echo systemd # nothing of it is started
}

began=$SECONDS
mapfile -t packages < <(missing_debian_packages)
install_missing "${packages[@]}"
for lock in tests/clients/programs/*.lock; do
    name=$(basename "$lock" .lock)
    make_environment "Framework: $name" ".venv-clients/$name" "$lock"
done
javascript_done $cosmosdb || step "Stand-in of Cosmos DB" install_javascript $cosmosdb
scripts/setup-chainlit.sh
[ $((SECONDS - began)) = 0 ] || say "Clients ready after $((SECONDS - began)) s"
