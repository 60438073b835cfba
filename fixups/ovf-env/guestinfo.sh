#!/bin/sh
# Written by refit (fixup ovf-env). Answers what the guest's own programs ask VMware Tools for, in place of
# vmtoolsd, vmware-rpctool and vmware-guestd, from the OVF environment on a CD-ROM with the label "OVF ENV".
# Remove it with the links that lead to it.

PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
LC_ALL=C
export LC_ALL
umask 077

# Tests set these; the guest never does.
STATE=${REFIT_OVF_ENV_STATE:-/var/lib/refit/ovf-env}
DMI=${REFIT_OVF_ENV_DMI:-/sys/class/dmi/id/sys_vendor}
MEDIUM=${REFIT_OVF_ENV_MEDIUM:-}
# What refit has left in the guest itself. A medium comes before it: whoever attaches one means it.
KEPT=${REFIT_OVF_ENV_KEPT:-/etc/refit/ovf-env}

NAME=${0##*/}

# Back on VMware, the real program answers if it is there.
case $(cat "$DMI" 2>/dev/null) in
VMware*)
    for dir in /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin; do
        if [ -x "$dir/$NAME" ] && ! [ "$dir/$NAME" -ef /usr/local/sbin/refit-guestinfo ]; then
            exec "$dir/$NAME" "$@"
        fi
    done
    ;;
esac

missing() {
    echo "No value found" >&2
    exit 1
}

# What is read of the medium: the document, or other settings of the machine.
WANTED=document
DOCUMENT='ovf-env.xml ovf_env.xml OVF_ENV.XML OVF-ENV.XML'
SETTINGS='guestinfo.xml GUESTINFO.XML'

# Prints what is wanted, in the root directory of a mounted medium.
document_in() {
    case $WANTED in
    settings) names=$SETTINGS ;;
    *) names=$DOCUMENT ;;
    esac
    for file in $names; do
        if [ -f "$1/$file" ]; then
            cat "$1/$file"
            return 0
        fi
    done
    return 1
}

# Devices that may hold the medium: by label first, then every CD-ROM.
candidates() {
    for device in '/dev/disk/by-label/OVF\x20ENV' /dev/disk/by-label/OVF_ENV /dev/disk/by-label/OVFENV; do
        [ -b "$device" ] && echo "$device"
    done
    blkid -t LABEL="OVF ENV" -o device 2>/dev/null
    for device in /dev/sr[0-9] /dev/cdrom /dev/hd[a-z] /dev/xvd[a-z]; do
        [ -b "$device" ] && echo "$device"
    done
}

# Whether the label, at its place in the volume descriptor (ECMA-119 8.4), is one of those in use.
labelled() {
    case $(dd if="$1" bs=1 skip=32808 count=32 2>/dev/null | tr 'a-z_' 'A-Z ' | sed 's/ *$//') in
    "OVF ENV" | OVFENV | OVF-TRANSPORT) return 0 ;;
    esac
    return 1
}

# Mounts a device for this process alone, where the system can do that, reads the document, and unmounts.
read_device() {
    dir=$(mktemp -d /run/refit-ovf-env.XXXXXX 2>/dev/null || mktemp -d /tmp/refit-ovf-env.XXXXXX) || return 1
    found=1
    if mount -t iso9660 -o ro,nosuid,nodev,noexec "$1" "$dir" 2>/dev/null; then
        mount --make-private "$dir" 2>/dev/null
        document_in "$dir" && found=0
        umount "$dir" 2>/dev/null || umount -l "$dir" 2>/dev/null
    fi
    rmdir "$dir" 2>/dev/null
    return $found
}

read_any() {
    for device in $(candidates); do
        labelled "$device" && read_device "$device" && return 0
    done
    return 1
}

# Prints the environment document, or the other settings.
medium() {
    if [ -n "$MEDIUM" ]; then
        document_in "$MEDIUM" || document_in "$KEPT"
        return
    fi
    read_any && return 0
    document_in "$KEPT" && return 0
    # Early at boot the CD-ROM may still be on its way.
    command -v udevadm >/dev/null 2>&1 || return 1
    udevadm settle --timeout=10 >/dev/null 2>&1
    read_any
}

digest() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum | cut -d' ' -f1
    else
        cksum | tr ' ' -
    fi
}

# The file that keeps what the guest has set for a key: letters, digits, dots and dashes as they are, others
# in hexadecimal, so that no key leads out of the directory.
kept_in() {
    printf '%s/%s' "$STATE" "$(printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n')"
}

# Keys are compared without regard to case, as VMware does.
lower() {
    printf '%s' "$1" | tr 'A-Z' 'a-z'
}

# The value of a property of the document: the key is compared, never part of a pattern.
property() {
    awk -v wanted="$1" '
        { line = $0 }
        match(line, /<(oe:)?Property [^>]*oe:key="[^"]*"/) {
            key = substr(line, RSTART, RLENGTH)
            sub(/.*oe:key="/, "", key); sub(/"$/, "", key)
            if (tolower(key) != wanted || done) next
            rest = substr(line, RSTART + RLENGTH)
            if (!match(rest, /oe:value="[^"]*"/)) next
            value = substr(rest, RSTART + 10, RLENGTH - 11)
            gsub(/&lt;/, "<", value); gsub(/&gt;/, ">", value); gsub(/&quot;/, "\"", value)
            gsub(/&apos;/, "'\''", value); gsub(/&#9;/, "\t", value); gsub(/&#10;/, "\n", value)
            gsub(/&#13;/, "\r", value); gsub(/&amp;/, "\\&", value)
            print value
            done = 1
        }
        END { exit !done }'
}

get() {
    key=$(lower "$1")
    case $key in
    guestinfo.ovfenv)
        document=$(medium && echo x) || missing
        document=${document%x}
        file=$(kept_in "$key")-$(printf '%s' "$document" | digest)
        if [ -f "$file" ]; then
            # What was set to nothing is gone.
            [ -s "$file" ] || missing
            cat "$file" && echo
            return
        fi
        printf '%s\n' "$(printf '%s' "$document")"
        ;;
    guestinfo.*)
        file=$(kept_in "$key")
        if [ -f "$file" ]; then
            [ -s "$file" ] || missing
            cat "$file" && echo
            return
        fi
        # Settings of the machine itself, which are not part of the document and are not hidden with it.
        (WANTED=settings; medium) 2>/dev/null | property "$key" && return
        # Hidden with the whole document.
        get guestinfo.ovfEnv 2>/dev/null | property "$key" || missing
        ;;
    *) missing ;;
    esac
}

# What the guest sets counts until another document comes: a new ISO image is news.
put() {
    key=$(lower "$1")
    case $key in
    guestinfo.?*) ;;
    *)
        echo "Permission denied" >&2
        exit 1
        ;;
    esac
    mkdir -p "$STATE" || exit 1
    file=$(kept_in "$key")
    if [ "$key" = guestinfo.ovfenv ]; then
        document=$(medium && echo x) || document=x
        file=$file-$(printf '%s' "${document%x}" | digest)
    fi
    printf '%s' "$2" >"$file.new" && mv -f "$file.new" "$file" || exit 1
    echo
}

list() {
    (get guestinfo.ovfEnv) >/dev/null 2>&1 && echo guestinfo.ovfEnv
    (WANTED=settings; medium) 2>/dev/null | sed -n 's/.*<Property oe:key="\([^"&]*\)".*/\1/p' |
        while read -r key; do
            # What the guest has set follows, or is gone.
            [ -f "$(kept_in "$(lower "$key")")" ] || echo "$key"
        done
    for file in "$STATE"/*; do
        case $file in *-* | *.new | *'*') continue ;; esac
        [ -s "$file" ] || continue
        hex=$(basename "$file" | sed 's/../\\x&/g')
        # Octal escapes are the ones that every printf has.
        printf '%b\n' "$(echo "$hex" | awk '{
            n = split($0, part, "\\\\x"); text = ""
            for (i = 2; i <= n; i++) {
                value = 16 * (index("0123456789abcdef", substr(part[i], 1, 1)) - 1)
                value += index("0123456789abcdef", substr(part[i], 2, 1)) - 1
                text = text sprintf("\\0%03o", value)
            }
            print text
        }')"
    done
}

rpc() {
    # Blanks around and between the words do not count; those of a value do.
    command=$(printf '%s' "$1" | sed 's/^[[:space:]]*//')
    verb=${command%%[[:space:]]*}
    rest=$(printf '%s' "${command#"$verb"}" | sed '1s/^[[:space:]]*//')
    case $verb in
    info-get)
        [ -n "$rest" ] || missing
        get "${rest%%[[:space:]]*}"
        ;;
    info-set)
        key=${rest%%[[:space:]]*}
        value=${rest#"$key"}
        put "$key" "${value#[[:space:]]}"
        ;;
    info-list | list) list ;;
    *)
        echo "Unknown command" >&2
        exit 1
        ;;
    esac
}

case $NAME in
vmware-rpctool | rpctool)
    [ $# -gt 0 ] || exit 1
    rpc "$*"
    exit
    ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
    --cmd=*)
        rpc "${1#--cmd=}"
        exit
        ;;
    --cmd)
        shift
        [ $# -gt 0 ] || exit 1
        rpc "$1"
        exit
        ;;
    -v | --version)
        echo "VMware Tools daemon, version 0 (refit's stand-in: the machine is not on VMware)"
        exit 0
        ;;
    esac
    shift
done
# As a daemon there is nothing to do.
exit 0
