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

install_missing() { # install_missing PACKAGE...: Debian's, with root's rights
    [ $# -gt 0 ] || return 0
    need_root_for "$@"
    step "Debian packages: $*" install_from_debian "$@"
}

make_environment() { # make_environment NAME DIRECTORY LOCK: a virtual environment of exactly these packages
    local name=$1 directory=$2 lock=$3 wanted
    wanted=$(sha256sum <"$lock")
    [ "$(cat "$directory/.kaiwa-setup" 2>/dev/null)" != "$wanted" ] || return 0
    rm -f "$directory/.kaiwa-setup"
    use_the_index_of_pip
    step "$name ($(grep -c == "$lock") packages)" sync_environment "$directory" "$lock"
    echo "$wanted" >"$directory/.kaiwa-setup"
}

sync_environment() {
    "$venv/bin/uv" venv --quiet --clear --python "$venv/bin/python" "$1" &&
        VIRTUAL_ENV=$PWD/$1 "$venv/bin/uv" pip sync --require-hashes "$2"
}

javascript_done() { # whether what a folder's lock names is installed
    cmp -s "$1/package-lock.json" "$1/node_modules/.kaiwa-setup"
}

install_javascript() {
    (cd "$1" && npm ci --ignore-scripts --no-progress) && cp "$1/package-lock.json" "$1/node_modules/.kaiwa-setup"
}
