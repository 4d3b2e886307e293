#!/bin/sh
# Restarts the running instances with the new program. Without systemd there are none.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
	systemctl try-restart 'netatmo-agent@*.service' || :
fi
