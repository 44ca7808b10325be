#!/usr/bin/env bash
# Makes what `make bench` measures kaiwa beside: a virtual environment for each lock in bench/peers, since
# their packages do not agree, and Node packages where bench/peers/js asks for some.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
uv=$venv/bin/uv
locks=bench/peers
environments=.venv-peers
javascript=$locks/js

install_peer() { # install_peer DIRECTORY LOCK
    "$uv" venv --quiet --clear --python "$venv/bin/python" "$1"
    VIRTUAL_ENV=$PWD/$1 "$uv" pip sync --require-hashes "$2"
}

install_javascript() {
    (cd "$javascript" && npm ci --ignore-scripts --no-progress) &&
        cp "$javascript"/package-lock.json "$javascript"/node_modules/.kaiwa-setup
}

missing_debian_packages() {
    command -v chromium >/dev/null || echo chromium # the browser that is measured in
    [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || echo nginx-light # the relay to be measured by
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
    step "Peer: $name ($(grep -c == "$lock") packages)" install_peer "$environments/$name" "$lock"
    echo "$wanted" >"$stamp"
done
if [ -f "$javascript/package-lock.json" ] &&
    ! cmp -s "$javascript/package-lock.json" "$javascript/node_modules/.kaiwa-setup"; then
    step "Peers in Node" install_javascript
fi
[ $((SECONDS - began)) = 0 ] || say "Peers ready after $((SECONDS - began)) s"
