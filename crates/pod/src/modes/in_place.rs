//! virt-v2v-in-place converts disks that were copied before.

use std::path::{Path, PathBuf};

use refit_v2v::{InPlaceOptions, Input, Key};

use super::{common, extra};
use crate::Settings;

/// With the source's own description, rewritten.
pub(crate) fn domain_options(settings: &Settings, keys: &[Key], domain: &Path) -> InPlaceOptions {
    in_place(settings, keys, Input::LibvirtXml(domain.to_owned()))
}

/// With nothing but the disks. Overlays are ours, so that their header can be believed; a guest could write one
/// into its raw disk, so that those must be named for what they are.
pub(crate) fn disks_options(
    settings: &Settings,
    keys: &[Key],
    links: Vec<PathBuf>,
    are_overlays: bool,
) -> InPlaceOptions {
    let format = (!are_overlays).then(|| "raw".to_owned());
    in_place(
        settings,
        keys,
        Input::Disks {
            paths: links,
            format,
        },
    )
}

fn in_place(settings: &Settings, keys: &[Key], input: Input) -> InPlaceOptions {
    let mut v2v = common(settings, keys);
    v2v.no_fstrim = !settings.xfs_compatibility;
    v2v.extra_args = extra(&settings.extra_args);
    InPlaceOptions {
        input,
        output_xml: None,
        settings: v2v,
    }
}
