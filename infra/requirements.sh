#!/usr/bin/env bash
# Compile requirements/*.in into hashed *.txt that hold on every platform and name no index.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH" # make setup puts uv there
for set in run build uv bundle kafka s3 dev load docs audit; do
    bounds=()
    if [ "$set" = s3 ]; then bounds=(-c requirements/run.txt); fi # an extra's file may not name them
    uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-header "${bounds[@]}" "$@" \
        "requirements/$set.in" -o "requirements/$set.txt"
    echo "requirements/$set.txt: $(grep -c '^[a-z].*==' "requirements/$set.txt") packages"
done
