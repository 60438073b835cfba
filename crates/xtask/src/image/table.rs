//! What takes the space.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::appliance::PLACE;
use super::dpkg::Database;
use super::oci::Layer;

/// How many packages have a line of their own.
const LINES: usize = 14;

/// A table in Markdown: the layers as they are sent, and what they hold once unpacked.
pub fn table(
    layers: &[Layer],
    runtime: &Path,
    appliance: &Path,
    database: &Database,
) -> anyhow::Result<String> {
    let mut out = String::from("| layer | sent, MB | unpacked, MB |\n|---|---:|---:|\n");
    let (mut sent, mut unpacked) = (0, 0);
    for layer in layers {
        sent += layer.size;
        unpacked += layer.unpacked;
        row(&mut out, &layer.name, &[layer.size, layer.unpacked]);
    }
    row(&mut out, "**together**", &[sent, unpacked]);

    out.push_str("\n| in it | unpacked, MB |\n|---|---:|\n");
    for name in ["root", "kernel", "initrd"] {
        let size = fs::metadata(appliance.join(PLACE).join(name))?.len();
        row(&mut out, &format!("appliance: {name}"), &[size]);
    }
    let mut packages = Vec::new();
    for package in database.packages().values() {
        let mut size = 0;
        for file in database.files(package)? {
            // Directories, and what was removed, count for nothing.
            if let Ok(found) = runtime.join(file).symlink_metadata()
                && found.is_file()
            {
                size += found.size();
            }
        }
        packages.push((size, package.name.as_str()));
    }
    packages.sort_unstable_by(|a, b| b.cmp(a));
    let (large, small) = packages.split_at(LINES.min(packages.len()));
    for (size, name) in large {
        row(&mut out, name, &[*size]);
    }
    let rest = small.iter().map(|(size, _)| size).sum();
    row(
        &mut out,
        &format!("{} other packages", small.len()),
        &[rest],
    );
    Ok(out)
}

fn row(out: &mut String, name: &str, sizes: &[u64]) {
    let _ = write!(out, "| {name} |");
    for size in sizes {
        let _ = write!(out, " {:.1} |", *size as f64 / 1e6);
    }
    out.push('\n');
}
