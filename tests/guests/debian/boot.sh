# Sourced by debian.sh: initramfs and boot loader.

# What VMware's machines have; ahci and nvme may be built in.
DRIVERS='vmw_pvscsi sd_mod mptspi ahci nvme vmxnet3'

# The base system has an initramfs with most drivers. It is made anew for the drivers of VMware's hardware
# alone, as MODULES=dep or a host-only dracut makes it there, and for a key.
build_initramfs() {
    case $INITRAMFS in
        dracut)
            printf 'hostonly="no"\ndrivers="%s"\n' "$DRIVERS $FS" > "$MNT/etc/dracut.conf.d/vmware.conf"
            local modules; modules=$(echo "$MNT"/lib/modules/*)
            quiet chroot "$MNT" dracut --force "/boot/initrd.img-${modules##*/}" "${modules##*/}"
            return ;;
        vmware)
            echo MODULES=list > "$MNT/etc/initramfs-tools/conf.d/modules"
            printf '%s\n' $DRIVERS "$FS" > "$MNT/etc/initramfs-tools/modules" ;;
        most) [ $LAYOUT = luks ] || return 0 ;;
    esac
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
    # grub-mkconfig would name the loop device that the root is on here, and no kernel if that has no partitions.
    mkdir -p "$MNT/etc/default/grub.d"; echo "GRUB_DEVICE=$ROOT_DEV" > "$MNT/etc/default/grub.d/builder.cfg"
    quiet chroot "$MNT" update-grub
    rm "$MNT/etc/default/grub.d/builder.cfg"
    grep -q "vmlinuz.* root=$ROOT_DEV " "$MNT/boot/grub/grub.cfg" || die "grub.cfg does not boot $ROOT_DEV"
}

install_efi() {
    local home; home=$(chroot "$MNT" grub-mkrelpath /boot/grub)    # on a /boot of its own: /grub
    printf 'search.fs_uuid %s root\nset prefix=($root)%s\nconfigfile $prefix/grub.cfg\n' \
        "$(uuid "${BOOT:-$ROOT}")" "$home" > "$WORK/grub.cfg"
    chroot "$MNT" grub-mkimage -O x86_64-efi -p /EFI/debian part_gpt part_msdos fat ext2 xfs btrfs search search_fs_uuid \
        normal configfile linux echo all_video serial terminal test gzio boot reboot halt minicmd loadenv sleep > "$WORK/grub.efi"
    quiet mmd -i "$ESP" ::/EFI ::/EFI/BOOT ::/EFI/debian
    quiet mcopy -i "$ESP" "$WORK/grub.efi" ::/EFI/debian/grubx64.efi
    quiet mcopy -i "$ESP" "$WORK/grub.efi" ::/EFI/BOOT/BOOTX64.EFI
    quiet mcopy -i "$ESP" "$WORK/grub.cfg" ::/EFI/debian/grub.cfg
    mkdir -p "$MNT/boot/grub/x86_64-efi"; cp "$MNT"/usr/lib/grub/x86_64-efi/*.{mod,lst} "$MNT/boot/grub/x86_64-efi/"
}
