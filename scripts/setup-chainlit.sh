#!/usr/bin/env bash
# Makes the virtual environment of the Chainlit page (ui/chainlit), apart from kaiwa's own: the packages of the two
# do not agree.
#
# Does nothing when nothing changed since the last time; needs no network then.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

venv=${VENV:-.venv}
make_environment "Chainlit page" .venv-chainlit ui/chainlit/chainlit.lock
