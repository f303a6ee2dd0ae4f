#!/usr/bin/env bash
# Finds or makes a compiler for wasm32-unknown-unknown and prints the environment that uses it:
#
#   eval "$(scripts/wasm-toolchain.sh)" && cargo build --target wasm32-unknown-unknown
#
# `cargo xtask` does the same. Tried in this order:
#   installed  the Rust that is here already has the target;
#   rustup     adds it, within WASM_RUSTUP_TIMEOUT seconds (20);
#   debian     Debian's rustc-web, unpacked into WASM_TOOLCHAIN_DIR (target/wasm-toolchain) and not
#              installed, with a standard library built there once: two CPU minutes, 500 MB.
# WASM_TOOLCHAIN_FORCE=debian goes straight to the last. Standard output has `export` lines only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

triple=wasm32-unknown-unknown
home=${WASM_TOOLCHAIN_DIR:-$PWD/target/wasm-toolchain}
# What a caller set for its own build must not leak into the questions asked and the library built.
unset RUSTC RUSTDOC RUSTFLAGS RUSTC_WRAPPER CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR

note() { echo "wasm-toolchain: $*" >&2; }
fail() { note "$*"; exit 1; }

# compiles RUSTC: whether it has a standard library for the triple.
compiles() {
  local libraries
  libraries=$("$1" --print target-libdir --target "$triple" 2>/dev/null) || return 1
  compgen -G "$libraries/libstd-*.rlib" >/dev/null
}

use() { # use KIND: what is said of the toolchain in the end
  note "$1: $("${RUST:-rustc}" --version)"
  echo "export WASM_TOOLCHAIN=$1"
}

use_debian() {
  RUST=$home/current/bin/rustc use debian
  echo "export RUSTC='$home/current/bin/rustc'"
  echo "export RUSTDOC='$home/current/bin/rustdoc'"
  # Cargo tells two standard libraries of one version apart by nothing, and mixing them fails with
  # E0463; so what this one compiles lives and dies with it.
  echo "export CARGO_TARGET_DIR='$home/current/target'"
}

if [ "${WASM_TOOLCHAIN_FORCE:-}" != debian ] && command -v rustc >/dev/null; then
  if compiles rustc; then use installed; exit; fi
  if command -v rustup >/dev/null; then
    timeout "${WASM_RUSTUP_TIMEOUT:-20}" rustup target add "$triple" >/dev/null 2>&1 </dev/null || true
    if compiles rustc; then use rustup; exit; fi
  fi
  note "rustup cannot add $triple here: taking Debian's rustc-web"
fi

mkdir -p "$home"
home=$(cd "$home" && pwd)
exec 9>"$home/lock"
flock 9
if [ -e "$home/current/complete" ] && compiles "$home/current/bin/rustc"; then use_debian; exit; fi

for tool in apt-get apt-cache dpkg-deb cargo; do
  command -v "$tool" >/dev/null || fail "no $tool: install the $triple target of your Rust yourself"
done

version() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# dependency PACKAGE PATTERN: the first dependency of PACKAGE whose whole name matches.
dependency() {
  apt-cache show "$1=$web" | sed -n 's/^Depends: //p' | tr ',' '\n' | awk '{ print $1 }' |
    grep -m 1 -xE "$2" || fail "$1 $web depends on no $2: Debian's packages have changed"
}

# fetch: downloads what the compiler consists of. Versions are of one source package.
fetch() {
  web=$(version rustc-web)
  [ -n "$web" ] || return 1
  std=$(dependency libstd-rust-web-dev 'libstd-rust-web-[0-9.]+') || return 1
  llvm=$(dependency "$std" 'libllvm[0-9]+') || return 1
  note "fetching rustc-web $web and $llvm"
  (cd "$new/deb" && apt-get -q -o APT::Sandbox::User=root download "rustc-web=$web" "$std=$web" \
    "libstd-rust-web-dev=$web" "rust-web-src=$web" "$llvm" "lld-${llvm#libllvm}") >&2
}

new=$home/new
rm -rf "$new"
mkdir -p "$new/deb" "$new/bin"
# A machine may have no list of packages, or one so old that its files are gone.
fetch || { apt-get -q update >&2 && fetch; } || fail "apt-get cannot fetch Debian's rustc-web"
for package in "$new"/deb/*.deb; do dpkg-deb -x "$package" "$new"; done

libraries=$(echo "$new"/usr/lib/*-linux-gnu)
for tool in rustc rustdoc; do
  cat >"$new/bin/$tool" <<WRAPPER
#!/bin/sh
root=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
LD_LIBRARY_PATH="\$root/usr/lib/${libraries##*/}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" \\
  exec "\$root/usr/bin/$tool" "\$@"
WRAPPER
  chmod +x "$new/bin/$tool"
done

missing() {
  LD_LIBRARY_PATH=$libraries ldd "$new/usr/bin/rustc" "$libraries"/libLLVM*.so.* | grep 'not found'
}
if missing >/dev/null; then
  needs="libedit2 libffi8 libxml2 libz3-4 libzstd1"
  [ "$(id -u)" = 0 ] || fail "libraries are missing: apt-get install $needs"
  # shellcheck disable=SC2086
  apt-get -q install -y --no-install-recommends $needs >&2 </dev/null
  ! missing >&2 || fail "libraries are still missing"
fi

host=$("$new/bin/rustc" -vV | sed -n 's/^host: //p')
commit=$("$new/bin/rustc" -vV | sed -n 's/^commit-hash: //p')
mkdir -p "$new/usr/lib/rustlib/$host/bin"
ln -s "../../../llvm-${llvm#libllvm}/bin/lld" "$new/usr/lib/rustlib/$host/bin/rust-lld"

note "building the standard library for $triple (about two minutes)"
source=$(echo "$new"/usr/src/rustc-*)
# As cargo's own build-std does it; the crate named sysroot pulls in std, test and proc_macro.
(cd "$source/library/sysroot" &&
  RUSTC=$new/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$new/build \
    RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$source/=/rustc/$commit/" \
    __CARGO_DEFAULT_LIB_METADATA=stablestd \
    cargo build -q --release --target "$triple") >&2 </dev/null

mkdir -p "$new/usr/lib/rustlib/$triple/lib"
cp "$new/build/$triple/release/deps/"*.rlib "$new/usr/lib/rustlib/$triple/lib/"
rm -rf "$new"/usr/lib/rustlib/"$triple"/lib/libsysroot-*.rlib "$new/build" "$new/deb" \
  "$new/usr/src" "$new/usr/lib/rustlib/src" "$new/usr/share"
compiles "$new/bin/rustc" || fail "what was built is no standard library for $triple"
touch "$new/complete"
rm -rf "$home/current"
mv "$new" "$home/current"
use_debian
