#!/bin/sh
# Show the best loss so far as an ongoing notification, where Termux:API is installed.
set -eu

export PATH="$PREFIX/bin:$PATH" AGENT_HOME
python=$PREFIX/bin/python
here=$(cd "$(dirname "$0")" && pwd)

# Commands of Termux:API may wait for ever, and without --content they read their input.
ask() { timeout -k 2 20 "$@" < /dev/null || true; }

command -v termux-notification > /dev/null 2>&1 || exit 0
cd "$AGENT_HOME"
if [ -e agent.off ]; then
    ask termux-notification-remove phi-auto
    exit 0
fi
words=$(timeout -k 2 60 "$python" -m agent status --json 2> /dev/null | "$python" "$here/notice.py")
title=$(printf '%s\n' "$words" | sed -n 1p)
content=$(printf '%s\n' "$words" | sed -n 2p)
ask termux-notification --id phi-auto --ongoing --alert-once --priority low \
    --title "$title" --content "$content"
