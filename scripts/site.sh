#!/usr/bin/env bash
# Builds the documentation into build/site. A link or heading that does not exist ends it; output only then.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Not --quiet: it would silence the warnings that --strict counts.
NO_MKDOCS_2_WARNING=1 "${VENV:-.venv}/bin/mkdocs" build --strict --site-dir build/site >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
