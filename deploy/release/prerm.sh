#!/bin/sh
# On a removal, not on an upgrade: dpkg says "remove", rpm says 0.
set -e
case $1 in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl stop 'netatmo-agent@*.service' || :
	fi
	;;
esac
