#!/usr/bin/env bash
# Build or mend the virtual environment.
#
#   infra/setup.sh FOLDER SET...        sets: run kafka s3 dev load docs (hashed) train (ranges)
#
# Does only what is missing: each set leaves a stamp with the hash of what was asked for and the
# list of what was installed, written last. A run that was cut off, a Python that has gone, or a
# package that was removed by hand is therefore noticed and mended by the next call.
# Uses uv where it is on the PATH, otherwise `python -m venv` and pip. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
shift
sets=("$@")
python="$folder/bin/python"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

new_enough() { "$@" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python; do
        if new_enough "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    stop "no Python 3.11 or later found; install one, or name it: make setup PYTHON=/path/to/python3"
}

has_uv() { [ -z "${NO_UV:-}" ] && uv --version >/dev/null 2>&1; }

asked() {
    local pinned="requirements/$1.txt"
    [ -f "$pinned" ] || pinned="requirements/$1.in"
    cat requirements/build.txt pyproject.toml setup.py "$pinned" | sha256sum | cut -d' ' -f1
}

# The names and versions of all that is installed, one a line.
installed() {
    (cd "$folder"/lib/python3*/site-packages && ls -d -- *.dist-info) | sed 's/\.dist-info$//' | sort
}

content() {
    local stamp="$folder/stamp-$1"
    [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$(asked "$1")" ] &&
        [ -z "$(tail -n +2 "$stamp" | comm -23 - <(installed))" ]
}

if command -v flock >/dev/null; then # two calls at once take turns
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock"
    flock 9
fi

if [ -e "$folder" ] && ! new_enough "$python"; then
    say "$folder is broken or older than Python 3.11: building it anew"
    rm -rf "$folder"
fi

missing=()
if [ -e "$folder" ]; then
    for set in "${sets[@]}"; do content "$set" || missing+=("$set"); done
    [ ${#missing[@]} -gt 0 ] || [ -e "$folder/unfinished" ] || exit 0
else
    missing=("${sets[@]}")
fi

start=$SECONDS
if [ ! -e "$folder" ]; then
    base=$(find_python)
    say "$folder from $("$base" --version) ($base)"
    if has_uv; then
        uv venv --quiet --python "$base" "$folder"
    else
        "$base" -m venv "$folder" ||
            { rm -rf "$folder"; stop "$base cannot make virtual environments (Debian: apt install python3-venv)"; }
    fi
fi

if has_uv; then
    install=(uv pip install --python "$python") again=--reinstall
else
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip --upgrade >/dev/null
    install=("$python" -m pip install --disable-pip-version-check --prefer-binary)
    again=--force-reinstall
fi
if [ -e "$folder/unfinished" ]; then # a package may lie there by half
    say "an earlier setup was cut off: installing everything again"
    install+=("$again")
    missing=("${sets[@]}")
fi
touch "$folder/unfinished"

for set in "${missing[@]}"; do rm -f "$folder/stamp-$set"; done

hashed=(-r requirements/build.txt) ranges=()
for set in "${missing[@]}"; do
    case $set in
    run | kafka | s3 | dev | load | docs) hashed+=(-r "requirements/$set.txt") ;;
    train) ranges+=(-r requirements/train.in) ;;
    *) stop "no such set of requirements: $set" ;;
    esac
done

say "requirements, each checked against its hash: ${missing[*]/train/}"
"${install[@]}" --require-hashes "${hashed[@]}"
if [ ${#ranges[@]} -gt 0 ]; then
    say "the training libraries (large: several GB)"
    "${install[@]}" "${ranges[@]}"
fi
say "smallprint itself, as it stands in this folder"
"${install[@]}" --quiet --no-deps --no-build-isolation -e .

for set in "${missing[@]}"; do
    { asked "$set"; installed; } >"$folder/stamp-$set.part"
    mv "$folder/stamp-$set.part" "$folder/stamp-$set"
done
rm "$folder/unfinished"
say "ready in $((SECONDS - start)) s: $folder/bin/smallprint ($(du -sh "$folder" | cut -f1))"
