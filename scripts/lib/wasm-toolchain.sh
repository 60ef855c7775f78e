# Finds or installs a compiler for Wasm, and builds with it. Source common.sh first.
#
# The compiler and its standard libraries for Wasm come from one of two places:
#   rustup   the toolchain in use has the Wasm targets, or rustup can fetch them;
#   debian   Debian's rustc-web and its library sources, from which the standard libraries are
#            built once, into a cache.
# OUTLAYER_WASM_TOOLCHAIN names one of them; without it, the first that works is taken.
# shellcheck shell=bash

wasm_targets=(wasm32-unknown-unknown wasm32-wasip1)

# What a NEAR node and the executor both accept. The baseline is the first version of Wasm, which
# excludes multi-value and reference types. Nodes accept the four additions from protocol version 84
# on.
wasm_features=+mutable-globals,+sign-ext,+nontrapping-fptoint,+bulk-memory
wasm_flags="-C target-cpu=mvp -C target-feature=$wasm_features"

debian_packages=(rustc-web rust-web-src cargo-web lld-22 wasi-libc)
debian_rustc=/usr/bin/rustc
debian_cargo=/usr/bin/cargo
debian_sources=/usr/lib/rustlib/src/rust/library
debian_wasi_libc=/usr/lib/wasm32-wasi

# Sets wasm_rustc, wasm_cargo, wasm_linker and wasm_sysroot (the last two may be empty), and
# wasm_id. Each wasm_id has a build folder of its own, because cargo does not notice when the
# standard libraries change.
find_wasm_toolchain() {
    case ${OUTLAYER_WASM_TOOLCHAIN:-} in
    rustup)
        rustup_has_targets || rustup_add_targets ||
            fail "rustup cannot add the targets ${wasm_targets[*]}"
        use_rustup
        ;;
    debian)
        debian_provision
        use_debian
        ;;
    "")
        # What is installed comes first, so that nobody waits for a network that is not there.
        if rustup_has_targets; then
            use_rustup
        elif debian_is_here && [ -d "$(debian_sysroot)" ]; then
            use_debian
        elif rustup_add_targets; then
            use_rustup
        else
            say "    rustup cannot add the targets, so Debian's compiler is used"
            debian_provision
            use_debian
        fi
        ;;
    *) fail "OUTLAYER_WASM_TOOLCHAIN is '$OUTLAYER_WASM_TOOLCHAIN'; expected rustup or debian" ;;
    esac
}

# -- rustup ------------------------------------------------------------------------------------

rustup_has_targets() {
    local target libdir
    for target in "${wasm_targets[@]}"; do
        libdir=$(rustc --print target-libdir --target "$target" 2>/dev/null) || return 1
        compgen -G "$libdir/libstd-*.rlib" >/dev/null || return 1
    done
}

rustup_add_targets() {
    local answer
    command -v rustup >/dev/null || return 1
    say "    asking rustup for ${wasm_targets[*]} (a minute at most)"
    local -a add=(timeout 60 rustup --quiet target add "${wasm_targets[@]}")
    if ! answer=$(RUST_BACKTRACE=0 "${add[@]}" 2>&1); then
        say "    it answers: ${answer:-nothing within a minute}"
        return 1
    fi
    rustup_has_targets
}

use_rustup() {
    wasm_id=rustup
    wasm_rustc=rustc
    wasm_cargo=cargo
    wasm_linker=
    wasm_sysroot=
}

# -- debian ------------------------------------------------------------------------------------

debian_is_here() {
    [ -x "$debian_rustc" ] && [ -x "$debian_cargo" ] && [ -d "$debian_sources" ] &&
        [ -e "$debian_wasi_libc/libc.a" ] &&
        at_least "$(version_of "$debian_rustc")" "$rust_version" &&
        command -v "$(debian_linker)" >/dev/null
}

# Prints the linker's name. The linker must belong to the compiler's own version of LLVM.
debian_linker() {
    "$debian_rustc" --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/wasm-ld-\1/p'
}

# Prints the folder in which the standard libraries are cached. Another compiler, other flags or
# another way of building them has another folder.
debian_sysroot() {
    local key
    key=$({
        "$debian_rustc" --version --verbose
        cat "$root"/scripts/lib/{build-wasm-std,wasm-toolchain.sh}
    } | sha256sum | cut -c 1-12)
    printf '%s/outlayer/wasm-std-%s-%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}" \
        "$(version_of "$debian_rustc")" "$key"
}

debian_provision() {
    if ! debian_is_here; then
        step "Installing ${debian_packages[*]} (about 2 minutes)" \
            apt_install "${debian_packages[@]}"
        debian_is_here || fail "found $debian_rustc $(version_of "$debian_rustc"); needed" \
            "$rust_version or newer, its sources in $debian_sources, and $(debian_linker)"
    fi
    local sysroot
    sysroot=$(debian_sysroot)
    [ -d "$sysroot" ] || step \
        "Building the standard libraries for Wasm, once, into $sysroot (about 2 minutes)" \
        scripts/lib/build-wasm-std "$sysroot"
}

use_debian_without_sysroot() {
    wasm_rustc=$debian_rustc
    wasm_cargo=$debian_cargo
    wasm_linker=$(debian_linker)
    wasm_sysroot=
}

use_debian() {
    use_debian_without_sysroot
    wasm_sysroot=$(debian_sysroot)
    wasm_id=debian-$(cat "$wasm_sysroot/id")
}

# -- building ----------------------------------------------------------------------------------

# Prints the prefixes of paths that the compiler rewrites, FROM=TO, so that the Wasm does not
# contain any path of this machine.
wasm_remap() {
    local rustc_sysroot commit
    rustc_sysroot=$("$wasm_rustc" --print sysroot)
    commit=$("$wasm_rustc" --version --verbose | sed -n 's/^commit-hash: //p')
    printf '%s\n' "$root=/outlayer" \
        "$rustc_sysroot/lib/rustlib/src/rust=/rustc/$commit" \
        "$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")=/cargo"
}

# Variables that reach cargo, NAME=VALUE each.
wasm_environment=()

# run_wasm_cargo ARGUMENT...: runs the chosen cargo. Settings in the environment, which may come
# from the user's shell or from a cargo that runs this script, do not reach it.
run_wasm_cargo() {
    local name
    local -a environment=()
    for name in $(compgen -e); do
        case $name in
        CARGO_TARGET_DIR) ;;
        RUSTFLAGS | RUSTC | RUSTC_WORKSPACE_WRAPPER | CARGO | CARGO_ENCODED_* | CARGO_BUILD_* | \
            CARGO_PROFILE_* | CARGO_TARGET_* | CARGO_INCREMENTAL | CARGO_UNSTABLE_* | NEP330_*)
            environment+=(-u "$name")
            ;;
        esac
    done
    environment+=("${wasm_environment[@]}"
        "RUSTC=$wasm_rustc"
        "RUSTC_WRAPPER=$root/scripts/lib/rustc-wasm"
        "OUTLAYER_SYSROOT=$wasm_sysroot"
        # near-sdk turns panics into messages under this setting, and leaves them bare without it.
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=--cfg near $wasm_flags"
        "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$wasm_flags"
    )
    if [ -n "$wasm_linker" ]; then
        environment+=("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$wasm_linker"
            "CARGO_TARGET_WASM32_WASIP1_LINKER=$wasm_linker")
    fi
    env "${environment[@]}" "$wasm_cargo" "$@"
}
