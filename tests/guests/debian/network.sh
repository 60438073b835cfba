# Sourced by debian.sh: the network configuration.

# NIC number i has the name that VMware's slot numbers 192, 224, 256 give, and 10.0.(2+i).15/24.
configure_network() {
    local i etc=$MNT/etc
    case $NET in
        ifupdown | dhcp | udevrule | bond) printf 'auto lo\niface lo inet loopback\n' > "$etc/network/interfaces" ;;
        netplan) printf 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n' > "$etc/netplan/01-netcfg.yaml" ;;
        networkd | ipv6) chroot "$MNT" systemctl -q enable systemd-networkd ;;
    esac
    [ $NET != bond ] || { network_bond; return; }
    for ((i = 0; i < NICS; i++)); do
        network_$NET "$i" ens$((192 + 32 * i)) 10.0.$((2 + i)).15/24
    done
}
# Each of these takes number, name and address. Only the first NIC has a gateway, spelt as $2 says.
gateway() { [ "$1" != 0 ] || printf "$2" 10.0.2.2; }

network_ifupdown() {
    printf '\nauto %s\niface %s inet static\n    address %s\n' "$2" "$2" "$3" >> "$etc/network/interfaces"
    gateway "$1" '    gateway %s\n' >> "$etc/network/interfaces"
}
network_dhcp() { printf '\nallow-hotplug %s\niface %s inet dhcp\n' "$2" "$2" >> "$etc/network/interfaces"; }
network_udevrule() {
    network_ifupdown "$@"
    printf 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="%s", NAME="%s"\n' "$(nth_mac "$1")" "$2" \
        >> "$etc/udev/rules.d/70-persistent-net.rules"
}
network_networkd() {
    printf '[Match]\nName=%s\n\n[Network]\nAddress=%s\n%s\n' "$2" "$3" "$(gateway "$1" 'Gateway=%s')" > "$etc/systemd/network/10-$2.network"
}
# No IPv4 at all: fd00:2::15/64 on the first NIC, fd00:3::15/64 on the second.
network_ipv6() {
    local net=fd00:$((2 + $1))
    printf '[Match]\nName=%s\n\n[Network]\nAddress=%s::15/64\nIPv6AcceptRA=no\n' "$2" "$net" > "$etc/systemd/network/10-$2.network"
    [ "$1" != 0 ] || echo "Gateway=$net::2" >> "$etc/systemd/network/10-$2.network"
}
network_netplan() {
    printf '    %s:\n      addresses: [%s]\n' "$2" "$3" >> "$etc/netplan/01-netcfg.yaml"
    gateway "$1" '      routes: [{to: default, via: %s}]\n' >> "$etc/netplan/01-netcfg.yaml"
    chmod 600 "$etc/netplan/01-netcfg.yaml"
}
network_nm() {
    local file=$etc/NetworkManager/system-connections/$2.nmconnection
    printf '[connection]\nid=%s\ntype=ethernet\ninterface-name=%s\n\n' "$2" "$2" > "$file"
    printf '[ipv4]\nmethod=manual\naddress1=%s%s\n\n[ipv6]\nmethod=auto\n' "$3" "$(gateway "$1" ',%s')" >> "$file"
    chmod 600 "$file"    # NetworkManager ignores keyfiles that others may read
}
# All NICs in one bond, and on it two VLANs.
network_bond() {
    local i ports=''
    for ((i = 0; i < NICS; i++)); do ports+=" ens$((192 + 32 * i))"; done
    cat >> "$etc/network/interfaces" <<-END

	auto bond0
	iface bond0 inet manual
	    bond-slaves$ports
	    bond-mode active-backup
	    bond-miimon 100

	auto bond0.10
	iface bond0.10 inet static
	    address 10.0.2.15/24
	    gateway 10.0.2.2

	auto bond0.20
	iface bond0.20 inet static
	    address 192.0.2.15/24
	END
}
# The first NIC has --mac; each further one has the last octet one higher.
nth_mac() { printf '%s:%02x' "${MAC%:*}" $((0x${MAC##*:} + $1)); }
