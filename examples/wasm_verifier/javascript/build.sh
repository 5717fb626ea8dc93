#!/usr/bin/env bash
# Makes a component of a JavaScript file: build.sh [FILE.js [OUT.wasm]]. The component holds a QuickJS, 1 MB. Its tool:
#   npm install --global componentize-qjs@0.4.5
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=${1:-$here/item_list.js}
componentize-qjs --js "$source" --wit "$here/../../../verifiers/plugin/wit" --world plugin --sync --opt-size \
    --output "${2:-${source%.js}.wasm}"
