#!/usr/bin/env bash
# Compile requirements/*.in into hashed *.txt that hold on every platform and name no index.
set -euo pipefail
cd "$(dirname "$0")/.."
for set in run build bundle kafka dev; do
    uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links --no-header "$@" \
        "requirements/$set.in" -o "requirements/$set.txt"
    echo "requirements/$set.txt: $(grep -c '^[a-z].*==' "requirements/$set.txt") packages"
done
