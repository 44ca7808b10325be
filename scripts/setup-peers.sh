#!/usr/bin/env bash
# Makes what `make bench` measures kaiwa beside: a virtual environment for each lock in bench/peers, since
# their packages do not agree, and Node packages where bench/peers/js asks for some.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
javascript=bench/peers/js

missing_debian_packages() {
    command -v chromium >/dev/null || echo chromium # the browser that is measured in
    [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || echo nginx-light # the relay to be measured by
}

began=$SECONDS
mapfile -t packages < <(missing_debian_packages)
install_missing "${packages[@]}"
for lock in bench/peers/*.lock; do
    name=$(basename "$lock" .lock)
    make_environment "Peer: $name" ".venv-peers/$name" "$lock"
done
javascript_done "$javascript" || step "Peers in Node" install_javascript "$javascript"
[ $((SECONDS - began)) = 0 ] || say "Peers ready after $((SECONDS - began)) s"
