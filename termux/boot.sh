#!/bin/sh
# Become the agent, unless one works here already. Termux:Boot, through ~/.termux/boot/phi-auto,
# and the watchdog come here with PREFIX and AGENT_HOME set and little else.
set -eu

export PATH="$PREFIX/bin:$PATH" AGENT_HOME
python=$PREFIX/bin/python
max_log_bytes=1000000

mkdir -p "$AGENT_HOME"
cd "$AGENT_HOME"
[ ! -e agent.off ] || exit 0 # the owner wants none

held=0
"$python" -c '
import fcntl, sys
try:
    fcntl.flock(open("agent.lock"), fcntl.LOCK_SH | fcntl.LOCK_NB)
except FileNotFoundError:
    pass
except BlockingIOError:
    sys.exit(3)
' || held=$?
[ "$held" -ne 3 ] || exit 0 # where this look fails, the agent itself refuses to be the second

if [ -f agent.log ] && [ "$(wc -c < agent.log)" -gt "$max_log_bytes" ]; then
    mv -f agent.log agent.log.1
fi
exec < /dev/null >> agent.log 2>&1 # to a file: Termux keeps unread output in memory

set --
return=$(printf '\r')
mark=$(printf '\357\273\277') # what editors of Windows put before a text
if [ -f agent.options ]; then
    while read -r line || [ -n "$line" ]; do # read drops the spaces around a line
        line=${line#"$mark"}
        line=${line%"$return"}
        case $line in
            '' | '#'*) ;;
            --*=*) set -- "$@" "$line" ;;
            --*' '*) set -- "$@" "${line%% *}" "${line#* }" ;; # as one types it: --for 8h
            *) set -- "$@" "$line" ;;
        esac
    done < agent.options
fi

# Without the lock the phone sleeps and the agent with it, but it works.
timeout -k 2 20 termux-wake-lock || echo "no wake lock: the phone may sleep while the agent works"
exec "$python" -m agent run "$@"
