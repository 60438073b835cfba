# Shows a program the guest through overlayfs and collects what it wrote. Run in the appliance by
# rehearse.rs as `view.sh DIRECTORY SECONDS`, in mount, network, IPC and UTS namespaces of its own,
# so that all that is mounted here goes with it. What is not to be blamed on the program itself is
# told in the last line: `unavailable REASON`, `timeout`, or `ended BYTES FILES` for effect/.
set -eu
umask 022
cd "$1"
seconds=$2
root=$1/root
mkdir root effect

# Whether $1 below the root is a directory and no link is on the way: mounting would follow it out
# of the guest's tree.
plain() (
    cd "$root"
    set -f
    IFS=/
    for name in $1; do
        [ -n "$name" ] || continue
        [ ! -L "./$name" ] && [ -d "./$name" ] && cd "./$name" || exit 1
    done
)

unavailable() {
    echo "unavailable $(echo "$1" | tr '\n' ' ')"
    exit 0
}

# overlay NUMBER MOUNT-POINT LOWER UPPER: one file system of the guest.
overlay() {
    plain "$2" || unavailable "mount point $2 is no plain directory"
    mkdir "$4.work"
    options=lowerdir=$3,upperdir=$4,workdir=$4.work,redirect_dir=off,index=off,metacopy=off
    error=$(mount -t overlay -o "nodev,$options" overlay "$root$2" 2>&1) || unavailable "$error"
}

layers() {
    mkdir "$1" "$1/lower" "$1/staged" "$1/written"
    mount --bind "/sysroot$2" "$1/lower"
    chown --reference="$1/lower" "$1/staged" "$1/written"
    chmod --reference="$1/lower" "$1/staged" "$1/written"
}
before() { overlay "$1" "$2" "$1/lower" "$1/staged"; }
after() { overlay "$1" "$2" "$1/staged:$1/lower" "$1/written"; }
collect() { mv "$1/written" "effect/$1"; }

. ./mounts.sh
mounts layers
if [ -e stage.sh ]; then
    mounts before
    . ./stage.sh
    umount -R "$root"
fi
mounts after
. ./devices.sh

uptime() { cut -d . -f 1 /proc/uptime; }
start=$(uptime)
{
    timeout -s KILL "$seconds" \
        unshare --mount --pid --fork --kill-child sh inside.sh "$root" <stdin 3>status 2>&1 ||
        echo $? >killed
} | {
    head -c "$OUTPUT_LIMIT" >effect/output
    cat >/dev/null
}

if [ ! -s status ]; then
    # 128 and SIGKILL: what timeout(1) exits with after it has sent that, or somebody else has.
    if [ "$(cat killed)" != 137 ]; then
        cat effect/output
    elif [ $(($(uptime) - start)) -lt "${seconds%.*}" ]; then
        echo "it was killed, most likely because it took more memory than the appliance has"
    else
        echo timeout
    fi
    exit 0
fi
mv status effect/status
umount -R -l "$root"
mounts collect
cd effect
getfattr -R -P -h -d -m - -e hex [0-9]* >../attributes
mv ../attributes .
echo "ended $(du -slb . | cut -f 1) $(find . | wc -l)"
