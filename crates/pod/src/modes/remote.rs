//! virt-v2v-inspector looks at a machine before it is migrated; its exit status is the result.

use refit_v2v::{Input, InspectorOptions, Key};

use super::{common, extra, libvirt_guest};
use crate::Settings;

/// With the disks of a snapshot. What it finds goes to the log.
pub(crate) fn options(settings: &Settings, keys: &[Key]) -> InspectorOptions {
    // The inspector's extra arguments are not instead of the library's configuration; the conversion's are.
    let mut guest = libvirt_guest(settings, false);
    guest.vddk_files.clone_from(&settings.remote_inspect_disks);
    let mut v2v = common(settings, keys);
    v2v.no_fstrim = !settings.xfs_compatibility;
    v2v.hostname.clone_from(&settings.hostname);
    v2v.extra_args = extra(&settings.inspector_extra_args);
    InspectorOptions {
        input: Input::Libvirt(guest),
        output_xml: None,
        settings: v2v,
    }
}
