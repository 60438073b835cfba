# What an appliance has to read its OVF environment: one of each kind. Sourced by debian.sh.

# Each leaves what it learnt in /root, where a test looks for it.
install_consumers() {
    # 1. A first-boot script that asks VMware Tools, as Photon's appliances do, and clears the answer.
    install -D -m 755 /dev/stdin "$MNT/opt/appliance/setup.sh" <<'END'
#!/bin/bash
vmtoolsd --cmd "info-get guestinfo.ovfEnv" > /run/ovf-env.xml
value() { grep "\"$1\"" /run/ovf-env.xml | awk -F'oe:value="' '{print $2}' | awk -F'"' '{print $1}'; }
echo "mode=$(value app.mode) debug=$(value app.debug)" > /root/from-vmtoolsd
NAME=$(value guestinfo.hostname)
echo "$NAME" > /etc/hostname; hostname "$NAME"
vmtoolsd --cmd "info-set guestinfo.ready 1"
END
    # 2. One that mounts the CD-ROM and finds the NIC of a network.
    install -D -m 755 /dev/stdin "$MNT/usr/local/sbin/read-cd" <<'END'
#!/bin/sh
DEVICE=$(blkid -t LABEL="OVF ENV" -o device)
mkdir -p /media/cdrom && mount -o ro "$DEVICE" /media/cdrom
sed -n 's/.*ve:mac="\([^"]*\)" ve:network="VM Network".*/\1/p' /media/cdrom/ovf-env.xml > /root/from-cd
umount /media/cdrom
END
    # 3. VMware's appliance management, which sets the network from properties of the class vami.
    install -D -m 755 /dev/stdin "$MNT/opt/vmware/share/vami/vami_ovf_process" <<'END'
#!/bin/sh
# --setnetwork
ENV=$(/usr/bin/vmware-rpctool 'info-get guestinfo.ovfEnv') || exit 1
value() { printf '%s\n' "$ENV" | sed -n "s/.*oe:key=\"vami\.$1\.Appliance\" oe:value=\"\([^\"]*\)\".*/\1/p"; }
cat > /etc/network/interfaces <<EOF
auto lo
iface lo inet loopback
auto ens192
iface ens192 inet static
    address $(value ip0)
    netmask $(value netmask0)
    gateway $(value gateway)
EOF
END
    consumer appliance-setup /opt/appliance/setup.sh 'Before=cloud-init-local.service'
    consumer read-cd /usr/local/sbin/read-cd ''
    consumer vami '/opt/vmware/share/vami/vami_ovf_process --setnetwork' 'Before=networking.service'
    # 4. cloud-init with its OVF source.
    cat > "$MNT/etc/cloud/cloud.cfg.d/99-appliance.cfg" <<'END'
datasource_list: [ OVF, None ]
network: {config: disabled}
END
}

# A unit that runs a command once in each boot: NAME COMMAND ORDER
consumer() {
    cat > "$MNT/etc/systemd/system/$1.service" <<END
[Unit]
Description=Appliance: $1
DefaultDependencies=no
After=local-fs.target systemd-udev-settle.service
Wants=systemd-udev-settle.service
$3

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$2

[Install]
WantedBy=multi-user.target
END
    chroot "$MNT" systemctl --quiet enable "$1.service"
}
