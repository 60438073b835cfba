# Runs the program as `inside.sh ROOT`, as the first process of its PID namespace: when this ends,
# the kernel kills whatever the program left running. Descriptor 3 takes its exit status.
set -eu
root=$1
if [ -d "$root/proc" ] && [ ! -L "$root/proc" ]; then
    mount -t proc -o ro,nosuid,nodev,noexec proc "$root/proc"
fi
exec 4>/dev/null
# Who breaks out of the chroot finds neither the guest's disks nor anything to write to.
umount -R -l /sysroot
umount -R -l /dev
mount -o remount,bind,ro /
# This shell would report a signal among the program's own words.
exec 2>&4 4>&-
set +e
. "${root%/root}/command.sh"
echo $? >&3
