//! GUIDs as Windows Installer packs them in names of keys and values.

/// Packs `{6732E1E0-6629-4B92-A25F-40377D162D15}` as `0E1E2376926629B42AF50473D761D251`: the digits of the
/// first three groups backwards, in the others the digits of each byte exchanged. `None` if it is no GUID
/// ("Windows Installer", flexera and alexandrumarin.com describe the rule; Microsoft does not).
pub(crate) fn pack(guid: &str) -> Option<String> {
    let inner = guid.strip_prefix('{')?.strip_suffix('}')?;
    let groups: Vec<&str> = inner.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !inner.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        return None;
    }
    Some(exchange(&groups.concat().to_uppercase()))
}

/// The GUID that is packed in `code`; `None` if that is none.
pub(crate) fn unpack(code: &str) -> Option<String> {
    if !is_packed(code) {
        return None;
    }
    let plain = exchange(&code.to_uppercase());
    let (a, b, c) = (&plain[..8], &plain[8..12], &plain[12..16]);
    Some(format!(
        "{{{a}-{b}-{c}-{}-{}}}",
        &plain[16..20],
        &plain[20..]
    ))
}

/// Whether it looks like a packed GUID.
pub(crate) fn is_packed(code: &str) -> bool {
    code.len() == 32 && code.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Exchanges 32 digits; its own inverse.
fn exchange(digits: &str) -> String {
    let mut out = String::with_capacity(32);
    let mut at = 0;
    for length in [8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2] {
        out.extend(digits[at..at + length].chars().rev());
        at += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (guid, code) in [
            (
                "{6732E1E0-6629-4B92-A25F-40377D162D15}",
                "0E1E2376926629B42AF50473D761D251",
            ),
            (
                "{AF174E64-22CF-4386-A9EC-73F285739998}",
                "46E471FAFC2268349ACE372F58379989",
            ),
            // From a Windows 7 with VMware Tools 8.0.2.
            (
                "{FE2F6A2C-196E-4210-9C04-2B1BC21F07EF}",
                "C2A6F2EFE6910124C940B2B12CF170FE",
            ),
        ] {
            assert_eq!(pack(guid).as_deref(), Some(code));
            assert_eq!(unpack(code).as_deref(), Some(guid));
        }
        for wrong in [
            "",
            "{}",
            "6732E1E0-6629-4B92-A25F-40377D162D15",
            "{6732E1E0-6629-4B92-A25F-40377D162D1G}",
            "{6732E1E06629-4B92-A25F-40377D162D15}",
        ] {
            assert_eq!(pack(wrong), None, "{wrong}");
        }
        assert_eq!(unpack("0E1E2376926629B42AF50473D761D25é"), None);
    }
}
