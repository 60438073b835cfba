#!/bin/sh
# Runs in the guest: ties each MAC of /tmp/macToIP (MAC:ip:ADDRESS,GATEWAY,PREFIX) to the interface whose
# configuration has the address. A stand-in for Forklift's script, for timing: the same kind of work.
rules=/etc/udev/rules.d/70-persistent-net.rules
[ -s /tmp/macToIP ] && [ ! -s "$rules" ] || exit 0
while read -r line; do
    mac=${line%%:ip:*}
    address=${line#*:ip:}
    address=${address%%,*}
    name=$(grep -lwF "$address" /etc/sysconfig/network-scripts/ifcfg-* /etc/sysconfig/network/ifcfg-* 2> /dev/null |
        sed -n '1s/.*ifcfg-//p')
    [ "$name" ] || name=$(grep -hwF "$address" -r /etc/NetworkManager/system-connections -l 2> /dev/null |
        head -n 1 | xargs -r sed -n 's/^interface-name=//p')
    [ "$name" ] || name=$(awk -v address="$address" '$1 == "iface" { name = $2 } $1 == "address" && index($2, address) == 1 { print name }' \
        /etc/network/interfaces 2> /dev/null | head -n 1)
    [ "$name" ] || name=$(grep -rlwF "$address" /etc/systemd/network 2> /dev/null | head -n 1 | xargs -r sed -n 's/^Name=//p')
    [ ! "$name" ] || echo "SUBSYSTEM==\"net\",ACTION==\"add\",ATTR{address}==\"$mac\",NAME=\"$name\"" >> "$rules"
done < /tmp/macToIP
