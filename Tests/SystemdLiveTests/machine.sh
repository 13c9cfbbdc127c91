#!/bin/sh
# Boots systemd as PID 1 in namespaces of its own, and ends it when standard input is closed.
# $1: start; $2: a folder below /var/lib with the units in units/, in which live.target is booted.
set -eu
folder=$2
group=$(basename "$folder")
groups="/sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified"

case "$1" in
    start)
        sh "$0" enter "$folder" </dev/null &
        child=$!
        read -r _ || true
        # Without wait: Foundation starts this with signals blocked, SIGCHLD among them.
        kill -9 "$child"
        for root in $groups; do
            [ -d "$root/$group" ] || continue
            # The processes of the namespace end with its PID 1, and a moment later their groups are empty.
            for _ in $(seq 100); do
                find "$root/$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
                sleep 0.05
            done
        done
        ;;
    enter)
        # What systemd sees as the root of the control groups is this one of ours.
        for root in $groups; do
            if [ -w "$root/cgroup.procs" ]; then
                mkdir -p "$root/$group"
                echo $$ >"$root/$group/cgroup.procs"
            fi
        done
        exec unshare --fork --pid --mount --cgroup --mount-proc --kill-child sh "$0" boot "$folder"
        ;;
    boot)
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 tmpfs /run
        # Nothing written below /etc and /var/lib reaches the machine.
        cp -a /etc /run/etc
        mount --bind /run/etc /etc
        mkdir /run/keep
        mount --bind "$folder" /run/keep
        mount -t tmpfs -o mode=755 tmpfs /var/lib
        mkdir "$folder"
        mount --move /run/keep "$folder"
        # Where PrivateTmp= makes its folders, and leaves them when the machine is killed.
        for shared in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "$shared"; done
        id pgmqd >/dev/null 2>&1 || useradd --system --home-dir /var/lib/pgmqd --shell /usr/sbin/nologin pgmqd
        mkdir -p /run/systemd/journald.conf.d
        printf '[Journal]\nStorage=volatile\nReadKMsg=no\n' >/run/systemd/journald.conf.d/live.conf
        mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
        mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
        mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
        mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
        # As at a real boot; systemd leaves it undone in a container, and its credentials need it.
        mount --make-rshared /
        # No other unit of the machine, and never its default target: that one would empty the machine's /tmp.
        export container=unshare SYSTEMD_UNIT_PATH="$folder/units"
        exec /lib/systemd/systemd --system --unit=live.target --log-target=journal --show-status=no
        ;;
esac
