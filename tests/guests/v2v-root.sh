#!/bin/bash
# Makes a root directory with the virt-v2v of a Debian release and all that it needs to convert a Linux
# guest, to be entered by chroot. For trying refit with another virt-v2v than the machine's own.
#
#   v2v-root.sh SUITE OUTDIR        SUITE: trixie, sid
#
# Needs root and mmdebstrap. Takes some minutes, and seconds once the packages are cached in $REFIT_CACHE
# (default: target/guests), unpacked about 1.1 GB. A suite that moves (sid) is cached for the day.
set -euo pipefail

die() { echo "v2v-root.sh: $*" >&2; exit 1; }

# The machine's own Debian mirror, whatever its release. Security and backports have other labels.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 'Component: main' | sed -n 1p
}

build_base() {
    # libguestfs0 is what the host's refit is linked to (virtual since the 64-bit time_t renaming). The kernel
    # is the appliance's, nbdcopy is in libnbd-bin, setpriv in util-linux.
    local packages=virt-v2v,libnbd-bin,nbdkit,qemu-system-x86,qemu-utils,linux-image-cloud-amd64
    packages+=,libguestfs0,libguestfs-xfs,util-linux
    local cache=${REFIT_CACHE:-$(dirname "$0")/../../target/guests} key=$SUITE.$packages; mkdir -p "$cache"
    [ "$SUITE" != sid ] || key+=.$(date +%F)
    BASE=$cache/v2v-$SUITE-$(sha256sum <<<"$key" | cut -c1-12).tar

    exec {lock}>"$BASE.lock"; flock "$lock"    # two builders at once: the second waits and finds the tar
    if [ ! -s "$BASE" ]; then
        local mirror; mirror=$(debian_mirror)
        [ "$mirror" ] || { apt-get -qq update >&2; mirror=$(debian_mirror); }    # container images ship no lists
        [ "$mirror" ] || die "apt knows no Debian main repository: add one to /etc/apt and run apt-get update"
        # apt inside mmdebstrap does not see the machine's apt.conf, but it heeds the environment.
        eval "$(apt-config shell http_proxy Acquire::http::Proxy)"; export http_proxy
        # A site's mirror may lag behind a suite that moves by more than the week that its index is valid.
        local fresh=true; [ "$SUITE" != sid ] || fresh=false
        mmdebstrap --mode=root --variant=minbase --format=tar --include="$packages" \
            --aptopt='APT::Install-Recommends "false"' --aptopt="Acquire::Check-Valid-Until \"$fresh\"" \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            "$SUITE" "$BASE.part" "$mirror" > "$BASE.log" 2>&1 ||
            { tail -n 20 "$BASE.log" >&2; die "$SUITE cannot be unpacked from $mirror"; }
        mv "$BASE.part" "$BASE"
        rm "$BASE.log"
        find "$cache" -name "v2v-$SUITE-*.tar" ! -name "${BASE##*/}" -delete    # of other days
    fi
    exec {lock}>&-
}

[ $# = 2 ] || die "usage: v2v-root.sh SUITE OUTDIR (see the head of this file)"
SUITE=$1 OUT=$2
case $SUITE in trixie | sid) ;; *) die "suite $SUITE: must be trixie or sid" ;; esac
[ "$(id -u)" = 0 ] || die "must run as root"
[ ! -e "$OUT" ] || die "$OUT exists"
build_base
trap 'rm -rf --one-file-system "$OUT.part"' EXIT
rm -rf --one-file-system "$OUT.part"; mkdir -p "$OUT.part"
tar -C "$OUT.part" --numeric-owner --xattrs -xf "$BASE"
mv "$OUT.part" "$OUT"
