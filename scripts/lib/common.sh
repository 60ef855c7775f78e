# What the scripts share: the workspace's root, messages, timing, and packages of the host.
# shellcheck shell=bash

# The physical path, so that a symbolic link to the clone does not show in what is built.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$root"

# The oldest compiler that builds the workspace, from the root Cargo.toml.
rust_version=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml | head -n 1)

# With OUTLAYER_QUIET set, only errors are printed.
say() {
    [ -n "${OUTLAYER_QUIET:-}" ] || printf '%s\n' "$*" >&2
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# seconds N: N seconds for a person to read.
seconds() {
    if [ "$1" -lt 60 ]; then
        printf '%s s' "$1"
    else
        printf '%s min %s s' "$(($1 / 60))" "$(($1 % 60))"
    fi
}

# step WHAT COMMAND...: says what is being done and, afterwards, how long it took.
step() {
    local what=$1 begun=$SECONDS status=0
    shift
    say "==> $what"
    "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        printf 'error: failed after %s: %s\n' "$(seconds $((SECONDS - begun)))" "$*" >&2
        return "$status"
    fi
    say "    took $(seconds $((SECONDS - begun)))"
}

# at_least FOUND NEEDED: whether a dotted version is NEEDED or newer.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# version_of RUSTC: its version, such as 1.95.0.
version_of() {
    "$1" --version 2>/dev/null | sed -n 's/^[a-z]* \([0-9.]*\).*/\1/p'
}

# as_root COMMAND...: runs it as root, through sudo where that is needed.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        printf 'this needs root, and there is no sudo here; as root, run: %s\n' "$*" >&2
        return 1
    fi
}

# apt_install PACKAGE...: installs Debian packages and never removes one to make room. What apt-get
# writes is shown only when it fails.
apt_install() {
    command -v apt-get >/dev/null ||
        fail "these Debian packages, or what your system calls them, are needed: $*"
    local answer
    local -a install=(env DEBIAN_FRONTEND=noninteractive
        apt-get install --yes --quiet --no-install-recommends --no-remove "$@")
    answer=$(as_root "${install[@]}" 2>&1) && return
    say "    refreshing the package lists"
    as_root apt-get update --quiet=2 >&2 || say "    (some cannot be refreshed)"
    answer=$(as_root "${install[@]}" 2>&1) || fail "apt-get cannot install $*:
$answer"
}

# Builds everything, tests too, in one go. The features that cargo chooses for the dependencies follow from what is
# built together: in parts, the two Wasm engines among them would be compiled once for each part.
build_workspace() {
    step "Building the workspace (about 20 minutes the first time, on 2 cores)" \
        cargo build --workspace --all-targets --locked
}
