//! What the controller knows of the NICs (`V2V_staticIPs`).

use refit_engine::{Nic, nic};

/// The NICs in the order in which they are named, and what is wrong with the text: one segment that is not
/// understood costs only itself. A prefix length of 0 means that it is not known.
pub(crate) fn read(static_ips: Option<&str>) -> (Vec<Nic>, Vec<String>) {
    let mut nics = Vec::new();
    let mut problems = Vec::new();
    let segments = static_ips.unwrap_or_default().split('_');
    for segment in segments.filter(|segment| !segment.trim().is_empty()) {
        let parsed = nic::parse_static_ips(&without_zero_prefix(segment.trim()));
        match parsed.and_then(|parsed| nic::merge(nics.iter().cloned().chain(parsed))) {
            Ok(merged) => nics = merged,
            Err(error) => problems.push(format!("V2V_staticIPs: {error:#}")),
        }
    }
    for nic in &mut nics {
        "V2V_staticIPs".clone_into(&mut nic.origin);
    }
    (nics, problems)
}

/// `MAC:ip:ADDRESS,GATEWAY,0` is `MAC:ip:ADDRESS,GATEWAY,`.
fn without_zero_prefix(segment: &str) -> String {
    let fields = segment.split(',').enumerate();
    let fields: Vec<&str> = fields
        .map(|(index, field)| {
            if index == 2 && field == "0" {
                ""
            } else {
                field
            }
        })
        .collect();
    fields.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_card_are_joined_and_a_wrong_one_costs_only_itself() {
        let (nics, problems) = read(Some(
            "00:50:56:aa:bb:01:ip:192.168.122.50,,24_00:50:56:AA:BB:01:ip:2001:db8::5,fe80::1,64,2001:db8::53_\
             nonsense_00:50:56:aa:bb:02:ip:10.0.0.5,10.0.0.1,0,1.1.1.1,8.8.8.8",
        ));
        assert_eq!(problems.len(), 1, "{problems:?}");
        let shown: Vec<String> = nics
            .iter()
            .map(|nic| {
                format!(
                    "{} {:?} {:?} {}",
                    nic.mac,
                    nic.addresses,
                    nic.gateways,
                    nic.dns.len()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "00:50:56:aa:bb:01 [192.168.122.50/24, 2001:db8::5/64] [fe80::1] 1",
                "00:50:56:aa:bb:02 [10.0.0.5/32] [10.0.0.1] 2"
            ]
        );
        assert_eq!(read(None), (Vec::new(), Vec::new()));
        assert_eq!(read(Some("")), (Vec::new(), Vec::new()));
    }
}
