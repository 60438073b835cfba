#!/bin/bash
# Builds a bootable Debian disk (raw, sparse) that looks as if it came from VMware: open-vm-tools,
# NICs called ens192, ens224, ens256 with addresses pinned to those names. Root's password is "refit".
#
#   debian.sh OUT.img [--suite bookworm|trixie] [--fw bios|uefi] [--fs ext4|xfs|btrfs] [--size 3G]
#             [--layout plain|lvm|luks] [--root-by uuid|sda] [--initramfs most|vmware|dracut]
#             [--net ifupdown|networkd|ipv6|netplan|nm|dhcp|udevrule|bond] [--nics 1..3] [--mac MAC]
#             [--hostname NAME] [--kernel cloud-amd64|amd64] [--consumers none|all]
#
# --consumers all makes an appliance of it that reads its OVF environment in four ways, and has cloud-init.
#
# lvm and luks have /boot apart; lvm also has /var apart, and luks is opened by a key in its initramfs, which
# is also the passphrase "refit". vmware and dracut are initramfs with VMware's drivers alone.
#
# Needs root, mmdebstrap, fdisk, dosfstools, mtools, e2fsprogs, xfsprogs, btrfs-progs; lvm2 and cryptsetup-bin
# for those layouts. Takes a minute, and seconds once the base system is cached in $REFIT_CACHE (default:
# target/guests). It needs no KVM, no libguestfs and no device mapper; partitions are announced by partx, as
# some kernels parse no partition tables, and the EFI system partition is written by mtools, as some have no vfat.
set -euo pipefail

# A mount namespace of our own: whatever happens, no mount is left behind.
[ "${REFIT_GUEST_NS:-}" ] || exec env REFIT_GUEST_NS=1 unshare --mount --propagation private "$0" "$@"

HERE=$(dirname "$0")
. "$HERE/debian/storage.sh"
. "$HERE/debian/network.sh"
. "$HERE/debian/boot.sh"
. "$HERE/debian/consumers.sh"

die() { echo "debian.sh: $*" >&2; exit 1; }

parse_options() {
    [ $# -ge 1 ] || die "usage: debian.sh OUT.img [OPTION VALUE]... (see the head of this file)"
    OUT=$1; shift
    SUITE=bookworm FW=bios FS=ext4 SIZE=3G LAYOUT=plain ROOT_BY=uuid INITRAMFS=most
    NET=ifupdown NICS=1 MAC=00:50:56:aa:bb:01 NAME=vmguest KERNEL=cloud-amd64 CONSUMERS=none
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
            --suite) SUITE=$2 ;; --fw) FW=$2 ;; --fs) FS=$2 ;; --size) SIZE=$2 ;; --layout) LAYOUT=$2 ;;
            --root-by) ROOT_BY=$2 ;; --initramfs) INITRAMFS=$2 ;; --net) NET=$2 ;; --nics) NICS=$2 ;;
            --mac) MAC=$2 ;; --hostname) NAME=$2 ;; --kernel) KERNEL=$2 ;; --consumers) CONSUMERS=$2 ;;
            *) die "unknown option $1" ;;
        esac
        shift 2
    done
    one_of --suite "$SUITE" bookworm trixie; one_of --fw "$FW" bios uefi; one_of --fs "$FS" ext4 xfs btrfs
    one_of --layout "$LAYOUT" plain lvm luks; one_of --root-by "$ROOT_BY" uuid sda
    one_of --initramfs "$INITRAMFS" most vmware dracut; one_of --nics "$NICS" 1 2 3
    one_of --net "$NET" ifupdown networkd ipv6 netplan nm dhcp udevrule bond
    one_of --consumers "$CONSUMERS" none all
    [ "$LAYOUT" = plain ] || [ "$ROOT_BY" = uuid ] || die "--root-by sda: only with --layout plain"
}

one_of() {
    local option=$1 value=$2 allowed; shift 2
    for allowed; do [ "$value" = "$allowed" ] && return; done
    die "$option $value: must be one of: $*"
}

# The machine's own Debian mirror, so that a site with a local mirror needs no setting here; it serves other
# releases, too. Third-party repositories are passed over: only what calls itself Debian, and main, counts.
debian_mirror() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 'Component: main' | sort -u | sed -n "/^$SUITE /p; \$p" | sed -n '1s/.* //p'
}

# One tar for each set of packages: all that takes long, and nothing that depends on the other options.
build_base() {
    local packages=systemd-sysv,udev,dbus,libpam-systemd,linux-image-$KERNEL
    case $INITRAMFS in dracut) packages+=,dracut ;; *) packages+=,initramfs-tools ;; esac
    packages+=,zstd,open-vm-tools
    packages+=,iproute2,kmod,login,passwd,e2fsprogs,xfsprogs,btrfs-progs,procps,less,dmidecode,pciutils,util-linux
    case $FW in bios) packages+=,grub-pc ;; uefi) packages+=,grub-efi-amd64 ;; esac
    case $LAYOUT in lvm) packages+=,lvm2 ;; luks) packages+=,cryptsetup-initramfs ;; esac
    case $NET in
        nm) packages+=,network-manager ;; netplan) packages+=,netplan.io ;; networkd | ipv6) ;;
        bond) packages+=,ifupdown,ifenslave ;; *) packages+=,ifupdown,isc-dhcp-client ;;
    esac
    [ "$CONSUMERS" = none ] || packages+=,cloud-init
    local cache=${REFIT_CACHE:-$HERE/../../target/guests} key=$packages; mkdir -p "$cache"
    [ "$SUITE" = bookworm ] || key+=" $SUITE"
    BASE=$cache/debian-$(sha256sum <<<"$key" | cut -c1-12).tar

    exec {lock}>"$BASE.lock"; flock "$lock"    # two builders at once: the second waits and finds the tar
    if [ ! -s "$BASE" ]; then
        local mirror; mirror=$(debian_mirror)
        [ "$mirror" ] || { apt-get -qq update >&2; mirror=$(debian_mirror); }    # container images ship no lists
        [ "$mirror" ] || die "apt knows no Debian main repository: add one to /etc/apt and run apt-get update"
        # apt inside mmdebstrap does not see the machine's apt.conf, but it heeds the environment.
        eval "$(apt-config shell http_proxy Acquire::http::Proxy)"; export http_proxy
        mmdebstrap --quiet --mode=root --variant=minbase --format=tar --include="$packages" \
            --aptopt='APT::Install-Recommends "false"' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            "$SUITE" "$BASE.part" "$mirror"
        mv "$BASE.part" "$BASE"
    fi
    exec {lock}>&-
}

unpack() {
    tar -C "$MNT" --numeric-owner --xattrs -xf "$BASE"
    mount --rbind /dev "$MNT/dev"; mount --make-rslave "$MNT/dev"
    mount --rbind /sys "$MNT/sys"; mount --make-rslave "$MNT/sys"
    mount -t proc proc "$MNT/proc"
}

configure_system() {
    echo "$NAME" > "$MNT/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$NAME" > "$MNT/etc/hosts"
    rm -f "$MNT/etc/resolv.conf"; echo 'nameserver 10.0.2.3' > "$MNT/etc/resolv.conf"    # not the builder's
    echo 'root:refit' | chroot "$MNT" chpasswd
}

# Says nothing unless the command fails.
quiet() { "$@" > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; die "$* failed"; }; }

cleanup() {
    set +e
    mountpoint -q "$MNT" && umount -R -l "$MNT"
    release_disk
    rm -rf --one-file-system "$WORK"; rm -f "$PART_OUT"
}

parse_options "$@"
[ "$(id -u)" = 0 ] || die "must run as root"
build_base
PART_OUT=$OUT.part WORK=$(mktemp -d); MNT=$WORK/mnt; mkdir "$MNT"
trap cleanup EXIT
rm -f "$PART_OUT"; make_disk; mount_disk; unpack; write_fstab
configure_system; configure_network; [ "$CONSUMERS" = none ] || install_consumers; build_initramfs; install_boot_loader
umount -R "$MNT/dev" "$MNT/sys" -l; umount "$MNT/proc"
fstrim "$MNT" 2> /dev/null || true    # gives back what was written and removed; not every loop driver can
umount -R "$MNT"    # must succeed, or the disk is not complete
release_disk; encrypt_root
mv "$PART_OUT" "$OUT"
