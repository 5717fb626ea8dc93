#!/bin/sh
# Builds the Python guest, python.wasm.zst, from registry packages alone:
#
#     guest/build.sh FOLDER
#
# FOLDER is empty or holds what an earlier run has made. Needs apt with Debian's sources, pip, cargo and a C compiler; downloads
# CPython's source from Debian's package `python3.13` and the cross compiler from PyPI's `ziglang`, both by their SHA-256.
# The same sources give the same bytes, whatever FOLDER is.
set -eu

guest=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
jobs=${JOBS:-2}

python=3.13.5
python_sha256=93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640
ziglang=0.17.1

export SOURCE_DATE_EPOCH=1735689600 TZ=UTC LC_ALL=C
export ZIG_GLOBAL_CACHE_DIR="$work/zig-cache" ZIG_LOCAL_CACHE_DIR="$work/zig-cache"

# ---- sources ----

if [ ! -d "$work/Python-$python" ]; then
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
    echo "deb-src [signed-by=$keys] $mirror trixie main" > "$work/apt/sources.list"
    cd "$work/apt"
    options="-o Dir::Etc::sourcelist=$work/apt/sources.list -o Dir::Etc::sourceparts=/dev/null
             -o Dir::State::lists=$work/apt/lists -o Dir::Cache=$work/apt/cache"
    apt-get $options update
    apt-get $options source --download-only python3.13
    echo "$python_sha256  python3.13_$python.orig.tar.xz" | sha256sum -c
    tar -xf "python3.13_$python.orig.tar.xz" -C "$work"
fi

if [ ! -x "$work/zig/ziglang/zig" ]; then
    python3 -m pip download --no-deps --quiet "ziglang==$ziglang" -d "$work"
    python3 -m zipfile -e "$work"/ziglang-$ziglang-*.whl "$work/zig"
    chmod +x "$work/zig/ziglang/zig"
fi

mkdir -p "$work/bin"
for tool in cc ar ranlib; do
    target=$([ $tool = cc ] && echo "-target wasm32-wasi" || true)
    printf '#!/bin/sh\nexec "%s" %s %s "$@"\n' "$work/zig/ziglang/zig" $tool "$target" > "$work/bin/zig$tool"
    chmod +x "$work/bin/zig$tool"
done

# ---- a native Python of the same source, which the cross build runs ----

if [ ! -x "$work/native/python" ]; then
    mkdir -p "$work/native"
    cd "$work/native"
    ../Python-$python/configure --disable-test-modules --without-ensurepip CFLAGS="-O1 -g0 -w" > configure.log 2>&1
    make -j"$jobs" all > make.log 2>&1
fi

# ---- libpython for WASI ----

# as deep a recursion through C as the stacks of the guest and the host bear
sed -i '/defined(__wasi__)/,/#else/s/Py_C_RECURSION_LIMIT .*/Py_C_RECURSION_LIMIT 20000/' \
    "$work/Python-$python/Include/cpython/pystate.h"

if [ ! -f "$work/wasm/libpython3.13.a" ]; then
    mkdir -p "$work/wasm"
    cd "$work/wasm"
    # no threads, sockets, processes, compression or native extensions in the guest
    for module in _ctypes _lzma _bz2 readline zlib pyexpat _elementtree _socket select _uuid _codecs_cn _codecs_hk \
        _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec faulthandler _sqlite3 _ssl _hashlib _curses _dbm _gdbm \
        _tkinter _lsprof _tracemalloc _interpreters _interpchannels _interpqueues termios syslog resource grp fcntl mmap \
        _posixsubprocess _posixshmem _multiprocessing; do
        export "py_cv_module_$module=n/a"
    done
    CONFIG_SITE=../Python-$python/Tools/wasm/config.site-wasm32-wasi \
    CC="$work/bin/zigcc" AR="$work/bin/zigar" RANLIB="$work/bin/zigranlib" CPP="$work/bin/zigcc -E" \
    OPT="-DNDEBUG -fwrapv -O3 -w -g0" PKG_CONFIG=/bin/false PKG_CONFIG_LIBDIR=/nonexistent \
        ../Python-$python/configure --host=wasm32-wasi --build=x86_64-pc-linux-gnu \
        --with-build-python="$work/native/python" --disable-test-modules --without-ensurepip --with-pymalloc \
        --without-mimalloc --without-readline > configure.log 2>&1
    # found by configure, but not there at link time
    for name in HAVE_MMAP HAVE_SETGROUPS HAVE_TIMERFD_CREATE HAVE_LIBINTL_H; do
        sed -i "s/^#define $name .*/\/* #undef $name *\//" pyconfig.h
    done
    make -j"$jobs" libpython3.13.a > make.log 2>&1
fi

# ---- the reactor, with the standard library inside ----

mkdir -p "$work/reactor"
cp -R "$guest"/*.c "$guest"/*.h "$guest"/*.py "$guest/stubs" "$work/reactor"
cd "$work/reactor"
"$work/native/python" stdlib.py "../Python-$python/Lib" ../wasm/Modules/config.c .
"$work/bin/zigcc" -O3 -g0 -w -fwrapv -mexec-model=reactor \
    -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS \
    -I"../Python-$python/Include" -I../wasm -I. reactor.c codec.c ../wasm/libpython3.13.a \
    ../wasm/Modules/_hacl/libHacl_Hash_SHA2.a ../wasm/Modules/_decimal/libmpdec/libmpdec.a -o guest.wasm \
    -Wl,-z,stack-size=8388608 -Wl,--initial-memory=100663296 -Wl,--export=__stack_pointer -Wl,--strip-all \
    -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lm

# ---- the snapshot ----

cargo run --quiet --release --locked --manifest-path "$guest/snapshot/Cargo.toml" \
    --target-dir "${CARGO_TARGET_DIR:-$work/target}" -- guest.wasm python.wasm.zst
cp python.wasm.zst modules.txt "$guest"
cd "$guest"
sha256sum python.wasm.zst | tee python.wasm.zst.sha256
