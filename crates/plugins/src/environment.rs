//! What scripts are told through their environment.

use std::collections::BTreeMap;

use refit_engine::{Facts, Info, Os, Request};

pub(crate) use refit_firstboot::PATH;

/// `REFIT_PARAM_NAME` of parameter `name`.
pub(crate) fn parameter_variable(name: &str) -> String {
    format!("REFIT_PARAM_{}", name.to_uppercase().replace('-', "_"))
}

/// The values of a fixup's parameters: what the user gave, else the default. One with neither is
/// left out.
pub(crate) fn parameters(info: &Info, request: &Request) -> BTreeMap<String, toml::Value> {
    let given = request.parameters.get(&info.id);
    info.parameters
        .iter()
        .filter_map(|(name, parameter)| {
            let value = given.and_then(|given| given.get(name));
            Some((name.clone(), value.or(parameter.default.as_ref())?.clone()))
        })
        .collect()
}

/// The parameters as variables.
pub(crate) fn parameter_variables(info: &Info, request: &Request) -> BTreeMap<String, String> {
    parameters(info, request)
        .into_iter()
        .map(|(name, value)| {
            let text = match value {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            (parameter_variable(&name), text)
        })
        .collect()
}

/// The facts as variables, `REFIT_GUEST_...`; what is not known is empty.
pub(crate) fn fact_variables(facts: &Facts) -> BTreeMap<String, String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let os = match facts.os {
        Some(Os::Linux) => "linux",
        Some(Os::Windows) => "windows",
        None => "",
    };
    [
        ("OS", os.to_owned()),
        ("DISTRO", text(&facts.distro)),
        ("DISTRO_LIKE", facts.distro_like.join(" ")),
        ("VERSION", text(&facts.version)),
        ("ARCH", text(&facts.arch)),
        ("HOSTNAME", text(&facts.hostname)),
        ("PACKAGE_FORMAT", text(&facts.package_format)),
        ("INIT", text(&facts.init)),
        ("BOOT_LOADER", text(&facts.boot_loader)),
        ("SELINUX", text(&facts.selinux)),
    ]
    .into_iter()
    .map(|(name, value)| (format!("REFIT_GUEST_{name}"), value.replace('\0', "")))
    .collect()
}

/// The MAC addresses of the machine's NICs, in hardware order.
pub(crate) fn nic_variables(request: &Request) -> BTreeMap<String, String> {
    let macs: Vec<String> = request.nics.iter().map(|nic| nic.mac.to_string()).collect();
    BTreeMap::from([("REFIT_NIC_MACS".to_owned(), macs.join(" "))])
}
