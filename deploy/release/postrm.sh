#!/bin/sh
# Removing the package keeps the logins; only their owner deletes them.
set -e
case $1 in
purge | 0)
	rm -f /etc/systemd/system/multi-user.target.wants/netatmo-agent@*.service
	for dir in /var/lib/private/netatmo-agent /var/lib/netatmo-agent /etc/netatmo-agent; do
		if [ -e "$dir" ] && [ ! -L "$dir" ]; then
			echo "netatmo-agent: $dir is kept. If you no longer need its logins and settings: rm -r $dir"
		fi
	done
	;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
