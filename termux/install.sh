#!/bin/sh
# Install phi-auto under Termux, or take it out again; both are safe to repeat.
set -eu

if [ "${1-}" = --help ] || [ "${1-}" = -h ]; then
    cat << 'END'
usage: [AGENT_HOME=DIR] sh termux/install.sh [--uninstall]
Installs packages, boot script and watchdog; run it again after every update. Ledger, runs and
log live in DIR, else in ~/nights.
--uninstall removes boot script, watchdog and notification; ledger and runs stay.
END
    exit 0
fi
fail() { echo "install.sh: $1" >&2; exit "${2:-1}"; }
here=$(cd "$(dirname "$0")/.." && pwd -P)
: "${PREFIX:?this script is for Termux, where PREFIX is set}"
python=$PREFIX/bin/python job_id=714205
boot=$HOME/.termux/boot/phi-auto
watchdog=$HOME/.termux/phi-auto-watchdog # not in boot/: all files there are started at boot
# Commands of Termux:API wait for ever where the app of that name is missing.
ask() { command -v "$1" > /dev/null 2>&1 && timeout -k 2 20 "$@" < /dev/null; }

if [ "${1-}" = --uninstall ]; then
    rm -f "$boot" "$watchdog"
    ask termux-job-scheduler --cancel --job-id "$job_id" || true
    ask termux-notification-remove phi-auto || true
    echo "removed boot script and watchdog, not ledger and runs; \`agent stop\` ends what runs"
    exit 0
fi
[ $# -eq 0 ] || fail "$1 is not understood; see --help" 2

home=${AGENT_HOME:-$HOME/nights}; case $home in \~ | \~/*) home=$HOME${home#\~} ;; esac
home=$(realpath -m -- "$home")
case $home/ in
    "$here/") fail "$here is the home of the project's own runs; name another folder" ;;
    /sdcard/* | /storage/* | /mnt/*)
        fail "$home is shared storage, where a database breaks; use a folder below $HOME" ;;
esac

# numpy and psutil come compiled from Termux: from PyPI they take an hour, or do not build at all.
pkg install -y python python-pip python-numpy python-psutil termux-api
"$python" -m pip install 'setuptools>=77' 'sqlite-utils>=4.0' 'apscheduler>=3.11,<4' \
    'rich>=13.7' tzdata
"$python" -m pip install --no-build-isolation --no-deps -e "$here"
"$python" -m agent --version || fail "the agent does not start; the lines above say why"
quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }
write_starter() { # of script $2 as file $1, whole or not at all
    printf '#!%s/bin/sh\nexport PREFIX=%s AGENT_HOME=%s\nexec %s %s\n' "$PREFIX" \
        "$(quote "$PREFIX")" "$(quote "$home")" "$(quote "$PREFIX/bin/sh")" \
        "$(quote "$here/termux/$2")" > "$watchdog.new"
    chmod 755 "$watchdog.new" && mv -f "$watchdog.new" "$1"; }
mkdir -p "$home" "$HOME/.termux/boot"
write_starter "$boot" boot.sh; write_starter "$watchdog" watchdog.sh
# By default a job waits for a network and for a battery that is not low.
ask termux-job-scheduler --script "$watchdog" --period-ms 900000 --persisted true \
    --network none --battery-not-low false --job-id "$job_id" ||
    echo "no watchdog: install the app Termux:API, then run this again" >&2
echo "Installed. The agent starts with the phone, and within 15 minutes where the watchdog runs;
now: $watchdog    its log: $home/agent.log    never: touch $home/agent.off
Next: Android's settings, see $here/termux/README.md"
