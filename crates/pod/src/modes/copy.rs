//! virt-v2v copies: from vSphere, an OVA, or disks of Hyper-V.

use std::path::PathBuf;

use refit_v2v::{Input, Key, KubevirtOptions};

use super::{common, extra, libvirt_guest};
use crate::Settings;

/// From vSphere. Without a new name virt-v2v takes libvirt's, which the links have, too.
pub(crate) fn vsphere_options(settings: &Settings, keys: &[Key]) -> KubevirtOptions {
    let guest = libvirt_guest(settings, !settings.extra_args.is_empty());
    let mut options = onto_disks(settings, keys, Input::Libvirt(guest));
    options.names_output = settings.new_name.is_some();
    options.settings.hostname.clone_from(&settings.hostname);
    options
}

/// From an OVA: `input` is the appliance itself, or what stands for it. The name is always given: an appliance has
/// one of its own, and virt-v2v would write beside the links.
pub(crate) fn ova_options(settings: &Settings, keys: &[Key], input: Input) -> KubevirtOptions {
    onto_disks(settings, keys, input)
}

/// From disks of Hyper-V, separated by commas.
pub(crate) fn hyperv_options(settings: &Settings, keys: &[Key]) -> KubevirtOptions {
    let paths: Vec<PathBuf> = settings
        .disk_path
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect();
    let format = None;
    let mut options = onto_disks(settings, keys, Input::Disks { paths, format });
    options.settings.extra_args.clear();
    options
}

fn onto_disks(settings: &Settings, keys: &[Key], input: Input) -> KubevirtOptions {
    let mut v2v = common(settings, keys);
    v2v.extra_args = extra(&settings.extra_args);
    KubevirtOptions {
        input,
        out_dir: settings.paths.work_dir.clone(),
        name: settings.target_name().to_owned(),
        names_output: true,
        settings: v2v,
    }
}
