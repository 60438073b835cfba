# Sourced by debian.sh: partitions, logical volumes, encryption, file systems. No device mapper is used, as
# some kernels have none: a logical volume is a loop device at the place that LVM's metadata says, and an
# encrypted root is made in the clear and encrypted at the end.

LOOPS=()    # the disk's own loop device first

# Sets ESP, BOOT and ROOT (devices; the first two empty if there are none) and the names in fstab.
make_disk() {
    truncate -s "$SIZE" "$PART_OUT"
    local label=dos esp='' boot='' type=83 number=0
    [ $FW = bios ] || { label=gpt type=L esp='size=131072, type=U\n'; }
    [ $LAYOUT = plain ] || boot="size=614400, type=$type\n"
    [ $LAYOUT != lvm ] || { [ $FW = bios ] && type=8e || type=V; }
    printf "label: $label\n$esp$boot%s\n" "type=$type" | sfdisk -q "$PART_OUT"
    attach; LOOP=$DEVICE
    # Those of a builder that was killed stay with the device.
    partx --delete "$LOOP" 2> /dev/null || true
    partx --add "$LOOP"
    [ ! "$esp" ] || { number=$((number + 1)); ESP=${LOOP}p$number; }
    [ ! "$boot" ] || { number=$((number + 1)); BOOT=${LOOP}p$number; }
    number=$((number + 1)); LAST=${LOOP}p$number
    case $LAYOUT in
        plain) ROOT=$LAST; mkfs_on "$ROOT" root ;;
        lvm) make_volumes ;;
        luks)
            attach_file "$WORK/root.img" $(($(blockdev --getsize64 "$LAST") - LUKS_HEADER)); ROOT=$DEVICE
            LUKS_UUID=$(cat /proc/sys/kernel/random/uuid) LAST_START=$(partx -g -b -o START "$LAST")
            mkfs_on "$ROOT" root ;;
    esac
    [ ! "$BOOT" ] || quiet mkfs.ext4 -q -L boot "$BOOT"
    [ ! "$ESP" ] || quiet mkfs.vfat -F 32 -n ESP -i FEA51B1E "$ESP"
    ROOT_DEV=UUID=$(uuid "$ROOT") ESP_DEV=UUID=FEA5-1B1E
    case $LAYOUT.$ROOT_BY in
        plain.sda) ROOT_DEV=/dev/sda$number ESP_DEV=/dev/sda1 ;;
        lvm.*) ROOT_DEV=/dev/mapper/vg-root ;;
        luks.*) ROOT_DEV=/dev/mapper/cryptroot ;;
    esac
}
ESP= BOOT= VAR=
LUKS_HEADER=$((4 << 20))    # room for it; qemu-img's takes about 2 MiB

uuid() { blkid -p -s UUID -o value "$1"; }
mkfs_on() { quiet "mkfs.$FS" -q -L "$2" "$1"; }
# attach [OPTION]...: a loop device over the disk, in DEVICE.
attach() { DEVICE=$(losetup --find --show "$@" "$PART_OUT"); LOOPS+=("$DEVICE"); }
attach_file() { truncate -s "$2" "$1"; DEVICE=$(losetup --find --show "$1"); LOOPS+=("$DEVICE"); }

make_volumes() {
    lvm pvcreate "$LAST"; lvm vgcreate vg "$LAST"
    lvm lvcreate -an -Zn -Wn -n var -L 512M vg; lvm lvcreate -an -Zn -Wn -n root -l 100%FREE vg
    volume var; VAR=$DEVICE; mkfs_on "$VAR" var
    volume root; ROOT=$DEVICE; mkfs_on "$ROOT" root
}
lvm() { quiet "$1" --driverloaded n --devicesfile "" "${@:2}"; }
# Attaches a volume that is one piece: /dev/loop0p2:125-249 are extents 125 to 249.
volume() {
    local start extent pieces
    read -r start extent < <(ask_lvm pvs pe_start,vg_extent_size "$LAST")
    read -r pieces < <(ask_lvm lvs seg_pe_ranges "vg/$1")
    local first=${pieces##*:}; local last=${first#*-}; first=${first%-*}
    attach --offset $(($(partx -g -b -o START "$LAST") * 512 + start + first * extent)) \
        --sizelimit $(((last - first + 1) * extent))
}
ask_lvm() { "$1" --driverloaded n --devicesfile "" --noheadings --units b --nosuffix -o "$2" "$3" 2> "$WORK/log"; }

mount_disk() {
    local options=defaults
    if [ $FS = btrfs ]; then    # as Debian's installer does it
        mount "$ROOT" "$MNT"; quiet btrfs subvolume create "$MNT/@rootfs"; umount "$MNT"; options=subvol=@rootfs
    fi
    mount -o $options "$ROOT" "$MNT"
    [ ! "$BOOT" ] || { mkdir "$MNT/boot"; mount "$BOOT" "$MNT/boot"; }
    [ ! "$VAR" ] || { mkdir "$MNT/var"; mount "$VAR" "$MNT/var"; }
    ROOT_OPTIONS=$options
}

write_fstab() {
    {
        echo "$ROOT_DEV / $FS $ROOT_OPTIONS 0 1"
        [ ! "$BOOT" ] || echo "UUID=$(uuid "$BOOT") /boot ext4 defaults 0 2"
        [ ! "$VAR" ] || echo "/dev/mapper/vg-var /var $FS defaults 0 2"
        [ ! "$ESP" ] || echo "$ESP_DEV /boot/efi vfat umask=0077 0 1"
    } > "$MNT/etc/fstab"
    [ $LAYOUT = luks ] || return 0
    echo "cryptroot UUID=$LUKS_UUID /etc/keys/root.key luks,initramfs" > "$MNT/etc/crypttab"
    (umask 077; mkdir "$MNT/etc/keys"; printf refit > "$MNT/etc/keys/root.key")
    echo 'KEYFILE_PATTERN="/etc/keys/*.key"' >> "$MNT/etc/cryptsetup-initramfs/conf-hook"
    echo UMASK=0077 > "$MNT/etc/initramfs-tools/conf.d/umask"
}

# Detaches all loop devices.
release_disk() {
    local loop
    for loop in "${LOOPS[@]}"; do
        partx --delete "$loop" 2> /dev/null || true
        losetup --detach "$loop"
    done
    LOOPS=()
}

# LUKS 1, few iterations: emulated guests take long to open a slow one. All of it is written, free space, too:
# what is left out would not be zero when it is decrypted.
encrypt_root() {
    [ $LAYOUT = luks ] || return 0
    local size header=$WORK/luks.img key=secret,id=key,data=refit
    size=$(stat -c %s "$WORK/root.img")
    quiet qemu-img create -f luks --object $key -o key-secret=key,iter-time=10 "$header" "$size"
    quiet cryptsetup luksUUID --batch-mode --uuid "$LUKS_UUID" "$header"
    dd if="$header" of="$PART_OUT" bs=512 seek="$LAST_START" count=$((LUKS_HEADER / 512)) conv=notrunc status=none
    quiet qemu-img convert -n -f raw --object $key --target-image-opts "$WORK/root.img" "driver=luks,key-secret=key,\
file.driver=raw,file.offset=$((LAST_START * 512)),file.size=$((LUKS_HEADER + size)),\
file.file.driver=file,file.file.filename=$PART_OUT"
}
