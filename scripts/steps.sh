# Sourced by the set-up scripts: how they speak, show a step and reach the package index.

say() { printf '  %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2 && exit 1; }

step() { # step NAME COMMAND...: show the name, the seconds it took, and its output only when it fails
    local name=$1 began=$SECONDS log
    shift
    log=$(mktemp)
    printf '  %-44s' "$name" >&2
    if "$@" >"$log" 2>&1; then
        printf '%4d s\n' $((SECONDS - began)) >&2
        rm -f "$log"
    else
        printf 'failed\n' >&2
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
}

install_from_debian() {
    local install=(apt-get install -y -q --no-install-recommends "$@")
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" || { apt-get update -q && "${install[@]}"; }
}

need_root_for() { # need_root_for PACKAGE...: end with the command that root has to run
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "these are missing and only root can install them; please run:
    sudo apt-get install --no-install-recommends $*"
    fi
}

use_the_index_of_pip() { # uv does not read pip's configuration
    local index
    [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
    index=$("$venv/bin/pip" config list | sed -n "s/^.*[.]index-url='\(.*\)'$/\1/p" | tail -n 1)
    [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
    [ -n "${SSL_CERT_FILE:-}" ] || [ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE=$PIP_CERT
}
