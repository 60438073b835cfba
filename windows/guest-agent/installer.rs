//! The agent's installer, in virtio-win.

use std::io::Cursor;

use anyhow::Context as _;
use msi::{Package, Select};
use refit_virtio_win::Source;

/// An installer that fits the guest.
#[derive(Debug)]
pub(super) struct Installer {
    /// Its path in virtio-win.
    pub(super) path: String,
    /// Its name in the guest.
    pub(super) name: &'static str,
    pub(super) content: Vec<u8>,
    /// `ProductVersion`, if it can be read.
    pub(super) version: Option<String>,
}

/// Names that it has had, the present one first; in lower case.
const X86_64: [&str; 3] = ["qemu-ga-x86_64.msi", "qemu-ga-x64.msi", "rhev-qga64.msi"];
const I386: [&str; 3] = ["qemu-ga-i386.msi", "qemu-ga-x86.msi", "rhev-qga.msi"];

/// The installer for a guest of architecture `arch`; `None` if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn find(source: &Source, arch: Option<&str>) -> anyhow::Result<Option<Installer>> {
    let names = match arch {
        Some("x86_64") => X86_64,
        Some("i386" | "i686" | "x86") => I386,
        _ => return Ok(None),
    };
    for name in names {
        let is_it = |path: &&str| {
            path.rsplit('/')
                .next()
                .unwrap_or_default()
                .eq_ignore_ascii_case(name)
        };
        let Some(path) = source.files().find(is_it) else {
            continue;
        };
        let content = source.read(path)?;
        let version = product_version(&content);
        if let Err(error) = &version {
            tracing::warn!("{path}: its version is not known: {error:#}");
        }
        return Ok(Some(Installer {
            path: path.to_owned(),
            name,
            content,
            version: version.ok(),
        }));
    }
    Ok(None)
}

/// `ProductVersion` in the table `Property` of a Windows Installer package.
fn product_version(content: &[u8]) -> anyhow::Result<String> {
    let mut package = Package::open(Cursor::new(content)).context("opening the package")?;
    let rows = package
        .select_rows(Select::table("Property"))
        .context("reading the table Property")?;
    for row in rows {
        if row.len() >= 2 && row[0].as_str() == Some("ProductVersion") {
            return row[1]
                .as_str()
                .map(str::to_owned)
                .context("ProductVersion is no text");
        }
    }
    anyhow::bail!("it has no ProductVersion")
}
