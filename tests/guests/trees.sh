#!/bin/bash
# Makes the root directory of a guest of a family that cannot be built here: its layout and configuration as
# it comes from VMware, with a package database that the family's own tool wrote. It does not boot.
#
#   trees.sh OUTDIR rhel6|rhel7|rhel8|rhel9|rhel10|sles15|photon5|alpine
#
# One NIC, 00:50:56:aa:bb:01, has 10.0.2.15/24. The root file system is to have the UUID
# 6f1d2a54-9c7e-4d0b-8a55-0c2f4a1e7b90. Needs root, rpm, cpio, and db5.3_load for the Berkeley DB that Red Hat
# had until 8; apk's database is written as text.
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
    if [[ $FAMILY = alpine || $FAMILY = rhel6 ]]; then mkdir "$OUT"/{bin,lib,sbin}; else ln -s usr/bin usr/sbin usr/lib "$OUT/"; fi
    put /etc/fstab <<<"UUID=$UUID / ext4 defaults 1 1"
    put /etc/hostname <<<"vm-$FAMILY"
    put "/boot/vmlinuz-$kernel" <<<"kernel"
    put "/lib/modules/$kernel/modules.dep" < /dev/null
    printf 'kernel/drivers/%s.ko\n' virtio/virtio_pci block/virtio_blk scsi/virtio_scsi scsi/sd_mod net/virtio_net |
        put "/lib/modules/$kernel/modules.builtin"
    local image=$WORK/initrd udev=usr/lib/systemd/systemd-udevd
    case $FAMILY in alpine) udev=sbin/nlplug-findfs ;; rhel6) udev=sbin/udevd ;; esac
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

# Replaces rpm's database by one in Berkeley DB, as rpm 4.4 to 4.14 wrote it: header blobs by their numbers.
as_berkeley_db() {
    local db=$OUT/var/lib/rpm
    python3 - "$db/rpmdb.sqlite" > "$WORK/dump" <<-'END'
	import sqlite3, sys
	print("VERSION=3\nformat=bytevalue\ntype=hash\nHEADER=END")
	print(" " + (0).to_bytes(4, "little").hex() + "\n " + (99).to_bytes(4, "little").hex())
	for number, blob in sqlite3.connect(sys.argv[1]).execute("SELECT hnum, blob FROM Packages"):
	    print(" " + number.to_bytes(4, "little").hex() + "\n " + blob.hex())
	print("DATA=END")
	END
    rm -rf "$db"; mkdir "$db"
    db5.3_load -f "$WORK/dump" "$db/Packages"
}

# red_hat VERSION NAME
red_hat() {
    put /etc/redhat-release <<<"Red Hat Enterprise Linux release $1 ($2)"
    [ "$FAMILY" = rhel6 ] || put /etc/os-release <<-END
	NAME="Red Hat Enterprise Linux"
	VERSION="$1 ($2)"
	ID="rhel"
	ID_LIKE="fedora"
	VERSION_ID="$1"
	PRETTY_NAME="Red Hat Enterprise Linux $1 ($2)"
	END
    put /etc/machine-id <<<4b1a3f0c5d6e4f708192a3b4c5d6e7f8
    RPM_DB=(--dbpath /var/lib/rpm --define '_db_backend sqlite')
}

# ifcfg NAME [LINE]...
ifcfg() {
    local name=$1; shift
    printf '%s\n' TYPE=Ethernet BOOTPROTO=none NAME="$name" DEVICE="$name" ONBOOT=yes IPADDR=10.0.2.15 PREFIX=24 \
        GATEWAY=10.0.2.2 DNS1=10.0.2.3 "$@" | put "/etc/sysconfig/network-scripts/ifcfg-$name"
}

keyfile() {
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
}

# boot_entry KERNEL VERSION OPTIONS: as the Boot Loader Specification has it.
boot_entry() {
    put "/boot/loader/entries/4b1a3f0c5d6e4f708192a3b4c5d6e7f8-$1.conf" <<-END
	title Red Hat Enterprise Linux ($1) $2
	version $1
	linux /boot/vmlinuz-$1
	initrd /boot/initramfs-$1.img
	options $3
	grub_class rhel
	END
    put /boot/grub2/grub.cfg <<<'blscfg'
}

make_rhel6() {
    local kernel=2.6.32-754.el6.x86_64
    base $kernel initramfs-$kernel.img
    red_hat 6.10 Santiago
    printf 'NETWORKING=yes\nHOSTNAME=vm-rhel6\n' | put /etc/sysconfig/network
    ifcfg eth0 HWADDR=00:50:56:AA:BB:01 NM_CONTROLLED=no
    put /etc/udev/rules.d/70-persistent-net.rules <<-END
	# PCI device 0x15ad:0x07b0 (vmxnet3) (custom name provided by external tool)
	SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="$MAC", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"
	END
    put /boot/grub/grub.conf <<-END
	default=0
	timeout=5
	title Red Hat Enterprise Linux Server ($kernel)
	\troot (hd0,0)
	\tkernel /boot/vmlinuz-$kernel ro root=UUID=$UUID rhgb quiet
	\tinitrd /boot/initramfs-$kernel.img
	END
    sed -i 's/\\t/\t/' "$OUT/boot/grub/grub.conf"
    put /etc/inittab <<<'id:3:initdefault:'
    put /etc/init/rc.conf <<<'exec /etc/rc.d/rc $RUNLEVEL'
    package upstart 0.6.5 /sbin/init
    package kernel 2.6.32 "/boot/vmlinuz-$kernel"
    package udev 147 /sbin/udevd
    package dracut 004 /sbin/dracut
    as_berkeley_db
}

make_rhel7() {
    local kernel=3.10.0-1160.el7.x86_64
    base $kernel initramfs-$kernel.img
    red_hat 7.9 Maipo
    ifcfg ens192 UUID=5a4c2f1e-7d7b-4d1f-9a44-b0a5d6f3c2e1 DEFROUTE=yes IPV6INIT=yes
    put /boot/grub2/grub.cfg <<-END
	menuentry 'Red Hat Enterprise Linux Server (7.9)' --class red {
	    linux16 /boot/vmlinuz-$kernel root=UUID=$UUID ro crashkernel=auto rhgb quiet
	    initrd16 /boot/initramfs-$kernel.img
	}
	END
    put /etc/default/grub <<<'GRUB_CMDLINE_LINUX="crashkernel=auto rhgb quiet"'
    package systemd 219 /usr/lib/systemd/systemd
    package kernel 3.10.0 "/boot/vmlinuz-$kernel"
    package initscripts 9.49.53 /etc/sysconfig/network-scripts/ifup
    package dracut 033 /usr/sbin/dracut
    vmware_tools
    as_berkeley_db
}

make_rhel8() {
    local kernel=4.18.0-553.el8_10.x86_64
    base $kernel initramfs-$kernel.img
    red_hat 8.10 Ootpa
    ifcfg ens192 UUID=5a4c2f1e-7d7b-4d1f-9a44-b0a5d6f3c2e1
    boot_entry $kernel 8.10 "\$kernelopts \$tuned_params"
    { printf '# GRUB Environment Block\nkernelopts=root=UUID=%s ro crashkernel=auto\n' "$UUID"; printf '#%.0s' {1..1024}; } |
        head -c 1024 | put /boot/grub2/grubenv
    package systemd 239 /usr/lib/systemd/systemd
    package kernel-core 4.18.0 "/boot/vmlinuz-$kernel"
    package NetworkManager 1.40.16 /usr/sbin/NetworkManager
    package dracut 049 /usr/bin/dracut
    vmware_tools
    as_berkeley_db
}

make_rhel9() {
    local kernel=5.14.0-427.13.1.el9_4.x86_64
    base $kernel initramfs-$kernel.img
    red_hat 9.4 Plow
    keyfile
    boot_entry $kernel 9.4 "root=UUID=$UUID ro crashkernel=1G-4G:192M"
    package systemd 252 /usr/lib/systemd/systemd
    package kernel-core 5.14.0 "/boot/vmlinuz-$kernel"
    package NetworkManager 1.46.0 /usr/sbin/NetworkManager
    package dracut 057 /usr/bin/dracut
    vmware_tools
}

make_rhel10() {
    local kernel=6.12.0-55.9.1.el10_0.x86_64
    base $kernel initramfs-$kernel.img
    red_hat 10.0 Coughlan
    RPM_DB=(--dbpath /usr/lib/sysimage/rpm --define '_db_backend sqlite')
    mkdir -p "$OUT/usr/lib/sysimage/rpm"
    keyfile
    boot_entry $kernel 10.0 "root=UUID=$UUID ro crashkernel=2G-64G:256M"
    package systemd 257 /usr/lib/systemd/systemd
    package kernel-core 6.12.0 "/boot/vmlinuz-$kernel"
    package NetworkManager 1.52.0 /usr/sbin/NetworkManager
    package dracut 105 /usr/bin/dracut
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
case $FAMILY in
    rhel6 | rhel7 | rhel8 | rhel9 | rhel10 | sles15 | photon5 | alpine) ;;
    *) die "$FAMILY: must be one of rhel6, rhel7, rhel8, rhel9, rhel10, sles15, photon5, alpine" ;;
esac
[ "$(id -u)" = 0 ] || die "must run as root"
[ ! -e "$OUT" ] || die "$OUT exists"
mkdir -p "$OUT"; OUT=$(realpath "$OUT")
WORK=$(mktemp -d); trap 'rm -rf "$WORK"' EXIT
make_$FAMILY
