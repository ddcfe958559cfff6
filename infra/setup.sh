#!/usr/bin/env bash
# Build or mend a virtual environment.
#
#   infra/setup.sh FOLDER SET...        sets: run kafka s3 dev load docs audit (hashed) train (ranges)
#
# Installs only missing sets. Each set has a stamp, written last, with the hash of its requirements
# and the list of installed packages. So the next call notices and mends an interrupted run, a
# deleted Python or a removed package.
#
# Installs with uv: the one on the PATH, or else a pinned one that pip fetches first. Without uv
# (NO_UV=1, no network for it, no build for this platform) pip installs everything. All output of
# both goes to FOLDER.log. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
shift
sets=("$@")
python="$folder/bin/python"
log="$folder.log"
ticker=

new_enough() { "$@" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python; do
        if new_enough "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

requirements_hash() {
    local pinned="requirements/$1.txt"
    [ -f "$pinned" ] || pinned="requirements/$1.in"
    cat requirements/build.txt pyproject.toml setup.py "$pinned" | sha256sum | cut -d' ' -f1
}

# The names and versions of all that is installed, one a line.
installed() {
    (cd "$folder"/lib/python3*/site-packages && ls -d -- *.dist-info) | sed 's/\.dist-info$//' | sort
}

complete() {
    local stamp="$folder/stamp-$1"
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$(requirements_hash "$1")" ] &&
        [ -z "$(tail -n +2 "$stamp" | comm -23 - <(installed))" ]
}

print_line() { # replaces the progress line
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        ticker=
        printf '\r\033[K' >&3
    fi
    printf '%s\n' "$*" >&3
}

stop() { # stop REASON: for problems that the log does not explain
    trap - EXIT
    print_line "setup: $*"
    exit 1
}

begin() { # begin STEP: name it in the log, and on a terminal with the seconds so far
    step=$1
    echo "== $step"
    [ -t 3 ] || return 0
    [ -z "$ticker" ] || kill "$ticker" 2>/dev/null || true
    while :; do
        printf '\r\033[K==> %s: %s, %d s' "$folder" "$step" $((SECONDS - start)) >&3
        sleep 1
    done 9>&- &
    ticker=$!
}

explain() { # on exit: what failed, and what to do
    local status=$? again="run the same command again"
    local advice="remove the cause, then $again"
    [ $status -ne 0 ] || return 0
    if errors | grep -qiE 'connection|connect|resolv|dns error|timed out|proxy'; then
        advice="the package index can't be reached: check the network, or set HTTPS_PROXY; then $again"
    fi
    print_line "setup: failed: $step"
    errors | cut -c1-300 | tail -n 3 | sed 's/^/    /' >&3
    print_line "    What to do: $advice"
    print_line "    The log: $log"
}

errors() { # the lines of the last step that name an error, or else all its lines
    local lines
    lines=$(tac "$log" | sed '/^== /q' | tac | sed -E 's/.*(connection broken by)/\1/; s/<pip[^>]*>: //')
    grep -iE 'error|caused by|no space' <<<"$lines" || tail -n +2 <<<"$lines"
}

if command -v flock >/dev/null; then # two calls at once take turns
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock"
    flock 9
fi

missing=()
if [ -e "$folder" ] && new_enough "$python"; then
    for set in "${sets[@]}"; do complete "$set" || missing+=("$set"); done
    [ ${#missing[@]} -gt 0 ] || [ -e "$folder/unfinished" ] || exit 0
else
    missing=("${sets[@]}")
fi

start=$SECONDS
exec 3>&2 >"$log" 2>&1
[ -t 3 ] || print_line "==> $folder: installing packages (log: $log)"
trap explain EXIT
trap 'stop "interrupted; the next run continues"' INT TERM

begin "making the environment"
if [ -e "$folder" ] && ! new_enough "$python"; then
    echo "$folder is broken or older than Python 3.11"
    rm -rf "$folder"
fi
if [ ! -e "$folder" ]; then
    base=$(find_python) ||
        stop "no Python 3.11 or later found; install one, or name it: make setup PYTHON=/path/to/python3"
    "$base" -m venv --without-pip "$folder"
fi

options=()
if [ -e "$folder/unfinished" ]; then # a package may be there in part
    echo "an earlier setup was interrupted: installing everything again"
    options+=(--force-reinstall)
    missing=("${sets[@]}")
    rm -f "$folder/bin/uv"
fi
touch "$folder/unfinished"
for set in "${missing[@]}"; do rm -f "$folder/stamp-$set"; done

# Python compiles a module at its first import, unless the environment forbids it.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then options+=(--compile); else options+=(--no-compile); fi

# pip of the base Python is there at once; to put one into the environment takes seconds.
pip() {
    local pip=("$("$python" -c 'import sys; print(sys._base_executable)')" -m pip --python "$python")
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        pip=("$python" -m pip)
        "${pip[@]}" --version || "$python" -m ensurepip ||
            stop "this Python has no pip (Debian: apt install python3-venv)"
    fi
    "${pip[@]}" install --disable-pip-version-check --prefer-binary "$@"
}

find_uv() {
    local candidate
    [ -z "${NO_UV:-}" ] || return 1
    for candidate in uv "$folder/bin/uv"; do
        if "$candidate" --version >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if [ -z "${NO_UV:-}" ] && ! find_uv; then
    begin "fetching uv, the installer"
    pip "${options[@]}" --retries 1 --only-binary :all: --require-hashes -r requirements/uv.txt || echo "no uv: pip installs"
fi
uv=$(find_uv) || uv=

install() {
    if [ -n "$uv" ]; then
        "$uv" pip install --python "$python" "${options[@]}" "$@" && return
        echo "== uv failed: trying pip"
    fi
    pip "${options[@]}" "$@"
}

hashed=(-r requirements/build.txt) ranges=()
for set in "${missing[@]}"; do
    if [ "$set" = train ]; then ranges=(-r requirements/train.in); else hashed+=(-r "requirements/$set.txt"); fi
done

begin "installing packages, each checked against its hash"
install --require-hashes "${hashed[@]}"
if [ ${#ranges[@]} -gt 0 ]; then
    begin "installing the training libraries (several GB)"
    install "${ranges[@]}"
fi
begin "installing smallprint"
install --no-deps --no-build-isolation -e .

for set in "${missing[@]}"; do
    { requirements_hash "$set"; installed; } >"$folder/stamp-$set.part"
    mv "$folder/stamp-$set.part" "$folder/stamp-$set"
done
rm "$folder/unfinished"
print_line "==> $folder is ready after $((SECONDS - start)) s: $folder/bin/smallprint"
