#!/bin/sh
# Makes the rpm databases of the golden cases anew: usage: rpmdb.sh (in this folder).
# Needs rpmbuild, rpm, sqlite3 and db5.3_load, as `cargo xtask setup` installs them.
set -eu
cd "$(dirname "$0")/cases"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# package NAME VERSION "REQUIRES" FILE...
package() {
    name=$1 version=$2 requires=$3
    shift 3
    {
        printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: s\nLicense: x\nBuildArch: noarch\n' "$name" "$version"
        for need in $requires; do printf 'Requires: %s\n' "$need"; done
        printf '%%description\nd\n%%install\n'
        for file in "$@"; do printf 'mkdir -p "%%{buildroot}%s"; echo x > "%%{buildroot}%s"\n' "${file%/*}" "$file"; done
        printf '%%files\n'
        for file in "$@"; do printf '"%s"\n' "$file"; done
    } > "$work/$name.spec"
    rpmbuild --quiet --define "_topdir $work/build" --define '_build_id_links none' \
        --define '__brp_compress %{nil}' -bb "$work/$name.spec"
}

# database CASE PLACE: of all packages built since the last one
database() {
    place=$1/guest/$2
    rm -rf "$work/db"
    mkdir -p "$work/db" "$place"
    rpm --define "_db_backend sqlite" --dbpath "$work/db" --initdb
    rpm --define "_db_backend sqlite" --dbpath "$work/db" --force-debian --nodeps --justdb --nosignature \
        -i "$work"/build/RPMS/noarch/*.rpm
    # Headers by number, in the byte order of the machine: what rpm wrote until 4.15.
    {
        printf 'VERSION=3\nformat=bytevalue\ntype=hash\nHEADER=END\n'
        sqlite3 "$work/db/rpmdb.sqlite" 'select hnum, hex(blob) from Packages' |
            while IFS='|' read -r number blob; do
                printf ' %02x000000\n %s\n' "$number" "$(echo "$blob" | tr A-F a-f)"
            done
        printf 'DATA=END\n'
    } | db5.3_load "$place/Packages"
    chmod 644 "$place"/*
    rm -rf "$work/build"
}

package open-vm-tools 11.0.5 "" /usr/bin/vmtoolsd /usr/lib/systemd/system/vmtoolsd.service \
    /usr/lib/systemd/system/vgauthd.service /etc/vmware-tools/tools.conf
package bash 4.2 "" /usr/bin/bash
database rhel7-rpm-in-a-directory var/lib/rpm

package open-vm-tools 11.3.5 libvmtools0 /usr/bin/vmtoolsd /usr/lib/systemd/system/vmtoolsd.service
package libvmtools0 11.3.5 "" /usr/lib64/libvmtools.so.0
package bash 4.3 "" /usr/bin/bash
database sles12-rpm-in-a-directory var/lib/rpm

package open-vm-tools 11.2.5 "" /usr/bin/vmtoolsd /usr/lib/systemd/system/vmtoolsd.service \
    /usr/lib/systemd/system/vgauthd.service
package minimal 0.1 open-vm-tools
package bash 4.4 "" /usr/bin/bash
database photon-required-by-minimal var/lib/rpm

package vmware-tools-core 9.4.17 "" /usr/sbin/vmtoolsd
package vmware-tools-services 9.4.17 vmware-tools-core /etc/init/vmware-tools-services.conf
package setup 2.8 "" /etc/passwd
database rhel6-osp-in-a-directory var/lib/rpm
