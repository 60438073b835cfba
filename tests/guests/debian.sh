#!/bin/bash
# Builds a bootable Debian 12 disk (raw, sparse) that looks as if it came from VMware: open-vm-tools,
# NICs called ens192, ens224, ens256 with addresses pinned to those names. Root's password is "refit".
#
#   debian.sh OUT.img [--fw bios|uefi] [--fs ext4|xfs|btrfs] [--root-by uuid|sda] [--size 3G]
#             [--net ifupdown|networkd|netplan|nm|dhcp|udevrule] [--nics 1..3] [--mac MAC]
#             [--hostname NAME] [--kernel cloud-amd64|amd64] [--initramfs most|vmware]
#
# Needs root, mmdebstrap, fdisk, dosfstools, mtools, e2fsprogs, xfsprogs, btrfs-progs. Takes a minute, and
# seconds once the base system is cached in $REFIT_CACHE (default: target/guests). It needs no KVM and no
# libguestfs; partitions are announced by partx, as some kernels parse no partition tables, and the EFI
# system partition is written by mtools, as some have no vfat.
set -euo pipefail

# A mount namespace of our own: whatever happens, no mount is left behind.
[ "${REFIT_GUEST_NS:-}" ] || exec env REFIT_GUEST_NS=1 unshare --mount --propagation private "$0" "$@"

die() { echo "debian.sh: $*" >&2; exit 1; }

parse_options() {
    [ $# -ge 1 ] || die "usage: debian.sh OUT.img [OPTION VALUE]... (see the head of this file)"
    OUT=$1; shift
    FW=bios FS=ext4 ROOT_BY=uuid SIZE=3G NET=ifupdown NICS=1 MAC=00:50:56:aa:bb:01 NAME=vmguest KERNEL=cloud-amd64 INITRAMFS=most
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
            --fw) FW=$2 ;; --fs) FS=$2 ;; --root-by) ROOT_BY=$2 ;; --size) SIZE=$2 ;; --hostname) NAME=$2 ;;
            --net) NET=$2 ;; --nics) NICS=$2 ;; --mac) MAC=$2 ;; --kernel) KERNEL=$2 ;; --initramfs) INITRAMFS=$2 ;;
            *) die "unknown option $1" ;;
        esac
        shift 2
    done
    one_of --fw "$FW" bios uefi; one_of --fs "$FS" ext4 xfs btrfs; one_of --root-by "$ROOT_BY" uuid sda
    one_of --net "$NET" ifupdown networkd netplan nm dhcp udevrule; one_of --nics "$NICS" 1 2 3
    one_of --initramfs "$INITRAMFS" most vmware
}

one_of() {
    local option=$1 value=$2 allowed; shift 2
    for allowed; do [ "$value" = "$allowed" ] && return; done
    die "$option $value: must be one of: $*"
}

# The machine's own Debian mirror, so that a site with a local mirror needs no setting here. Third-party
# repositories are passed over: only what calls itself Debian, this release, and main counts.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 'Codename: bookworm' 'Component: main' | sed -n 1p
}

# One tar for each set of packages: all that takes long, and nothing that depends on the other options.
build_base() {
    local packages=systemd-sysv,udev,dbus,libpam-systemd,linux-image-$KERNEL,initramfs-tools,zstd,open-vm-tools
    packages+=,iproute2,kmod,login,passwd,e2fsprogs,xfsprogs,btrfs-progs,procps,less,dmidecode,pciutils,util-linux
    case $FW in bios) packages+=,grub-pc ;; uefi) packages+=,grub-efi-amd64 ;; esac
    case $NET in nm) packages+=,network-manager ;; netplan) packages+=,netplan.io ;; *) packages+=,ifupdown,isc-dhcp-client ;; esac
    local cache=${REFIT_CACHE:-$(dirname "$0")/../../target/guests}; mkdir -p "$cache"
    BASE=$cache/debian-$(sha256sum <<<"$packages" | cut -c1-12).tar

    exec {lock}>"$BASE.lock"; flock "$lock"    # two builders at once: the second waits and finds the tar
    if [ ! -s "$BASE" ]; then
        local mirror; mirror=$(debian_mirror)
        [ "$mirror" ] || { apt-get -qq update >&2; mirror=$(debian_mirror); }    # container images ship no lists
        [ "$mirror" ] || die "apt knows no Debian bookworm main repository: add one to /etc/apt and run apt-get update"
        # apt inside mmdebstrap does not see the machine's apt.conf, but it heeds the environment.
        eval "$(apt-config shell http_proxy Acquire::http::Proxy)"; export http_proxy
        mmdebstrap --quiet --mode=root --variant=minbase --format=tar --include="$packages" \
            --aptopt='APT::Install-Recommends "false"' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            bookworm "$BASE.part" "$mirror"
        mv "$BASE.part" "$BASE"
    fi
    exec {lock}>&-
}

partition() {
    truncate -s "$SIZE" "$PART_OUT"
    local layout='label: dos\nstart=2048, type=83, bootable\n'; ROOT_NUMBER=1
    [ $FW = bios ] || { layout='label: gpt\nstart=2048, size=131072, type=U\ntype=L\n'; ROOT_NUMBER=2; }
    printf "$layout" | sfdisk -q "$PART_OUT"
    LOOP=$(losetup --find --show "$PART_OUT")
    partx --add "$LOOP"
    local root=${LOOP}p$ROOT_NUMBER
    quiet "mkfs.$FS" -q -L root "$root"
    UUID=$(blkid -p -s UUID -o value "$root")
    ROOT_DEV=UUID=$UUID ESP_DEV=UUID=FEA5-1B1E
    [ $ROOT_BY = uuid ] || ROOT_DEV=/dev/sda$ROOT_NUMBER ESP_DEV=/dev/sda1
    mount "$root" "$MNT"
}

unpack() {
    tar -C "$MNT" --numeric-owner --xattrs -xf "$BASE"
    mount --rbind /dev "$MNT/dev"; mount --make-rslave "$MNT/dev"
    mount --rbind /sys "$MNT/sys"; mount --make-rslave "$MNT/sys"
    mount -t proc proc "$MNT/proc"
}

configure_system() {
    echo "$ROOT_DEV / $FS defaults 0 1" > "$MNT/etc/fstab"
    [ $FW = bios ] || echo "$ESP_DEV /boot/efi vfat umask=0077 0 1" >> "$MNT/etc/fstab"
    echo "$NAME" > "$MNT/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$NAME" > "$MNT/etc/hosts"
    rm -f "$MNT/etc/resolv.conf"; echo 'nameserver 10.0.2.3' > "$MNT/etc/resolv.conf"    # not the builder's
    echo 'root:refit' | chroot "$MNT" chpasswd
}

# NIC number i has the name that VMware's slot numbers 192, 224, 256 give, and 10.0.(2+i).15/24.
configure_network() {
    local i etc=$MNT/etc
    case $NET in
        ifupdown | dhcp | udevrule) printf 'auto lo\niface lo inet loopback\n' > "$etc/network/interfaces" ;;
        netplan) printf 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n' > "$etc/netplan/01-netcfg.yaml" ;;
        networkd) chroot "$MNT" systemctl -q enable systemd-networkd ;;
    esac
    for ((i = 0; i < NICS; i++)); do
        network_$NET "$i" ens$((192 + 32 * i)) 10.0.$((2 + i)).15/24
    done
}
# Each of these takes number, name and address. Only the first NIC has a gateway, spelt as $2 says.
gateway() { [ "$1" != 0 ] || printf "$2" 10.0.2.2; }

network_ifupdown() {
    printf '\nauto %s\niface %s inet static\n    address %s\n' "$2" "$2" "$3" >> "$etc/network/interfaces"
    gateway "$1" '    gateway %s\n' >> "$etc/network/interfaces"
}
network_dhcp() { printf '\nallow-hotplug %s\niface %s inet dhcp\n' "$2" "$2" >> "$etc/network/interfaces"; }
network_udevrule() {
    network_ifupdown "$@"
    printf 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="%s", NAME="%s"\n' "$(nth_mac "$1")" "$2" \
        >> "$etc/udev/rules.d/70-persistent-net.rules"
}
network_networkd() {
    printf '[Match]\nName=%s\n\n[Network]\nAddress=%s\n%s\n' "$2" "$3" "$(gateway "$1" 'Gateway=%s')" > "$etc/systemd/network/10-$2.network"
}
network_netplan() {
    printf '    %s:\n      addresses: [%s]\n' "$2" "$3" >> "$etc/netplan/01-netcfg.yaml"
    gateway "$1" '      routes: [{to: default, via: %s}]\n' >> "$etc/netplan/01-netcfg.yaml"
    chmod 600 "$etc/netplan/01-netcfg.yaml"
}
network_nm() {
    local file=$etc/NetworkManager/system-connections/$2.nmconnection
    printf '[connection]\nid=%s\ntype=ethernet\ninterface-name=%s\n\n' "$2" "$2" > "$file"
    printf '[ipv4]\nmethod=manual\naddress1=%s%s\n\n[ipv6]\nmethod=auto\n' "$3" "$(gateway "$1" ',%s')" >> "$file"
    chmod 600 "$file"    # NetworkManager ignores keyfiles that others may read
}
# The first NIC has --mac; each further one has the last octet one higher.
nth_mac() { printf '%s:%02x' "${MAC%:*}" $((0x${MAC##*:} + $1)); }

# An initramfs with the drivers of VMware's hardware alone, as MODULES=dep makes it there.
build_initramfs() {
    [ $INITRAMFS = vmware ] || return 0
    echo MODULES=list > "$MNT/etc/initramfs-tools/conf.d/modules"
    printf '%s\n' vmw_pvscsi sd_mod mptspi ahci vmxnet3 "$FS" > "$MNT/etc/initramfs-tools/modules"
    quiet chroot "$MNT" update-initramfs -u -k all
}

install_boot_loader() {
    cat > "$MNT/etc/default/grub" <<-'END'
	GRUB_DEFAULT=0
	GRUB_TIMEOUT=1
	GRUB_DISTRIBUTOR=Debian
	GRUB_CMDLINE_LINUX_DEFAULT=""
	GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"
	GRUB_TERMINAL="console serial"
	GRUB_DISABLE_OS_PROBER=true
	END
    [ $ROOT_BY = uuid ] || echo GRUB_DISABLE_LINUX_UUID=true >> "$MNT/etc/default/grub"
    mkdir -p "$MNT/boot/grub" "$MNT/boot/efi"
    if [ $FW = bios ]; then quiet chroot "$MNT" grub-install --target=i386-pc --no-floppy "$LOOP"; else install_efi; fi
    quiet chroot "$MNT" update-grub
    # No udev runs in the chroot, so grub-mkconfig finds no by-uuid link and names the loop device.
    sed -i "s#root=/dev/loop[0-9]*p$ROOT_NUMBER#root=$ROOT_DEV#g" "$MNT/boot/grub/grub.cfg"
}

install_efi() {
    local esp=${LOOP}p1
    mkfs.vfat -F 32 -n ESP -i FEA51B1E "$esp" > /dev/null
    printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' "$UUID" > "$WORK/grub.cfg"
    chroot "$MNT" grub-mkimage -O x86_64-efi -p /EFI/debian part_gpt part_msdos fat ext2 xfs btrfs search search_fs_uuid \
        normal configfile linux echo all_video serial terminal test gzio boot reboot halt minicmd loadenv sleep > "$WORK/grub.efi"
    quiet mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
    quiet mcopy -i "$esp" "$WORK/grub.efi" ::/EFI/debian/grubx64.efi
    quiet mcopy -i "$esp" "$WORK/grub.efi" ::/EFI/BOOT/BOOTX64.EFI
    quiet mcopy -i "$esp" "$WORK/grub.cfg" ::/EFI/debian/grub.cfg
    mkdir -p "$MNT/boot/grub/x86_64-efi"; cp "$MNT"/usr/lib/grub/x86_64-efi/*.{mod,lst} "$MNT/boot/grub/x86_64-efi/"
}

# Says nothing unless the command fails.
quiet() { "$@" > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; die "$* failed"; }; }

cleanup() {
    set +e
    mountpoint -q "$MNT" && umount -R -l "$MNT"
    [ "$LOOP" ] && { partx --delete "$LOOP" 2> /dev/null; losetup --detach "$LOOP"; }
    rm -rf --one-file-system "$WORK"; rm -f "$PART_OUT"
}

parse_options "$@"
[ "$(id -u)" = 0 ] || die "must run as root"
build_base
PART_OUT=$OUT.part LOOP= WORK=$(mktemp -d) ; MNT=$WORK/mnt; mkdir "$MNT"
trap cleanup EXIT
rm -f "$PART_OUT"; partition; unpack; configure_system; configure_network; build_initramfs; install_boot_loader
umount -R "$MNT/dev" "$MNT/sys" -l; umount "$MNT/proc"
fstrim "$MNT" 2> /dev/null || true    # gives back what was written and removed; not every loop driver can
umount "$MNT"    # must succeed, or the disk is not complete
partx --delete "$LOOP"; losetup --detach "$LOOP"; LOOP=
mv "$PART_OUT" "$OUT"
