#!/usr/bin/env bash
# Write the digest of each foreign image behind its tag, in docker-compose.yml and the Dockerfile:
# NAME:TAG becomes NAME:TAG@sha256:…. Needs the network and Docker with buildx. Run it again to get
# the digests of new tags, or of tags that were moved.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
files=(docker-compose.yml Dockerfile)

images=$(sed -nE 's,^ *(image:|FROM) ([^ @]+:[^ @]+).*,\2,p' "${files[@]}" | grep -v '^smallprint-' | sort -u)
for image in $images; do
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
    if ! [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
        echo "Docker names no digest of $image: $digest" >&2
        exit 1
    fi
    sed -Ei "s,^( *(image:|FROM) ${image//./\\.})(@[^ ]+)?( |\$),\1@$digest\4," "${files[@]}"
    echo "$image@$digest"
done
