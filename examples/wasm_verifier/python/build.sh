#!/usr/bin/env bash
# Makes a component of a Python file: build.sh [FILE.py [OUT.wasm]]. The component holds a CPython, some 18 MB. Its tool:
#   pip install componentize-py==0.25.1
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(realpath "${1:-$here/json_fields.py}")
out=$(realpath -m "${2:-${source%.py}.wasm}")
cd "$(dirname "$source")"
componentize-py -d "$here/../../../verifiers/plugin/wit" -w plugin componentize "$(basename "$source" .py)" -o "$out"
