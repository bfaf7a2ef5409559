#!/bin/sh
# Start the agent where none works, and renew the notification. Android's job scheduler comes here
# every 15 minutes, through ~/.termux/phi-auto-watchdog.
set -eu

export PATH="$PREFIX/bin:$PATH" AGENT_HOME
here=$(dirname "$0")

# boot.sh looks at the lock. In a session of its own the agent outlives this script.
setsid sh "$here/boot.sh" < /dev/null > /dev/null 2>&1 &
sh "$here/notify.sh"
