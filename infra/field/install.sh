#!/bin/sh
# Install smallprint into a folder, without any network: ./install.sh FOLDER
# Needs Python 3.11, 3.12 or 3.13 (named by PYTHON, or found on the PATH), and no root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

stop() {
    echo "install: $*" >&2
    exit 1
}

[ $# -eq 1 ] || stop "usage: ./install.sh FOLDER"
case $1 in
-h | --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
esac
folder=$1

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
    then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || stop "needs Python 3.11, 3.12 or 3.13; name one: PYTHON=/path/to/python3 ./install.sh FOLDER"

echo "checking the hash of every file" >&2
"$python" -I "$here/verify.py" "$here" || exit 1

if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ] && [ -n "$(ls -A "$folder")" ]; then
    stop "$folder is not empty and no earlier installation: choose another folder"
fi
fresh=
[ -e "$folder/pyvenv.cfg" ] || fresh=yes
trap '[ -z "$fresh" ] || rm -rf "$folder"; echo "install: interrupted, nothing installed" >&2; exit 1' INT TERM HUP
failed() {
    [ -z "$fresh" ] || rm -rf "$folder"
    stop "$*"
}

echo "installing into $folder with $("$python" --version)" >&2
"$python" -m venv --without-pip "$folder" || failed "$python cannot make a virtual environment"
pip() {
    "$folder/bin/python" -I "$(echo "$here"/wheels/pip-*.whl)/pip" --isolated install --quiet --no-index \
        --disable-pip-version-check --find-links "$here/wheels" "$@"
}
pip --require-hashes -r "$here/run.txt" || failed "a package could not be installed"
pip --no-deps --force-reinstall "$here"/wheels/smallprint-*.whl || failed "smallprint could not be installed"
"$folder/bin/smallprint" --help >/dev/null || failed "smallprint does not start"
echo "installed: $folder/bin/smallprint" >&2
