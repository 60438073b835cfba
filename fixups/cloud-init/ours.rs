//! The drop-in that refit writes.

use std::fmt::Write as _;

/// Behind all that others write: cloud-init and ds-identify take the last file in the order of
/// bytes.
pub(super) const DROP_IN: &str = "/etc/cloud/cloud.cfg.d/zz-refit.cfg";

/// What it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DropIn {
    /// The sources of data, if the guest's own list does not do.
    pub(super) datasources: Option<Vec<String>>,
    /// Whether network configuration stays as it is.
    pub(super) network: bool,
    /// Whether the host name does.
    pub(super) hostname: bool,
    /// Whether the SSH host keys do.
    pub(super) host_keys: bool,
}

impl DropIn {
    /// The file's content; empty if it says nothing.
    pub(super) fn content(&self) -> String {
        let mut text = String::new();
        if let Some(list) = &self.datasources {
            text.push_str("# Where the new machine may have data for cloud-init.\n");
            // On one line, or ds-identify does not read it.
            let _ = writeln!(text, "datasource_list: [ {} ]", list.join(", "));
        }
        if self.network {
            text.push_str("# The network stays as it is configured in this system.\n");
            text.push_str("network: {config: disabled}\n");
        }
        if self.hostname {
            text.push_str("preserve_hostname: true\n");
        }
        if self.host_keys {
            text.push_str("ssh_deletekeys: false\n");
        }
        if !text.is_empty() {
            let head = "# Written by refit when this system moved to another hypervisor. Remove it to let\n\
                        # cloud-init set the system up anew from the new machine's data.\n";
            text.insert_str(0, head);
        }
        text
    }

    /// In words.
    pub(super) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(list) = &self.datasources {
            reasons.push(format!("cloud-init looks for data in {}", list.join(", ")));
        }
        let kept: Vec<&str> = [
            (self.network, "the network configuration"),
            (self.hostname, "the host name"),
            (self.host_keys, "the SSH host keys"),
        ]
        .into_iter()
        .filter_map(|(kept, what)| kept.then_some(what))
        .collect();
        if !kept.is_empty() {
            reasons.push(format!(
                "a new source of data leaves alone {}",
                kept.join(", ")
            ));
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_say_is_no_file() {
        assert_eq!(DropIn::default().content(), "");
        let list = DropIn {
            datasources: Some(vec!["NoCloud".to_owned(), "OVF".to_owned()]),
            ..DropIn::default()
        };
        let content = list.content();
        assert_eq!(
            content.lines().last(),
            Some("datasource_list: [ NoCloud, OVF ]")
        );
    }
}
