#!/data/data/com.termux/files/usr/bin/sh
# Started by Termux:Boot. It becomes the agent, so Android sees one process to keep.
set -eu

cd "@HOME_DIR@"
# Boot scripts get no usual environment: every program is called by its path.
prefix=/data/data/com.termux/files/usr
"$prefix/bin/termux-wake-lock" || true # without Termux:API the agent runs, but may be frozen
exec "$prefix/bin/python" -m agent run >> agent.log 2>&1
