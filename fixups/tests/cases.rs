//! Golden cases: `<fixup>/cases/<case>/{guest/,params.toml,changes.json}`.
//!
//! Each guest tree is planned, and the plan compared with `changes.json` in full. Then it is applied
//! for real; planned again, which must find nothing to do; and undone, which must give back the
//! tree as it was. `REFIT_BLESS=1 cargo test -p refit-fixups --test cases` writes `changes.json`
//! anew.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use refit_engine::backend::RootBackend;
use refit_engine::{
    BlockDevice, Fixup, Guest, Hints, Mount, Nic, Phase, Planned, Request, Selection, VerdictKind,
    plan, prepare,
};
use serde::Deserialize;

/// `params.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    setup: Setup,
    #[serde(default)]
    nic: Vec<NicParams>,
    /// The fixup's parameters.
    #[serde(default, alias = "parameters")]
    set: BTreeMap<String, toml::Value>,
    /// What the appliance would tell of the disks.
    #[serde(default)]
    device: Vec<Device>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    device: String,
    disk: Option<usize>,
    partition: Option<u32>,
    kind: String,
    uuid: String,
    /// Where it is mounted.
    mounted: Option<String>,
}

/// What git does not keep of a guest's tree.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// Empty directories.
    #[serde(default)]
    dirs: Vec<String>,
    /// Symbolic links with their targets.
    #[serde(default)]
    links: BTreeMap<String, String>,
    /// Files of so many bytes that are nothing in particular, such as a compressed initramfs.
    #[serde(default)]
    bytes: BTreeMap<String, usize>,
    /// Initramfs images.
    #[serde(default)]
    initramfs: BTreeMap<String, Initramfs>,
}

/// An image of one archive, and what is in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Initramfs {
    compression: Compression,
    /// Regular files that hold nothing in particular.
    files: Vec<String>,
    /// Symbolic links with their targets.
    #[serde(default)]
    links: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
    /// LZ4's legacy format, as the kernel reads it.
    Lz4,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NicParams {
    mac: String,
    replaces: Option<String>,
    #[serde(default)]
    addresses: Vec<IpNet>,
    #[serde(default)]
    gateways: Vec<IpAddr>,
    #[serde(default)]
    dns: Vec<IpAddr>,
    pci_slot: Option<u32>,
}

#[test]
fn golden_cases() {
    let mut failures = Vec::new();
    let mut count = 0;
    for fixup in refit_fixups::all() {
        for case in cases(&fixup.info().id) {
            count += 1;
            if let Err(error) = check(fixup, &case) {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count > 20, "only {count} cases found");
}

/// One may do what the other goes by, and both must be content with the result.
#[test]
fn network_fixups_agree() {
    let network: Vec<&dyn Fixup> = refit_fixups::all()
        .into_iter()
        .filter(|fixup| fixup.info().phase == Phase::Network)
        .collect();
    let mut failures = Vec::new();
    for fixup in &network {
        for case in cases(&fixup.info().id) {
            if let Err(error) = check_together(&network, &fixup.info().id, &case) {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn check_together(fixups: &[&'static dyn Fixup], id: &str, case: &Path) -> Result<()> {
    let params: Params = toml::from_str(&fs::read_to_string(case.join("params.toml"))?)?;
    let root = tempfile::tempdir()?;
    copy(&case.join("guest"), root.path())?;
    set_up(&params.setup, root.path())?;
    let hints = hints(&params);
    let request = request(id, params)?;
    let fixups: Vec<&dyn Fixup> = fixups.iter().map(|fixup| *fixup as &dyn Fixup).collect();
    let mut backend = RootBackend::open(root.path())?;
    let mut guest = Guest::inspect(&backend, &hints)?;
    plan(&mut guest, &fixups, &Selection::default(), &request);
    prepare(guest, &backend, Vec::new())?.execute(&mut backend)?;
    let mut guest = Guest::inspect(&backend, &hints)?;
    for again in plan(&mut guest, &fixups, &Selection::default(), &request) {
        ensure!(again.changes.is_empty(), "the second plan is {again:#?}");
    }
    Ok(())
}

fn cases(id: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(id).join("cases");
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut cases: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    cases.sort();
    cases
}

fn check(fixup: &'static dyn Fixup, case: &Path) -> Result<()> {
    let params = fs::read_to_string(case.join("params.toml")).context("reading params.toml")?;
    let params: Params = toml::from_str(&params).context("reading params.toml")?;
    let root = tempfile::tempdir()?;
    copy(&case.join("guest"), root.path()).context("copying the guest")?;
    set_up(&params.setup, root.path()).context("setting up the guest")?;
    let hints = hints(&params);
    let request = request(&fixup.info().id, params)?;
    let before = tree(root.path())?;

    let mut backend = RootBackend::open(root.path())?;
    let mut guest = Guest::inspect(&backend, &hints)?;
    let planned = plan_with(fixup, &mut guest, &request)?;
    compare(&planned, &case.join("changes.json"))?;

    let id = fixup.info().id.clone();
    let prepared = prepare(guest, &backend, vec![id]).context("preparing")?;
    prepared.execute(&mut backend).context("applying")?;
    let mut guest = Guest::inspect(&backend, &hints)?;
    let again = plan_with(fixup, &mut guest, &request)?;
    ensure!(
        again.changes.is_empty(),
        "the second plan is not empty: {again:#?}"
    );
    let expected = match planned.verdict {
        VerdictKind::Change => VerdictKind::Fine,
        same => same,
    };
    ensure!(
        again.verdict == expected,
        "the second verdict is {again:#?}"
    );
    drop(guest);

    prepared
        .undo()
        .restore(&mut backend, false)
        .context("undoing")?;
    let after = tree(root.path())?;
    ensure!(
        before == after,
        "undone, the tree is {after:#?}\ninstead of {before:#?}"
    );
    Ok(())
}

fn plan_with(
    fixup: &'static dyn Fixup,
    guest: &mut Guest<'_>,
    request: &Request,
) -> Result<Planned> {
    let fixups: [&dyn Fixup; 1] = [fixup];
    let planned = plan(guest, &fixups, &Selection::default(), request);
    planned.into_iter().next().context("the fixup was left out")
}

fn compare(planned: &Planned, golden: &Path) -> Result<()> {
    let found = serde_json::to_value(planned)?;
    if std::env::var_os("REFIT_BLESS").is_some() {
        fs::write(golden, serde_json::to_string_pretty(&found)? + "\n")?;
    }
    let expected = fs::read(golden).context("reading changes.json")?;
    let expected: serde_json::Value = serde_json::from_slice(&expected)?;
    ensure!(
        found == expected,
        "planned {found:#}\ninstead of {expected:#}"
    );
    Ok(())
}

fn hints(params: &Params) -> Hints {
    let devices = params.device.iter().map(|one| BlockDevice {
        device: one.device.clone(),
        disk: one.disk,
        partition: one.partition,
        kind: one.kind.clone(),
        uuid: Some(one.uuid.clone()),
    });
    let mounts = params.device.iter().filter_map(|one| {
        Some(Mount {
            device: one.device.clone(),
            path: one.mounted.clone()?,
        })
    });
    Hints {
        devices: devices.collect(),
        mounts: mounts.collect(),
        ..Hints::default()
    }
}

fn request(id: &str, params: Params) -> Result<Request> {
    let nics = params.nic.into_iter().map(|nic| {
        Ok(Nic {
            replaces: nic.replaces.map(|mac| mac.parse()).transpose()?,
            addresses: nic.addresses,
            gateways: nic.gateways,
            dns: nic.dns,
            pci_slot: nic.pci_slot,
            ..Nic::new(nic.mac.parse()?, "--nic")
        })
    });
    Ok(Request {
        nics: nics.collect::<Result<_>>()?,
        parameters: BTreeMap::from([(id.to_owned(), params.set)]),
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn set_up(setup: &Setup, root: &Path) -> Result<()> {
    let inside = |path: &str| -> Result<PathBuf> {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().context("a path without a directory")?)?;
        Ok(path)
    };
    for dir in &setup.dirs {
        fs::create_dir_all(inside(dir)?)?;
    }
    for (path, target) in &setup.links {
        symlink(target, inside(path)?)?;
    }
    for (path, &size) in &setup.bytes {
        fs::write(inside(path)?, vec![0x5a; size])?;
    }
    for (path, image) in &setup.initramfs {
        fs::write(inside(path)?, initramfs(image)?)?;
    }
    Ok(())
}

fn initramfs(image: &Initramfs) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    let files = image.files.iter().map(|name| (name, 0o100_644, "content"));
    let links = image.links.iter();
    let links = links.map(|(name, target)| (name, 0o120_777, target.as_str()));
    let trailer = "TRAILER!!!".to_owned();
    for (name, mode, content) in links.chain(files).chain([(&trailer, 0, "")]) {
        archive.extend_from_slice(b"070701");
        let (size, name_size) = (content.len(), name.len() + 1);
        for field in [1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            archive.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        for part in [format!("{name}\0").as_bytes(), content.as_bytes()] {
            archive.extend_from_slice(part);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    }
    let mut packed = Vec::new();
    match image.compression {
        Compression::None => packed = archive,
        Compression::Gzip => {
            let level = flate2::Compression::fast();
            flate2::read::GzEncoder::new(archive.as_slice(), level).read_to_end(&mut packed)?;
        }
        Compression::Xz => {
            let options = lzma_rust2::XzOptions::default();
            let mut writer = lzma_rust2::XzWriter::new(&mut packed, options)?;
            writer.write_all(&archive)?;
            writer.finish()?;
        }
        Compression::Zstd => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            packed = ruzstd::encoding::compress_to_vec(archive.as_slice(), level);
        }
        Compression::Lz4 => {
            let block = lz4_flex::block::compress(&archive);
            packed.extend_from_slice(&0x184c_2102_u32.to_le_bytes());
            packed.extend_from_slice(&u32::try_from(block.len())?.to_le_bytes());
            packed.extend_from_slice(&block);
        }
    }
    Ok(packed)
}

/// Every path below `root` with its permission bits and its content or target.
fn tree(root: &Path) -> Result<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
    let mut nodes = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            let content = if metadata.is_dir() {
                pending.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path)?.into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path)?
            };
            nodes.insert(path, (metadata.permissions().mode(), content));
        }
    }
    Ok(nodes)
}
