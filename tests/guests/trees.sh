#!/bin/bash
# Makes the root directory of a guest of a family that cannot be built here: its layout and configuration as
# it comes from VMware, with a package database that the family's own tool wrote. It does not boot.
#
#   trees.sh OUTDIR rhel9|sles15|photon5|alpine
#
# One NIC, 00:50:56:aa:bb:01, has 10.0.2.15/24. The root file system is to have the UUID
# 6f1d2a54-9c7e-4d0b-8a55-0c2f4a1e7b90. Needs root, rpm and cpio; apk's database is written as text.
set -euo pipefail

UUID=6f1d2a54-9c7e-4d0b-8a55-0c2f4a1e7b90
MAC=00:50:56:aa:bb:01
die() { echo "trees.sh: $*" >&2; exit 1; }

# put PATH: writes standard input to it.
put() { mkdir -p "$OUT$(dirname "$1")"; cat > "$OUT$1"; }

# What all have. The kernel has virtio built in, so that nothing depends on modules of this machine.
base() {
    local kernel=$1 initrd=$2
    mkdir -p "$OUT"/{boot,dev,etc,home,proc,root,run,sys,tmp,usr/{bin,lib,sbin},var/{lib,log,tmp}}
    if [ "$FAMILY" = alpine ]; then mkdir "$OUT"/{bin,lib,sbin}; else ln -s usr/bin usr/sbin usr/lib "$OUT/"; fi
    put /etc/fstab <<<"UUID=$UUID / ext4 defaults 1 1"
    put /etc/hostname <<<"vm-$FAMILY"
    put "/boot/vmlinuz-$kernel" <<<"kernel"
    put "/lib/modules/$kernel/modules.dep" < /dev/null
    printf 'kernel/drivers/%s.ko\n' virtio/virtio_pci block/virtio_blk scsi/virtio_scsi scsi/sd_mod net/virtio_net |
        put "/lib/modules/$kernel/modules.builtin"
    local image=$WORK/initrd udev=usr/lib/systemd/systemd-udevd; [ "$FAMILY" != alpine ] || udev=sbin/nlplug-findfs
    mkdir -p "$image/lib/modules/$kernel/kernel" "$image/${udev%/*}"
    touch "$image/init" "$image/$udev" "$image/lib/modules/$kernel/kernel/ext4.ko"
    (cd "$image"; find . | cpio --quiet --create --format newc | gzip) | put "/boot/$initrd"
}

# package NAME VERSION [FILE]...: builds an rpm of files that are in the tree already, and installs it.
package() {
    local name=$1 version=$2 file; shift 2
    {
        printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: a test\nLicense: none\n%%description\n' "$name" "$version"
        printf '%%files\n'; printf '%s\n' "$@"
    } > "$WORK/$name.spec"
    rm -rf "$WORK/root"
    for file; do
        mkdir -p "$WORK/root$(dirname "$file")"
        [ -e "$OUT$file" ] || put "$file" <<<"$name"
        cp "$OUT$file" "$WORK/root$file"
    done
    mkdir -p "$WORK/root"
    rpmbuild -bb --quiet --buildroot "$WORK/root" --define "_topdir $WORK" --define '__os_install_post %{nil}' \
        --define 'source_date_epoch_from_changelog 0' --define '_build_id_links none' --define '__spec_install_pre %{nil}' \
        "$WORK/$name.spec" > "$WORK/log" 2>&1 || { cat "$WORK/log" >&2; die "$name cannot be built"; }
    rpm --force-debian --root "$OUT" "${RPM_DB[@]}" -i --nodeps --noscripts --replacefiles "$WORK"/RPMS/*/"$name-$version-1".*.rpm
}

make_rhel9() {
    local kernel=5.14.0-427.13.1.el9_4.x86_64
    RPM_DB=(--dbpath /var/lib/rpm --define '_db_backend sqlite')
    base $kernel initramfs-$kernel.img
    put /etc/os-release <<-'END'
	NAME="Red Hat Enterprise Linux"
	VERSION="9.4 (Plow)"
	ID="rhel"
	ID_LIKE="fedora"
	VERSION_ID="9.4"
	PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"
	END
    put /etc/redhat-release <<<'Red Hat Enterprise Linux release 9.4 (Plow)'
    put /etc/machine-id <<<4b1a3f0c5d6e4f708192a3b4c5d6e7f8
    put /etc/NetworkManager/system-connections/ens192.nmconnection <<-'END'
	[connection]
	id=ens192
	uuid=0b8f1a52-62c5-4b0e-8f52-3f0a35b7a6a1
	type=ethernet
	interface-name=ens192

	[ipv4]
	address1=10.0.2.15/24,10.0.2.2
	method=manual

	[ipv6]
	method=auto
	END
    chmod 600 "$OUT/etc/NetworkManager/system-connections/ens192.nmconnection"
    put "/boot/loader/entries/4b1a3f0c5d6e4f708192a3b4c5d6e7f8-$kernel.conf" <<-END
	title Red Hat Enterprise Linux ($kernel) 9.4 (Plow)
	version $kernel
	linux /boot/vmlinuz-$kernel
	initrd /boot/initramfs-$kernel.img
	options root=UUID=$UUID ro crashkernel=1G-4G:192M
	grub_class rhel
	END
    put /boot/grub2/grub.cfg <<<'blscfg'
    package systemd 252 /usr/lib/systemd/systemd
    package kernel-core 5.14.0 "/boot/vmlinuz-$kernel"
    package NetworkManager 1.46.0 /usr/sbin/NetworkManager
    package dracut 057 /usr/bin/dracut
    vmware_tools
}

make_sles15() {
    local kernel=6.4.0-150600.21-default
    RPM_DB=(--dbpath /usr/lib/sysimage/rpm --define '_db_backend sqlite')    # SUSE's rpm writes ndb; Debian's cannot
    base $kernel initrd-$kernel
    mkdir -p "$OUT/usr/lib/sysimage/rpm"; ln -s ../../usr/lib/sysimage/rpm "$OUT/var/lib/rpm"
    put /etc/os-release <<-'END'
	NAME="SLES"
	VERSION="15-SP6"
	VERSION_ID="15.6"
	PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"
	ID="sles"
	ID_LIKE="suse"
	END
    printf "BOOTPROTO='static'\nIPADDR='10.0.2.15/24'\nSTARTMODE='auto'\n" | put /etc/sysconfig/network/ifcfg-eth0
    put /etc/sysconfig/network/routes <<<'default 10.0.2.2 - -'
    put /etc/udev/rules.d/70-persistent-net.rules <<-END
	SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="$MAC", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"
	END
    put /boot/grub2/grub.cfg <<-END
	menuentry 'SLES 15-SP6' {
	    linux /boot/vmlinuz-$kernel root=UUID=$UUID splash=silent
	    initrd /boot/initrd-$kernel
	}
	END
    package systemd 254 /usr/lib/systemd/systemd
    package kernel-default 6.4.0 "/boot/vmlinuz-$kernel"
    package wicked 0.6.75 /usr/sbin/wicked
    package dracut 059 /usr/bin/dracut
    vmware_tools
}

make_photon5() {
    local kernel=6.1.10-11.ph5-esx
    RPM_DB=(--dbpath /usr/lib/sysimage/rpm --define '_db_backend sqlite')
    base $kernel initrd.img-$kernel
    mkdir -p "$OUT/usr/lib/sysimage/rpm"
    put /etc/os-release <<-'END'
	NAME="VMware Photon OS"
	VERSION="5.0"
	ID=photon
	VERSION_ID=5.0
	PRETTY_NAME="VMware Photon OS/Linux"
	END
    put /etc/photon-release <<<'VMware Photon OS 5.0'
    printf '[Match]\nName=eth0\n\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' |
        put /etc/systemd/network/10-static-eth0.network
    put /boot/photon.cfg <<-END
	photon_cmdline=init=/lib/systemd/systemd ro loglevel=3 quiet net.ifnames=0
	photon_linux=vmlinuz-$kernel
	photon_initrd=initrd.img-$kernel
	END
    put /boot/grub2/grub.cfg <<-END
	set rootpartition=UUID=$UUID
	load_env -f /boot/photon.cfg
	menuentry "Photon" {
	    linux /boot/\$photon_linux root=\$rootpartition \$photon_cmdline
	    initrd /boot/\$photon_initrd
	}
	END
    package systemd 253 /usr/lib/systemd/systemd
    package linux-esx 6.1.10 "/boot/vmlinuz-$kernel"
    package dracut 059 /usr/bin/dracut
    vmware_tools
}

# As the distributions package it.
vmware_tools() {
    put /usr/lib/systemd/system/vmtoolsd.service <<-'END'
	[Unit]
	ConditionVirtualization=vmware
	[Service]
	ExecStart=/usr/bin/vmtoolsd
	[Install]
	WantedBy=multi-user.target
	END
    package open-vm-tools 12.3.5 /usr/bin/vmtoolsd /usr/lib/systemd/system/vmtoolsd.service
    mkdir -p "$OUT/etc/systemd/system/multi-user.target.wants"
    ln -s /usr/lib/systemd/system/vmtoolsd.service "$OUT/etc/systemd/system/multi-user.target.wants/"
}

make_alpine() {
    base 6.6.31-0-lts initramfs-lts
    mv "$OUT/boot/vmlinuz-6.6.31-0-lts" "$OUT/boot/vmlinuz-lts"
    put /etc/os-release <<-'END'
	NAME="Alpine Linux"
	ID=alpine
	VERSION_ID=3.20.0
	PRETTY_NAME="Alpine Linux v3.20"
	END
    put /etc/alpine-release <<<3.20.0
    printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n\taddress 10.0.2.15/24\n\tgateway 10.0.2.2\n' |
        put /etc/network/interfaces
    put /boot/extlinux.conf <<-END
	DEFAULT lts
	LABEL lts
	  LINUX vmlinuz-lts
	  INITRD initramfs-lts
	  APPEND root=UUID=$UUID modules=sd-mod,usb-storage,ext4 rootfstype=ext4
	END
    put /usr/bin/vmtoolsd <<<open-vm-tools
    put /etc/init.d/open-vm-tools <<<'#!/sbin/openrc-run'
    mkdir -p "$OUT/etc/runlevels/boot"; ln -s /etc/init.d/open-vm-tools "$OUT/etc/runlevels/boot/"
    printf '%s\n' alpine-base linux-lts open-vm-tools | put /etc/apk/world
    put /lib/apk/db/installed <<-'END'
	C:Q1aGVsbG8gd29ybGQgaGVsbG8gd28=
	P:busybox
	V:1.36.1-r28
	A:x86_64
	L:GPL-2.0-only
	F:bin
	R:busybox

	C:Q1aGVsbG8gd29ybGQgaGVsbG8gd28=
	P:open-vm-tools
	V:12.4.0-r1
	A:x86_64
	L:LGPL-2.1-only
	F:usr/bin
	R:vmtoolsd
	F:etc/init.d
	R:open-vm-tools

	END
    put /bin/busybox <<<busybox
}

[ $# = 2 ] || die "usage: trees.sh OUTDIR FAMILY (see the head of this file)"
OUT=$1 FAMILY=$2
case $FAMILY in rhel9 | sles15 | photon5 | alpine) ;; *) die "$FAMILY: must be one of rhel9, sles15, photon5, alpine" ;; esac
[ "$(id -u)" = 0 ] || die "must run as root"
[ ! -e "$OUT" ] || die "$OUT exists"
mkdir -p "$OUT"; OUT=$(realpath "$OUT")
WORK=$(mktemp -d); trap 'rm -rf "$WORK"' EXIT
make_$FAMILY
