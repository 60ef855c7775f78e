# What the scripts share: the workspace's root, messages, timing, and how to install packages.
# shellcheck shell=bash

# The physical path, so that the path of a symbolic link to the clone cannot get into a built file.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$root"

# The oldest compiler that builds the workspace, from the root Cargo.toml.
rust_version=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml | head -n 1)

# say MESSAGE...: prints a message to standard error, unless OUTLAYER_QUIET is set.
say() {
    [ -n "${OUTLAYER_QUIET:-}" ] || printf '%s\n' "$*" >&2
}

# fail MESSAGE...: prints an error and ends the script.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# seconds N: prints N seconds for a person to read, such as "2 min 5 s".
seconds() {
    if [ "$1" -lt 60 ]; then
        printf '%s s' "$1"
    else
        printf '%s min %s s' "$(($1 / 60))" "$(($1 % 60))"
    fi
}

# step WHAT COMMAND...: prints WHAT, runs the command, and prints how long it took.
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

# at_least FOUND NEEDED: succeeds when the dotted version FOUND is NEEDED or newer.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# version_of RUSTC: prints the compiler's version, such as 1.95.0.
version_of() {
    "$1" --version 2>/dev/null | sed -n 's/^[a-z]* \([0-9.]*\).*/\1/p'
}

# as_root COMMAND...: runs a command as root, through sudo if this user is not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        printf 'this needs root, and sudo is not installed; as root, run: %s\n' "$*" >&2
        return 1
    fi
}

# apt_install PACKAGE...: installs Debian packages, and never removes another package for them.
# Shows the output of apt-get only when it fails.
apt_install() {
    command -v apt-get >/dev/null ||
        fail "these Debian packages are needed, or your system's equivalents: $*"
    local answer
    local -a install=(env DEBIAN_FRONTEND=noninteractive
        apt-get install --yes --quiet --no-install-recommends --no-remove "$@")
    answer=$(as_root "${install[@]}" 2>&1) && return
    say "    refreshing the package lists"
    as_root apt-get update --quiet=2 >&2 || say "    (some could not be refreshed)"
    answer=$(as_root "${install[@]}" 2>&1) || fail "apt-get could not install $*:
$answer"
}

# build_programs WHAT TARGET...: builds programs of the workspace. A target is chosen as for cargo
# build: --bin outlayer.
#
# Cargo chooses the features of the dependencies by what is built together. With --workspace and an
# example they are those that the tests have, so that scripts/test, scripts/demo and the others
# never compile a dependency twice. Only the chosen targets are built.
build_programs() {
    local what=$1
    shift
    step "Building $what (about 8 minutes the first time, on 2 cores)" \
        cargo build --workspace --locked --example demo "$@"
}

# Prints the version of the workspace.
workspace_version() {
    sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml"
}

# Prints the names of the crates that are published, which have no `publish` in their manifests.
published_crates() {
    grep --files-without-match '^publish' crates/*/Cargo.toml worker/Cargo.toml |
        xargs sed -n '/^\[package\]/,/^\[/s/^name = "\(.*\)"$/\1/p' | sort
}
