#!/bin/bash
# Makes a disk that inspection and virt-v2v take for a Windows that comes from VMware: NTFS, registry hives,
# the files that are looked for. It does not boot, and nothing of it is Microsoft's or VMware's.
#
#   windows.sh OUT.img [--release win7|server-2012r2|win10|server-2019|win11|server-2025] [--firmware uefi|bios]
#                      [--hibernated] [--dirty] [--hives DIR] [--size 512M]
#
# With --hives, SYSTEM and SOFTWARE are taken from DIR as far as they are there. The others are made of the text
# beside this script by hive-from-reg ($HIVE_FROM_REG, else built by cargo). Needs guestfish and python3.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
die() { echo "windows.sh: $*" >&2; exit 1; }
OUT=${1:?OUT.img}; shift
release=server-2019 firmware=uefi hibernated=no dirty=no hives='' size=512M
while [ $# -gt 0 ]; do case $1 in
    --release) release=$2; shift 2;;
    --firmware) firmware=$2; shift 2;;
    --hibernated) hibernated=yes; shift;;
    --dirty) dirty=yes; shift;;
    --hives) hives=$2; shift 2;;
    --size) size=$2; shift 2;;
    *) die "unknown option $1";;
esac; done
case $release in
    win7) set -- 6.1 7601 WinNT Client Professional 'Windows 7 Professional';;
    server-2012r2) set -- 6.3 9600 ServerNT Server ServerStandard 'Windows Server 2012 R2 Standard';;
    win10) set -- 10 19045 WinNT Client Professional 'Windows 10 Pro';;
    server-2019) set -- 10 17763 ServerNT Server ServerStandard 'Windows Server 2019 Standard';;
    # As it calls itself.
    win11) set -- 10 22631 WinNT Client Professional 'Windows 10 Pro';;
    server-2025) set -- 10 26100 ServerNT Server ServerStandard 'Windows Server 2025 Standard';;
    *) die "unknown release $release";;
esac
version=$1 build=$2 type=$3 installation=$4 edition=$5 product=$6

WORK=$(mktemp -d); trap 'rm -rf "$WORK"' EXIT
hive() { # hive TEXT... HIVE
    local out=${*: -1}
    { printf 'Windows Registry Editor Version 5.00\n\n'; for text in "${@:1:$#-1}"; do
        sed -e 1d -e "s/@TYPE@/$type/" -e "s/@BUILD@/$build/" -e "s/@CURRENT@/${version/#10/6.3}/" \
            -e "s/@INSTALLATION@/$installation/" -e "s/@EDITION@/$edition/" -e "s/@PRODUCT@/$product/" \
            -e "s/@DRIVE@/$drive/" "$here/windows/$text.reg"
        echo
    done; } > "$out.reg"
    if [ -n "${HIVE_FROM_REG:-}" ]; then "$HIVE_FROM_REG" "$out.reg" "$out"
    else (cd "$here/../.." && cargo run -q -p refit-tests --bin hive-from-reg -- "$out.reg" "$out"); fi
    rm "$out.reg"
}
# program FILE: a PE file of headers alone, from which the architecture can be told.
program() { python3 - "$1" <<'PY'
import struct, sys
header = bytearray(0x80); header[:2] = b'MZ'; struct.pack_into('<I', header, 0x3c, 0x80)
header += struct.pack('<4sHHIIIHH', b'PE\0\0', 0x8664, 1, 0, 0, 0, 240, 0x22)
optional = bytearray(240); struct.pack_into('<H', optional, 0, 0x20b); struct.pack_into('<H', optional, 68, 3)
section = struct.pack('<8sIIIIIIHHI', b'.text', 16, 0x1000, 512, 0x200, 0, 0, 0, 0, 0x60000020)
open(sys.argv[1], 'wb').write(bytes(header + optional + section).ljust(0x200, b'\0') + b'\xc3' * 512)
PY
}

# The partition that C: is on, as MountedDevices has it.
guid=0f0e0d0c-0b0a-4908-8706-050403020100 signature=5ef1a2b3
if [ "$firmware" = uefi ]; then drive='hex:44,4d,49,4f,3a,49,44,3a,0c,0d,0e,0f,0a,0b,08,49,87,06,05,04,03,02,01,00'
else drive='hex:b3,a2,f1,5e,00,00,10,00,00,00,00,00'; fi

C=$WORK/c config=$WORK/c/Windows/System32/config
mkdir -p "$C"/{Windows/{INF,Temp,System32/{config,drivers}},Program\ Files/VMware/VMware\ Tools,Users/{Administrator,Default}}
system=(SYSTEM) software=(SOFTWARE)
[ "$version" = 6.1 ] || system+=(DriverDatabase)
[ "$version" != 10 ] || software+=(version-10)
hive "${system[@]}" "$config/SYSTEM"
hive "${software[@]}" "$config/SOFTWARE"
hive NTUSER "$C/Users/Administrator/NTUSER.DAT"
for name in SYSTEM SOFTWARE; do [ ! -e "$hives/$name" ] || cp "$hives/$name" "$config/$name"; done
for file in Windows/System32/{cmd,ntoskrnl}.exe 'Program Files/VMware/VMware Tools/vmtoolsd.exe' \
    Windows/System32/drivers/{vmci,pvscsi,vmmouse,vmxnet3,vmgid}.sys; do program "$C/$file"; done
[ $hibernated = no ] || { printf 'hibr' > "$C/hiberfil.sys"; truncate -s 4096 "$C/hiberfil.sys"; }
tar -C "$C" --numeric-owner -cf "$WORK/c.tar" .

rm -f "$OUT"; truncate -s "$size" "$OUT"
{
    echo run
    if [ "$firmware" = uefi ]; then
        mkdir -p "$WORK/esp/EFI/"{Microsoft/Boot,Boot}
        hive BCD "$WORK/esp/EFI/Microsoft/Boot/BCD"
        program "$WORK/esp/EFI/Microsoft/Boot/bootmgfw.efi"
        program "$WORK/esp/EFI/Boot/bootx64.efi"
        tar -C "$WORK/esp" --numeric-owner -cf "$WORK/esp.tar" .
        cat <<-END
	part-init /dev/sda gpt
	part-add /dev/sda p 2048 206847
	part-add /dev/sda p 206848 -2048
	part-set-gpt-type /dev/sda 1 C12A7328-F81F-11D2-BA4B-00A0C93EC93B
	part-set-gpt-type /dev/sda 2 EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
	part-set-gpt-guid /dev/sda 2 $guid
	mkfs vfat /dev/sda1
	mkfs ntfs /dev/sda2
	mount /dev/sda1 /
	tar-in $WORK/esp.tar /
	umount-all
	mount /dev/sda2 /
	END
    else
        cat <<-END
	part-init /dev/sda mbr
	part-add /dev/sda p 2048 -1
	part-set-mbr-id /dev/sda 1 7
	part-set-bootable /dev/sda 1 true
	pwrite-device /dev/sda "$(printf '%s' $signature | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/')" 440
	mkfs ntfs /dev/sda1
	mount /dev/sda1 /
	END
    fi
    echo "tar-in $WORK/c.tar /"
    echo umount-all
} > "$WORK/commands"
LIBGUESTFS_BACKEND=${LIBGUESTFS_BACKEND:-direct} guestfish --format=raw -a "$OUT" -f "$WORK/commands"
# Marks C: for a check, as Windows does while it is in use: the flag in file 3 of the table and of its mirror.
[ $dirty = no ] || python3 - "$OUT" "$([ "$firmware" = uefi ] && echo 206848 || echo 2048)" <<'PY'
import struct, sys
with open(sys.argv[1], 'r+b') as disk:
    start = int(sys.argv[2]) * 512
    disk.seek(start)
    boot = disk.read(512)
    cluster = 512 * boot[0x0d]
    for table in struct.unpack_from('<QQ', boot, 0x30):
        place = start + table * cluster + 3 * 1024
        disk.seek(place)
        record = disk.read(1024)
        at = struct.unpack_from('<H', record, 0x14)[0]
        while (kind := struct.unpack_from('<II', record, at))[0] != 0x70:
            at += kind[1]
        disk.seek(place + at + struct.unpack_from('<H', record, at + 0x14)[0] + 10)
        disk.write(b'\1\0')
PY
