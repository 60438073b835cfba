//! The kernels that a guest may boot, each with its initramfs.

use std::cmp::Ordering;

use serde::Serialize;

use crate::backend::FileKind;
use crate::guest::Guest;
use crate::path::GuestPath;

/// One installed Linux kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// Release, as in `/lib/modules` (`6.1.0-18-amd64`).
    pub release: String,
    /// The kernel image, if found.
    pub image: Option<GuestPath>,
    /// The initramfs that boot loaders load with it; `None` if it boots without, or if it is part
    /// of a unified kernel image.
    pub initramfs: Option<GuestPath>,
}

/// Names of an initramfs in `/boot`, with `{}` for the kernel release: Debian and Ubuntu, Red Hat
/// and SUSE (dracut), SUSE (mkinitrd), Red Hat up to EL5, Photon and Mageia.
const INITRAMFS_NAMES: [&str; 4] = [
    "initrd.img-{}",
    "initramfs-{}.img",
    "initrd-{}",
    "initrd-{}.img",
];
/// Names of a kernel image in `/boot`.
const IMAGE_NAMES: [&str; 5] = [
    "vmlinuz-{}",
    "vmlinux-{}",
    "Image-{}",
    "image-{}",
    "kernel-{}",
];

/// Every kernel with modules in `/lib/modules` or an image in `/boot`, newest first.
pub(super) fn installed(guest: &Guest<'_>) -> anyhow::Result<Vec<Kernel>> {
    let boot: Vec<String> = names(guest, "/boot", |kind| kind != FileKind::Dir)?;
    let mut releases: Vec<String> = Vec::new();
    for dir in ["/lib/modules", "/usr/lib/modules"] {
        releases.extend(names(guest, dir, |kind| kind == FileKind::Dir)?);
    }
    for name in &boot {
        releases.extend(IMAGE_NAMES.iter().filter_map(|pattern| {
            let release = name.strip_prefix(pattern.trim_end_matches("{}"))?;
            release
                .starts_with(|c: char| c.is_ascii_digit())
                .then(|| release.to_owned())
        }));
    }
    releases.sort_by(|a, b| compare_versions(b, a));
    releases.dedup();

    let boot_loader_spec = boot_loader_spec_dirs(guest)?;
    let mut kernels = Vec::new();
    for release in releases {
        let in_boot = |patterns: &[&str]| {
            patterns
                .iter()
                .map(|pattern| pattern.replace("{}", &release))
                .find(|name| boot.contains(name))
                .map(|name| GuestPath::new(format!("/boot/{name}")))
        };
        let mut kernel = Kernel {
            image: in_boot(&IMAGE_NAMES),
            initramfs: in_boot(&INITRAMFS_NAMES),
            release,
        };
        // Boot Loader Specification type 1: /boot/<machine-id>/<release>/{linux,initrd}.
        for dir in &boot_loader_spec {
            let dir = dir.join(&kernel.release);
            for name in ["initrd", "initramfs", "initrd.img"] {
                if kernel.initramfs.is_none() && guest.exists(dir.join(name))? {
                    kernel.initramfs = Some(dir.join(name));
                }
            }
            if kernel.image.is_none() && guest.exists(dir.join("linux"))? {
                kernel.image = Some(dir.join("linux"));
            }
        }
        if kernel.image.is_none() {
            let beside_modules = GuestPath::new(format!("/lib/modules/{}/vmlinuz", kernel.release));
            if guest.exists(&beside_modules)? {
                kernel.image = Some(beside_modules);
            }
        }
        if kernel.image.is_some() || kernel.initramfs.is_some() {
            kernels.push(kernel);
        }
    }
    // Arch (initramfs-linux.img) and Alpine (initramfs-lts) name them after the flavour.
    if kernels.iter().all(|kernel| kernel.initramfs.is_none()) {
        for name in &boot {
            let flavour = name
                .strip_prefix("vmlinuz-")
                .filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
            let Some(flavour) = flavour else { continue };
            let initramfs = [
                format!("initramfs-{flavour}.img"),
                format!("initramfs-{flavour}"),
            ]
            .into_iter()
            .find(|candidate| boot.contains(candidate))
            .map(|candidate| GuestPath::new(format!("/boot/{candidate}")));
            kernels.push(Kernel {
                release: flavour.to_owned(),
                image: Some(GuestPath::new(format!("/boot/{name}"))),
                initramfs,
            });
        }
    }
    Ok(kernels)
}

fn names(
    guest: &Guest<'_>,
    dir: &str,
    wanted: impl Fn(FileKind) -> bool,
) -> anyhow::Result<Vec<String>> {
    Ok(guest
        .list(dir)?
        .into_iter()
        .filter(|entry| wanted(entry.kind))
        .filter_map(|entry| String::from_utf8(entry.name).ok())
        .collect())
}

/// Directories in `/boot` and the EFI system partition that are named by a machine id.
fn boot_loader_spec_dirs(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut dirs = Vec::new();
    for parent in ["/boot", "/boot/efi", "/efi"] {
        for name in names(guest, parent, |kind| kind == FileKind::Dir)? {
            if name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
                dirs.push(GuestPath::new(parent).join(name));
            }
        }
    }
    Ok(dirs)
}

/// Orders version strings as people read them: runs of digits by value, the rest by bytes.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (x, y) = (run(&mut a), run(&mut b));
        if x.is_empty() && y.is_empty() {
            return Ordering::Equal;
        }
        let both_numbers =
            x.first().is_some_and(u8::is_ascii_digit) && y.first().is_some_and(u8::is_ascii_digit);
        let order = if both_numbers {
            let digits = |run: &[u8]| {
                run.iter()
                    .copied()
                    .skip_while(|&b| b == b'0')
                    .collect::<Vec<_>>()
            };
            let (x, y) = (digits(x), digits(y));
            x.len().cmp(&y.len()).then(x.cmp(&y))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes the leading run of digits, or of anything else, off `text`.
fn run<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let digits = text.first().is_some_and(u8::is_ascii_digit);
    let end = text
        .iter()
        .position(|b| b.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number() {
        for (older, newer) in [
            ("5.9.0", "5.10.0"),
            ("6.1.0-18-amd64", "6.1.0-20-amd64"),
            ("3.10.0-957.el7", "3.10.0-1160.el7"),
            ("4.18.0", "4.18.0-rt"),
        ] {
            assert_eq!(
                compare_versions(older, newer),
                Ordering::Less,
                "{older} {newer}"
            );
            assert_eq!(compare_versions(newer, older), Ordering::Greater);
        }
        assert_eq!(compare_versions("1.02", "1.2"), Ordering::Equal);
    }
}
