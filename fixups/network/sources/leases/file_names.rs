//! What the names of lease files tell.

/// Whether it is one of dhclient's databases.
pub(super) fn is_dhclient(name: &str) -> bool {
    name.starts_with("dhclient") && (name.ends_with(".lease") || name.ends_with(".leases"))
}

/// UUID and interface in `internal-UUID-INTERFACE.lease`.
pub(super) fn network_manager_name(file_name: &str) -> Option<(&str, &str)> {
    let rest = file_name.strip_suffix(".lease")?;
    let rest = rest
        .strip_prefix("internal-")
        .or_else(|| rest.strip_prefix("internal6-"))?;
    let (uuid, rest) = rest.split_at_checked(36)?;
    let name = rest.strip_prefix('-')?;
    let is_uuid = uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_uuid.then_some((uuid, name))
}

/// What kind of file dhcpcd wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A DHCP message.
    Dhcp4,
    /// A DHCPv6 message.
    Dhcp6,
    /// Shell variables.
    Info,
}

/// The interface in the name of one of dhcpcd's files, which need the prefix `dhcpcd-` in a
/// directory that others use too. A wireless interface has its network behind a hyphen, which no
/// card's name has.
pub(super) fn dhcpcd_interface(file_name: &str, anything: bool) -> Option<(&str, Form)> {
    let forms = [
        (".lease", Form::Dhcp4),
        (".lease6", Form::Dhcp6),
        (".info", Form::Info),
    ];
    let (stem, form) = forms
        .iter()
        .find_map(|(suffix, form)| Some((file_name.strip_suffix(suffix)?, *form)))?;
    let prefixed = stem.strip_prefix("dhcpcd-");
    let name = match prefixed {
        Some(name) => name,
        None if anything && form != Form::Info => stem,
        None => return None,
    };
    (!name.is_empty()).then_some((name, form))
}

/// The interface in `lease-INTERFACE-TYPE-FAMILY.xml`; it may have hyphens.
pub(super) fn wicked_interface(file_name: &str) -> Option<&str> {
    let rest = file_name.strip_prefix("lease-")?.strip_suffix(".xml")?;
    let (rest, family) = rest.rsplit_once('-')?;
    let (name, _type) = rest.rsplit_once('-')?;
    (matches!(family, "ipv4" | "ipv6") && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        for (file_name, anything, expected) in [
            ("eth0.lease", true, Some(("eth0", Form::Dhcp4))),
            ("eth0.lease6", true, Some(("eth0", Form::Dhcp6))),
            ("dhcpcd-eth0.lease", false, Some(("eth0", Form::Dhcp4))),
            ("dhcpcd-eth0.info", true, Some(("eth0", Form::Info))),
            ("eth0.lease", false, None),
            ("eth0.info", true, None),
            (".lease", true, None),
            ("duid", true, None),
        ] {
            assert_eq!(
                dhcpcd_interface(file_name, anything),
                expected,
                "{file_name}"
            );
        }
        for (file_name, expected) in [
            ("lease-eth0-dhcp-ipv4.xml", Some("eth0")),
            ("lease-br-lan-dhcp-ipv6.xml", Some("br-lan")),
            ("lease-eth0-dhcp-any.xml", None),
            ("lease-dhcp-ipv4.xml", None),
            ("request-eth0-dhcp-ipv4.xml", None),
        ] {
            assert_eq!(wicked_interface(file_name), expected, "{file_name}");
        }
    }
}
