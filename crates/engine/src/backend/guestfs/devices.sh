# What a program needs beside the guest's files. Sourced by view.sh. The devices are the few that
# lead nowhere; those of the guest's disks are not among them.
if plain dev; then
    mount -t tmpfs -o mode=755,nosuid,noexec,size=1m dev "$root/dev"
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 666 "$root/dev/zero" c 1 5
    mknod -m 666 "$root/dev/full" c 1 7
    mknod -m 666 "$root/dev/random" c 1 8
    mknod -m 666 "$root/dev/urandom" c 1 9
    mknod -m 666 "$root/dev/tty" c 5 0
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5,nosuid,noexec pts "$root/dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev,noexec shm "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin"
    ln -s fd/1 "$root/dev/stdout"
    ln -s fd/2 "$root/dev/stderr"
fi
if plain sys; then
    mount -t sysfs -o ro,nosuid,nodev,noexec sys "$root/sys"
fi
if plain run; then
    mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
    mkdir -m 1777 "$root/run/lock"
fi
if plain tmp; then
    mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"
fi
