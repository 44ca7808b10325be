#!/usr/bin/env bash
# Makes the virtual environment of the Chainlit page (ui/chainlit), apart from kaiwa's own: the packages of the two
# do not agree.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
uv=$venv/bin/uv
environment=.venv-chainlit
lock=ui/chainlit/chainlit.lock

install_chainlit() {
    "$uv" venv --quiet --clear --python "$venv/bin/python" "$environment"
    VIRTUAL_ENV=$PWD/$environment "$uv" pip sync --require-hashes "$lock"
}

wanted=$(sha256sum <"$lock")
stamp=$environment/.kaiwa-setup
[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
use_the_index_of_pip
rm -f "$stamp"
step "Chainlit page ($(grep -c == "$lock") packages)" install_chainlit
echo "$wanted" >"$stamp"
