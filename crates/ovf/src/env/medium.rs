//! The CD-ROM (DSP0243 section 11.2).

use refit_iso9660::{Error, File, Image, image};

/// Its label, as vSphere writes it; cloud-init, cloudbase-init and others look for it.
pub const LABEL: &str = "OVF ENV";
/// The document's name in the root directory.
pub const FILE: &str = "ovf-env.xml";

/// Name of the file beside it with what else the guest could ask VMware Tools for ([`super::guestinfo()`]). Readers of
/// the document do not see it; refit's stand-in for VMware Tools does.
pub const GUESTINFO_FILE: &str = "guestinfo.xml";

/// Makes the ISO image with the document. `time` is in seconds since 1970.
///
/// # Errors
/// If the document is too large.
pub fn medium(document: &str, time: i64) -> Result<Vec<u8>, Error> {
    medium_with(document, None, time)
}

/// Makes the ISO image with the document and, if there is any, the text of [`super::guestinfo()`].
///
/// # Errors
/// If one of them is too large.
pub fn medium_with(document: &str, guestinfo: Option<&str>, time: i64) -> Result<Vec<u8>, Error> {
    let mut files = vec![File {
        name: FILE,
        content: document.as_bytes(),
    }];
    files.extend(guestinfo.map(|text| File {
        name: GUESTINFO_FILE,
        content: text.as_bytes(),
    }));
    image(&Image {
        label: LABEL,
        time,
        files: &files,
    })
}
