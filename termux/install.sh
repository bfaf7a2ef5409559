#!/bin/sh
# Install phi-auto under Termux; safe to run again. Usage: sh termux/install.sh
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
: "${PREFIX:?this script is for Termux, where PREFIX is set}"

# numpy and psutil come compiled from Termux: from PyPI they take an hour, or do not build at all.
pkg install -y python python-numpy python-psutil
"$PREFIX/bin/python" -m pip install 'setuptools>=77' 'sqlite-utils>=4.0' 'apscheduler>=3.11,<4' \
    'rich>=13.7' tzdata
"$PREFIX/bin/python" -m pip install --no-build-isolation --no-deps -e "$here"

mkdir -p "$HOME/.termux/boot"
sed "s|@HOME_DIR@|$here|" "$here/termux/boot.sh" > "$HOME/.termux/boot/phi-auto"
chmod +x "$HOME/.termux/boot/phi-auto"
echo "installed; the agent starts when the phone does, and now with: agent run --for 4m"
