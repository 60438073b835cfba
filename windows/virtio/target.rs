//! The guest's Windows, as far as drivers care.

use anyhow::{Context as _, ensure};
use refit_engine::{Guest, HiveName};
use refit_virtio_win::{Arch, ProductType, Windows};

use super::registry::Registry;

/// Updates that teach Windows 7 and Server 2008 (R2) SHA-2, and those that replaced them keep it.
const SHA2_UPDATES: [&str; 2] = ["_for_KB4474419~", "_for_KB3033929~"];
/// `CurrentState` of a package that is installed, or was and has been replaced by a newer one.
const INSTALLED: [u32; 2] = [0x70, 0x50];

/// # Errors
/// If it is not known which Windows it is: a wrong driver would be worse than none.
pub(super) fn windows(guest: &Guest<'_>, registry: &Registry) -> anyhow::Result<Windows> {
    let facts = guest.facts();
    let known = facts.windows.as_ref().context("the guest is no Windows")?;
    ensure!(
        known.major > 0 && known.current > 0,
        "its version or its control set is not known: {}",
        match known.unreadable.as_slice() {
            [] => "the hives SYSTEM and SOFTWARE do not tell".to_owned(),
            reasons => reasons.join("; "),
        }
    );
    let arch = facts
        .arch
        .as_deref()
        .context("its architecture is not known")?;
    let arch = Arch::parse(arch)
        .with_context(|| format!("there are no virtio drivers for its architecture, {arch}"))?;
    let options = format!("{}\\Control\\ProductOptions", known.control_set());
    let controller = registry
        .text(&HiveName::System, &options, "ProductType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("LanmanNT"));
    let version = (known.major, known.minor);
    Ok(Windows {
        arch,
        version,
        build: known.build,
        product: match (known.server, controller) {
            (_, true) => ProductType::DomainController,
            (true, false) => ProductType::Server,
            (false, false) => ProductType::Workstation,
        },
        suites: 0,
        sha2: version >= (6, 2) || has_sha2_update(registry),
    })
}

fn has_sha2_update(registry: &Registry) -> bool {
    const PACKAGES: &str = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
    let Some(packages) = registry.key(&HiveName::Software, PACKAGES) else {
        return false;
    };
    packages.subkeys().any(|package| {
        let name = package.name();
        SHA2_UPDATES.iter().any(|update| name.contains(update))
            && package
                .value("CurrentState")
                .and_then(|state| state.as_dword())
                .is_some_and(|state| INSTALLED.contains(&state))
    })
}
