#!/bin/sh
# Runs a command as a container runtime would, of this machine's own files: as process 1 of new namespaces,
# with a writable layer above a read-only root, an empty /dev, /tmp and network, and mounted volumes.
#
#   pod.sh DIR COMMAND [ARGUMENT]...
#
# DIR/mounts says what is mounted, a line each: "bind SOURCE TARGET", "ro SOURCE TARGET",
# "device MAJOR:MINOR TARGET", "link TEXT TARGET", "tmpfs SIZE TARGET". In DIR appear: pid (process 1, as this machine counts),
# left/ (what was written to the root file system) and tmp-left/ (to /tmp). Needs root.
set -eu

enter() {
    # This machine's /proc is still mounted: its number for us.
    read -r pid rest < /proc/self/stat
    cd "$dir/root"
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in null zero full random urandom tty kvm; do
        [ ! -e "/dev/$node" ] || cp -a "/dev/$node" dev/
    done
    ln -s /proc/self/fd dev/fd
    mkdir dev/shm
    mount -t tmpfs tmpfs dev/shm
    mount -t proc proc proc
    mount --rbind /sys sys
    mount -t tmpfs tmpfs run
    mount --bind "$dir/tmp-left" tmp
    while read -r kind source target; do
        mkdir -p ".${target%/*}"
        case $kind in
            device) mknod ".$target" b "${source%:*}" "${source#*:}" ;;
            tmpfs)
                mkdir -p ".$target"
                mount -t tmpfs -o "size=$source" tmpfs ".$target"
                ;;
            link) ln -s "$source" ".$target" ;;
            bind | ro)
                if [ -d "$source" ]; then mkdir -p ".$target"; else : >> ".$target"; fi
                mount --rbind "$source" ".$target"
                [ $kind = bind ] || mount -o remount,bind,ro ".$target"
                ;;
        esac
    done < "$dir/mounts"
    ip link set lo up
    echo "$pid" > "$dir/pid.part"
    mv "$dir/pid.part" "$dir/pid"
    mkdir .old
    pivot_root . .old
    cd /
    umount -l /.old
    rmdir /.old
    unset pid dir
    exec "$@"
}

if [ "$1" = --enter ]; then
    dir=$2
    shift 2
    enter "$@"
fi
dir=$1
shift
if [ ! -e "$dir/layer" ]; then
    mkdir "$dir/layer" "$dir/root" "$dir/tmp-left"
    chmod 1777 "$dir/tmp-left"
    exec unshare --mount --propagation private "$0" "$dir" "$@"
fi
mount -t tmpfs tmpfs "$dir/layer"
mkdir "$dir/layer/upper" "$dir/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/layer/upper,workdir=$dir/layer/work" "$dir/root"
code=0
unshare --mount --pid --net --ipc --fork --kill-child --propagation private "$0" --enter "$dir" "$@" || code=$?
cp -a "$dir/layer/upper" "$dir/left"
exit $code
