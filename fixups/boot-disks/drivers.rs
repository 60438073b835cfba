//! virtio drivers in the initramfs of every kernel that may boot.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use refit_engine::{Change, Evidence, Guest, GuestPath, InitramfsFile, Kernel};

use super::index;
use super::initramfs::{Compression, Initramfs};
use super::modules::{Modules, WANTED, module_name};
use super::part::Part;
use super::rebuild;
use super::tool::Tool;

/// No module is larger unpacked, nor are all together that one image gets.
const CONTENT_LIMIT: u64 = 64 * 1024 * 1024;

/// What is to be said of one kernel.
pub(super) enum Outcome {
    /// It finds its disks.
    Ready { how: &'static str },
    /// It does, by modules that refit has appended: what these are.
    Appended { modules: BTreeSet<String> },
    /// It will, once these are appended.
    Append {
        files: Vec<InitramfsFile>,
        missing: Vec<String>,
        modules: BTreeSet<String>,
    },
    /// It does not, and appending to its initramfs cannot help: why, and what the image must have.
    Rebuild {
        why: String,
        modules: Vec<&'static str>,
    },
    /// It does not, and why.
    Stuck(String),
}

/// What all kernels need, together with what makes the guest keep it.
///
/// # Errors
/// If the guest cannot be read. An image that cannot be read is no error, but a problem of that
/// kernel.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Part> {
    let mut part = Part::default();
    let tool = Tool::of(guest)?;
    let mut ready: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut added = BTreeSet::new();
    let mut seen = BTreeSet::new();
    // Arch and Alpine name an image after the flavour; the release that it is for is inside.
    let mut covered = BTreeSet::new();
    let (with, without): (Vec<&Kernel>, Vec<&Kernel>) = guest
        .facts()
        .kernels
        .iter()
        .filter(|kernel| kernel.image.is_some())
        .partition(|kernel| kernel.initramfs.is_some());
    for kernel in with {
        let Some(path) = &kernel.initramfs else {
            continue;
        };
        let Some(real) = guest.resolve(path)? else {
            continue;
        };
        if !seen.insert(real.clone()) {
            continue;
        }
        let (release, outcome) = examine(guest, kernel, &real)?;
        match outcome {
            Outcome::Ready { how } => ready.entry(how).or_default().push(release.clone()),
            Outcome::Appended { modules } => {
                let how = "has had its virtio drivers appended";
                ready.entry(how).or_default().push(release.clone());
                added.extend(modules);
            }
            Outcome::Append {
                files,
                missing,
                modules,
            } => {
                part.evidence.push(Evidence::from([
                    ("kernel", release.clone()),
                    ("initramfs", path.to_string()),
                    ("lacks", missing.join(" ")),
                ]));
                part.reasons
                    .push(format!("{path} lacks {}", missing.join(", ")));
                part.changes.push(Change::InitramfsAppend {
                    path: path.clone(),
                    files,
                });
                added.extend(modules);
            }
            Outcome::Rebuild { why, modules } => {
                match rebuild::rehearse(
                    guest,
                    tool,
                    kernel,
                    &real,
                    &modules,
                    &mut part.warnings,
                )? {
                    Ok(changes) => {
                        part.reasons
                            .push(format!("{path} {why}, so the guest's own tool builds it anew"));
                        part.changes.extend(changes);
                    }
                    Err(reason) => part.problems.push(format!(
                        "{path} {why}; {}, or give the machine a SATA disk (the guest's own tool could not \
                         do it here: {reason})",
                        tool.advice(&release, &modules)
                    )),
                }
            }
            Outcome::Stuck(why) => part.problems.push(why),
        }
        covered.insert(release);
    }
    for kernel in without {
        if covered.contains(&kernel.release) {
            continue;
        }
        match alone(guest, kernel)? {
            Outcome::Stuck(why) => part.problems.push(why),
            Outcome::Ready { how } => ready.entry(how).or_default().push(kernel.release.clone()),
            Outcome::Append { .. } | Outcome::Appended { .. } | Outcome::Rebuild { .. } => {}
        }
    }
    for (how, releases) in ready {
        let list = releases.join(", ");
        part.fine.push(if releases.len() == 1 {
            format!("kernel {list} {how}")
        } else {
            format!("kernels {list}: each {how}")
        });
    }
    let added = wanted_of(&added);
    if !added.is_empty() {
        part.changes
            .extend(tool.include(guest, &added, &mut part.warnings)?);
    }
    Ok(part)
}

/// What a tool has to be told of `modules`: it finds by itself what these depend on.
fn wanted_of(modules: &BTreeSet<String>) -> Vec<&'static str> {
    WANTED
        .into_iter()
        .filter(|name| modules.contains(*name))
        .collect()
}

/// A kernel that boots without an initramfs, or whose initramfs was not found.
pub(super) fn alone(guest: &Guest<'_>, kernel: &Kernel) -> anyhow::Result<Outcome> {
    let release = &kernel.release;
    Ok(match Modules::read(guest, release)? {
        Some(modules) if !modules.knows_virtio() => Outcome::Stuck(without_virtio(release)),
        Some(modules) if modules.needed().is_empty() => Outcome::Ready { how: BUILT_IN },
        Some(_) => Outcome::Stuck(format!(
            "kernel {release} has its virtio drivers as modules, and no initramfs of its own was found; if \
             it is inside a unified kernel image, rebuild that in the guest with {}",
            WANTED.join(" ")
        )),
        None => Outcome::Stuck(format!(
            "kernel {release} has neither modules nor an initramfs here; it needs virtio drivers built in"
        )),
    })
}

const BUILT_IN: &str = "has its virtio drivers built in";
const PACKED: &str = "has its virtio drivers in its initramfs";

fn without_virtio(release: &str) -> String {
    format!(
        "kernel {release} has no virtio drivers; give the machine a SATA disk and an e1000e card"
    )
}

/// What one kernel with an initramfs at `image` needs, and its release.
pub(super) fn examine(
    guest: &Guest<'_>,
    kernel: &Kernel,
    image: &GuestPath,
) -> anyhow::Result<(String, Outcome)> {
    let mut release = kernel.release.clone();
    let appended = guest
        .initramfs_appended(image)
        .with_context(|| format!("reading the end of {image}"))?;
    let mut modules = Modules::read(guest, &release)?;
    let mut needed = BTreeSet::new();
    if let Some(modules) = &modules {
        if !modules.knows_virtio() {
            let outcome = Outcome::Stuck(without_virtio(&release));
            return Ok((release, outcome));
        }
        needed = modules.needed();
        if needed.is_empty() {
            return Ok((release, Outcome::Ready { how: BUILT_IN }));
        }
        if needed.is_subset(&names_in(&appended, &release)) {
            return Ok((release, Outcome::Appended { modules: needed }));
        }
    }
    let found = match Initramfs::read(guest, image, &release, &needed) {
        Ok(found) => found,
        Err(error) => {
            let outcome = Outcome::Rebuild {
                why: format!("cannot be searched for virtio drivers ({error:#})"),
                modules: WANTED.to_vec(),
            };
            return Ok((release, outcome));
        }
    };
    if modules.is_none() {
        for candidate in found.modules.keys() {
            modules = Modules::read(guest, candidate)?;
            if modules.is_some() {
                release.clone_from(candidate);
                break;
            }
        }
    }
    let Some(modules) = modules else {
        return Ok(foreign(release, image, &found));
    };
    needed = modules.needed();
    let mut present = names_in(&appended, &release);
    let packed = found.modules.get(&release);
    present.extend(
        packed
            .into_iter()
            .flat_map(|packed| packed.paths.keys().cloned()),
    );
    present.extend(found.loose.iter().cloned());
    let missing: Vec<String> = needed.difference(&present).cloned().collect();
    let outcome = if missing.is_empty() {
        Outcome::Ready { how: PACKED }
    } else if !modules.knows_virtio() {
        Outcome::Stuck(without_virtio(&release))
    } else if let Some(why) = cannot_append(&found, &modules) {
        Outcome::Rebuild {
            why: format!(
                "lacks {}, which cannot be appended ({why})",
                missing.join(", ")
            ),
            modules: wanted_of(&needed),
        }
    } else {
        let files = files(guest, &found, &modules, &needed)
            .with_context(|| format!("collecting the modules that {image} lacks"))?;
        Outcome::Append {
            files,
            missing,
            modules: needed,
        }
    };
    Ok((release, outcome))
}

/// An image for a kernel whose modules are not installed: one for rescue, often.
fn foreign(release: String, image: &GuestPath, found: &Initramfs) -> (String, Outcome) {
    let ready = found.modules.values().any(|packed| {
        let has = |name| packed.paths.contains_key(name);
        has("virtio_pci") && (has("virtio_blk") || has("virtio_scsi"))
    });
    let outcome = if ready {
        Outcome::Ready { how: PACKED }
    } else {
        Outcome::Stuck(format!(
            "{image} has no virtio drivers as modules, and the modules of its kernel are not installed"
        ))
    };
    (release, outcome)
}

/// Names of the modules of kernel `release` among appended files.
fn names_in(appended: &[InitramfsFile], release: &str) -> BTreeSet<String> {
    let dir = format!("/lib/modules/{release}/");
    appended
        .iter()
        .filter_map(|file| {
            let path = std::str::from_utf8(file.path.as_bytes()).ok()?;
            let (_, below) = path.split_once(&dir)?;
            module_name(below)
        })
        .collect()
}

/// Why modules that are appended to this image would not be loaded; `None` if they would.
fn cannot_append(found: &Initramfs, modules: &Modules) -> Option<String> {
    if let Some(maker) = found.fixed_list {
        return Some(format!(
            "it was made by {maker}, and loads the modules of a fixed list alone"
        ));
    }
    if !found.coldplug {
        return Some("nothing in it loads drivers by itself".to_owned());
    }
    if modules.aliases.is_empty() {
        return Some(format!(
            "/lib/modules/{}/modules.alias is missing or empty",
            modules.release
        ));
    }
    let packed = found.modules.get(&modules.release);
    let unknown: Vec<&str> = packed
        .into_iter()
        .flat_map(|packed| packed.paths.keys())
        .map(String::as_str)
        .filter(|name| modules.get(name).is_none())
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "it has modules that /lib/modules/{}/modules.dep does not list ({})",
            modules.release,
            unknown.join(", ")
        )
    })
}

/// The modules `needed` with indexes of all modules that the image will then have. All of them,
/// not the missing ones alone: so the appended archive tells by itself that nothing is missing.
fn files(
    guest: &Guest<'_>,
    found: &Initramfs,
    modules: &Modules,
    needed: &BTreeSet<String>,
) -> anyhow::Result<Vec<InitramfsFile>> {
    let dir = found.modules_dir(&modules.release);
    let bare = found.bare(&modules.release) == Some(true);
    let mut paths = found
        .modules
        .get(&modules.release)
        .map(|packed| packed.paths.clone())
        .unwrap_or_default();
    let mut files = Vec::new();
    let mut total = 0;
    let mut add = |path: &str, content: Vec<u8>| {
        total += content.len() as u64;
        files.push(InitramfsFile {
            path: dir.join(path),
            mode: 0o644,
            content,
        });
        ensure!(
            total <= CONTENT_LIMIT,
            "they are longer than {CONTENT_LIMIT} bytes"
        );
        Ok(())
    };
    for name in needed {
        let module = modules
            .get(name)
            .with_context(|| format!("modules.dep lists no {name}"))?;
        let mut content = modules.content(guest, module)?;
        let mut path = module.path.as_str();
        // A tool that unpacks modules leaves out what would be needed to load packed ones.
        if bare
            && let Some((unpacked, _)) = path.rsplit_once(".ko.")
            && let Some(compression) = Compression::of(&content)
        {
            content = compression
                .unpack(&content, CONTENT_LIMIT)
                .with_context(|| format!("reading module {path}"))?;
            path = &path[..unpacked.len() + ".ko".len()];
        }
        paths.insert(name.clone(), path.to_owned());
        add(path, content)?;
    }
    for (name, content) in index::indexes(modules, &paths) {
        add(name, content)?;
    }
    if let Some(softdeps) = &modules.softdeps {
        add("modules.softdep", softdeps.clone())?;
    }
    Ok(files)
}
