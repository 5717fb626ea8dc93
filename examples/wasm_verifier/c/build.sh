#!/usr/bin/env bash
# Makes a component of a C file: build.sh [FILE.c [OUT.wasm]]. Its tools come from package registries:
#   pip install ziglang==0.17.1                 # a C compiler with libc for wasm32-wasi
#   cargo install wit-bindgen-cli@0.63.0 --no-default-features --features c
#   cargo install wasm-tools@1.263.0 --no-default-features --features component,strip
# A file that prints, reads the clock or draws random numbers needs the adapter of wasm32-wasi to components as well, by its path
# in ADAPTER: wasi_snapshot_preview1.reactor.wasm, which is in lib/ of the npm package @bytecodealliance/jco.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=${1:-$here/similarity.c}
out=${2:-${source%.c}.wasm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

wit-bindgen c "$here/../../../verifiers/plugin/wit" --world plugin --out-dir "$work" 2>/dev/null
# A reactor is a library: no `main`. What is not used of libc is left out, with its imports.
python3 -m ziglang cc --target=wasm32-wasi -mexec-model=reactor -Os -Wall -Wextra -I"$work" \
    -Wl,--gc-sections -Wl,-z,stack-size=1048576 -o "$work/module.wasm" \
    "$source" "$work/plugin.c" "$work/plugin_component_type.o"
wasm-tools component new "$work/module.wasm" ${ADAPTER:+--adapt "$ADAPTER"} -o "$work/component.wasm"
wasm-tools strip --all "$work/component.wasm" -o "$out"
