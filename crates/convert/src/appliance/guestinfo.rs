//! What a guest could ask VMware Tools for beside its OVF environment.

/// Keys that cloud-init's data source VMware reads (documentation of cloud-init, "VMware").
const CLOUD_INIT: [&str; 3] = [
    "guestinfo.metadata",
    "guestinfo.userdata",
    "guestinfo.vendordata",
];
/// Keys that Ignition reads from the hypervisor itself.
const IGNITION: &str = "guestinfo.ignition.config.data";

/// What to do about settings that nothing in the guest finds on KVM.
pub(super) fn notes(settings: &[(String, String)]) -> Vec<String> {
    let has = |wanted: &str| {
        let mut keys = settings.iter().map(|(key, _)| key);
        keys.any(|key| key.eq_ignore_ascii_case(wanted))
    };
    let mut notes = Vec::new();
    let found: Vec<&str> = CLOUD_INIT.into_iter().filter(|key| has(key)).collect();
    if !found.is_empty() {
        notes.push(format!(
            "the appliance gives cloud-init {}, which its data source VMware reads on VMware alone; give the same \
             to the new machine as NoCloud data: what userdata decodes to (see its .encoding) as user-data, \
             instance-id and local-hostname of metadata as meta-data, and its network as network-config. The values \
             are in guestinfo.xml on the medium of the OVF environment",
            found.join(" and ")
        ));
    }
    if has(IGNITION) {
        notes.push(format!(
            "the appliance gives Ignition {IGNITION}, which it asks VMware's hypervisor for; give it to the new \
             machine as that platform's data, with ignition.platform.id changed to qemu or kubevirt"
        ));
    }
    notes
}
