//! The command lines of the contract, as typed options: what the controller said and what is mounted goes in, and
//! nothing is started.

mod copy;
mod in_place;
mod remote;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use refit_v2v::{Key, LibvirtGuest, Protocol, Root, Vddk};

use crate::Settings;

pub(crate) use copy::{hyperv_options, ova_options, vsphere_options};
pub(crate) use in_place::{disks_options, domain_options};
pub(crate) use remote::options as remote_options;

/// Name of the file with all that virt-v2v printed, in the working directory.
pub(crate) const LOG: &str = "virt-v2v.log";

/// What every mode shares: which system, the appliance's size, addresses, keys.
fn common(settings: &Settings, keys: &[Key]) -> refit_v2v::Settings {
    let mut v2v = refit_v2v::Settings::new(settings.paths.work_dir.join(LOG));
    v2v.protocol = Protocol::Plain;
    v2v.root = match &settings.root_disk {
        Some(device) => Root::Device(device.clone()),
        None => Root::First,
    };
    v2v.memsize_mb = settings.memsize_mb;
    v2v.smp = settings.smp;
    v2v.static_ips = settings
        .static_ips
        .iter()
        .flat_map(|text| text.split('_'))
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect();
    v2v.keys = keys.to_vec();
    // The fixups have drivers of their own, and say so if they have none either.
    v2v.drivers_follow = true;
    // Beside many other pods an appliance takes its time.
    v2v.launch_limit = std::time::Duration::from_secs(300);
    v2v
}

/// The source machine, through libvirt; by VDDK if its library is mounted.
fn libvirt_guest(settings: &Settings, with_extra_args: bool) -> LibvirtGuest {
    let paths = &settings.paths;
    let is_there = |path: &Path| path.exists();
    LibvirtGuest {
        name: settings.vm_name.clone(),
        uri: settings.libvirt_url.clone(),
        password_file: paths.secret_key.clone(),
        vddk: is_there(&paths.vddk_lib_dir).then(|| Vddk {
            lib_dir: paths.vddk_lib_dir.clone(),
            thumbprint: settings.fingerprint.clone(),
            // Whoever gives extra arguments may configure the library with them.
            config: (is_there(&paths.vddk_conf_file) && !with_extra_args)
                .then(|| paths.vddk_conf_file.clone()),
        }),
        vddk_files: Vec::new(),
    }
}

fn extra(args: &[String]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}
