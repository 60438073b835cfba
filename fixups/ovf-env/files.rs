//! The environment as files of the guest, where nobody attaches a medium.

use refit_engine::{Change, Guest, OvfEnvironment};

/// Where the stand-in looks when there is no medium. Root's alone, as all of it may be a password.
const DIRECTORY: &str = "/etc/refit/ovf-env";
/// cloud-init's own places (`DataSourceOVF.py`, and `ds-identify`, which looks into another directory).
const SEEDS: [&str; 2] = [
    "/var/lib/cloud/seed/ovf-env.xml",
    "/var/lib/cloud/seed/ovf/ovf-env.xml",
];
const CLOUD_INIT: &str = "/etc/cloud/cloud.cfg";
const MODE: u32 = 0o600;

/// The files that this guest needs: the stand-in's if somebody `asks`, and cloud-init's if it is there.
pub(super) fn wanted(
    guest: &Guest<'_>,
    told: &OvfEnvironment,
    asks: bool,
) -> anyhow::Result<Vec<Change>> {
    let mut files = Vec::new();
    let mut write = |path: String, text: &str| {
        files.push(Change::Write {
            path: path.as_str().into(),
            content: text.as_bytes().to_vec(),
            mode: Some(MODE),
        });
    };
    if asks {
        write(format!("{DIRECTORY}/ovf-env.xml"), &told.document);
        if let Some(guestinfo) = &told.guestinfo {
            write(format!("{DIRECTORY}/guestinfo.xml"), guestinfo);
        }
    }
    if told.has_properties && guest.exists(CLOUD_INIT)? {
        for seed in SEEDS {
            write(seed.to_owned(), &told.document);
        }
    }
    Ok(files)
}

/// Those that the guest does not have yet.
pub(super) fn different(guest: &Guest<'_>, files: Vec<Change>) -> anyhow::Result<Vec<Change>> {
    let mut different = Vec::new();
    for file in files {
        let Change::Write { path, content, .. } = &file else {
            continue;
        };
        let same = guest.read(path)?.as_ref() == Some(content)
            && guest.stat(path)?.is_some_and(|stat| stat.mode == MODE);
        if !same {
            different.push(file);
        }
    }
    Ok(different)
}
