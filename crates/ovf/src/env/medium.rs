//! The CD-ROM (DSP0243 section 11.2).

use refit_iso9660::{Error, File, Image, image};

/// Its label, as vSphere writes it; cloud-init, cloudbase-init and others look for it.
pub const LABEL: &str = "OVF ENV";
/// The document's name in the root directory.
pub const FILE: &str = "ovf-env.xml";

/// Makes the ISO image with the document. `time` is in seconds since 1970.
///
/// # Errors
/// If the document is too large.
pub fn medium(document: &str, time: i64) -> Result<Vec<u8>, Error> {
    image(&Image {
        label: LABEL,
        time,
        files: &[File {
            name: FILE,
            content: document.as_bytes(),
        }],
    })
}
