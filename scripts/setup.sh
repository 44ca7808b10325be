#!/usr/bin/env bash
# Makes a checkout ready to work: Debian packages, virtual environment, locked Python packages.
#
#   scripts/setup.sh run    what the server, the demo and the benchmark need
#   scripts/setup.sh dev    the same, and what the tests and checks need
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

level=${1:-dev}
venv=${VENV:-.venv}
stamp=$venv/.kaiwa-setup
[ -f "$stamp" ] && grep -q '^dev ' "$stamp" && level=dev # never take away what was installed before
case $level in
    run) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "setup: unknown level '$level' (run, dev)" >&2 && exit 2 ;;
esac

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3 python3.12 python3.13; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

missing_debian_packages() {
    local python
    python=$(find_python) || echo python3
    "${python:-python3}" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v flite >/dev/null || echo flite # the English voice
    [ "$level" != dev ] || command -v espeak-ng >/dev/null || echo espeak-ng # the stand-in voice, tested too
    [ "$level" != dev ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql # tests start one
    [ "$level" != dev ] || command -v redis-server >/dev/null || echo redis-server # and one of these
    [ "$level" != dev ] || command -v node >/dev/null || echo nodejs # runs the type checker and clients
    [ "$level" != dev ] || command -v npm >/dev/null || echo npm # installs those clients
    [ "$level" != dev ] || command -v chromium >/dev/null || echo chromium # the console is tested in it
    [ "$level" != dev ] || [ -e /usr/share/fonts/opentype/ipafont-gothic ] || echo fonts-ipafont-gothic
}

sync_packages() {
    VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip sync --require-hashes requirements-setup.lock "$lock"
}

sync_packages_with_pip() { # slower, but follows every setting that pip knows
    "$venv/bin/pip" install --no-deps --require-hashes -r requirements-setup.lock -r "$lock"
}

install_kaiwa() {
    VIRTUAL_ENV=$PWD/$venv "$venv/bin/uv" pip install --offline --no-deps --no-build-isolation --editable .
}

javascript=(tests/clients/js web) # the clients that call in tests, and what builds the console
inputs=(pyproject.toml scripts/setup.sh scripts/steps.sh requirements-setup.lock "$lock")
[ "$level" != dev ] || inputs+=("${javascript[@]/%//package-lock.json}")
wanted="$level $(cat "${inputs[@]}" | sha256sum | cut -c1-64)"
if [ -x "$venv/bin/kaiwa" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
    { [ "$level" = run ] || { javascript_done "${javascript[0]}" && javascript_done "${javascript[1]}"; }; }; then
    [ "$level" = run ] || scripts/setup-functions.sh
    exit 0
fi

began=$SECONDS
say "Setting up kaiwa ($level)"
mapfile -t packages < <(missing_debian_packages)
install_missing "${packages[@]}"
python=$(find_python) || fail "Python 3.11 or newer is needed (set PYTHON=/path/to/python3)."
[ -x "$venv/bin/pip" ] || step "Virtual environment" "$python" -m venv "$venv"
rm -f "$stamp"
step "Installer (uv)" "$venv/bin/pip" install -q --disable-pip-version-check --require-hashes \
    -r requirements-setup.lock
use_the_index_of_pip
step "Python packages ($(grep -c == "$lock"))" sync_packages || step "Once more with pip" sync_packages_with_pip
step "kaiwa itself" install_kaiwa
if [ "$level" = dev ]; then
    for folder in "${javascript[@]}"; do
        javascript_done "$folder" || step "Packages for JavaScript: $folder" install_javascript "$folder"
    done
    scripts/setup-functions.sh
fi
echo "$wanted" >"$stamp"
say "Ready after $((SECONDS - began)) s"
