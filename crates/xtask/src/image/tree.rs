//! Directory trees: installed by mmdebstrap, and thinned out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::recipe::{Part, Recipe};
use crate::process;
use crate::setup;

/// Installs the recipe's packages into a new tree and packs it into `archive`. What was downloaded is kept in `debs`.
pub fn install(
    recipe: &Recipe,
    mirror: Option<&str>,
    debs: &Path,
    archive: &Path,
) -> anyhow::Result<()> {
    fs::create_dir_all(debs).with_context(|| format!("making {}", debs.display()))?;
    let debs = debs.display();
    let mut command = Command::new("mmdebstrap");
    command
        .args([
            "--quiet",
            "--mode=root",
            "--variant=essential",
            "--format=tar",
        ])
        .arg(format!("--include={}", recipe.packages.join(",")))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg("--aptopt=APT::Keep-Downloaded-Packages \"true\"")
        .arg("--skip=essential/unlink")
        .arg("--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives")
        .arg(format!(
            "--setup-hook=sync-in '{debs}' /var/cache/apt/archives"
        ))
        .arg(format!(
            "--customize-hook=sync-out /var/cache/apt/archives '{debs}'"
        ));
    // The kernel is for the appliance, which has an initrd of its own (initramfs-tools' kernel hook).
    command.env("INITRD", "No");
    // Nobody needs half a tree after a crash.
    command.arg("--dpkgopt=force-unsafe-io");
    for path in &recipe.exclude {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    for path in &recipe.include {
        command.arg(format!("--dpkgopt=path-include={path}"));
    }
    // apt inside does not see the machine's configuration, but it heeds the environment.
    if let Some(proxy) = setup::apt_proxy()? {
        command.env("http_proxy", proxy);
    }
    let part = archive.with_extension("part");
    command.arg(&recipe.suite).arg(&part);
    for source in sources(&recipe.suite, mirror)? {
        command.arg(source);
    }
    process::run(&mut command)?;
    fs::rename(&part, archive).with_context(|| format!("writing {}", archive.display()))
}

/// Unpacks an archive of [`install`] into a new directory.
pub fn unpack(archive: &Path, tree: &Path) -> anyhow::Result<()> {
    fs::create_dir(tree).with_context(|| format!("making {}", tree.display()))?;
    process::run(
        Command::new("tar")
            .args(["--extract", "--numeric-owner", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(tree),
    )
}

/// Lines of sources.list: the given mirror, or the machine's own for each of the suite's parts that it has.
fn sources(suite: &str, mirror: Option<&str>) -> anyhow::Result<Vec<String>> {
    let line = |uri: &str, suffix: &str| format!("deb {uri} {suite}{suffix} main");
    if let Some(uri) = mirror {
        return Ok(vec![line(uri, "")]);
    }
    let main = setup::mirror("Debian", "bookworm")?.context(
        "apt knows no Debian main repository: add one to /etc/apt and run apt-get update",
    )?;
    let mut lines = vec![line(&main, ""), line(&main, "-updates")];
    if let Some(security) = setup::mirror("Debian", "bookworm-security")? {
        lines.push(line(&security, "-security"));
    }
    Ok(lines)
}

/// Removes, reduces and links as a part of the recipe says. What it names and is not there is an error: a package may
/// have another name for it now, which would stay.
pub fn thin_out(tree: &Path, part: &Part) -> anyhow::Result<()> {
    for path in matching_all(tree, &part.remove)? {
        // It may have gone with a directory that another pattern means.
        if path.symlink_metadata().is_ok() {
            remove(&path)?;
        }
    }
    for (dir, names) in &part.keep_only {
        let dir = tree.join(dir);
        let kept = matching_all(&dir, names)?;
        for path in matching(&dir, "*")? {
            if !kept.contains(&path) {
                remove(&path)?;
            }
        }
    }
    for (path, target) in &part.links {
        link(tree, path, target)?;
    }
    Ok(())
}

/// Makes a symbolic link, and the directories above it; what is there goes.
pub fn link(tree: &Path, path: &str, target: &str) -> anyhow::Result<()> {
    let path = tree.join(path);
    if path.symlink_metadata().is_ok() {
        remove(&path)?;
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    symlink(target, &path).with_context(|| format!("linking {}", path.display()))
}

/// Removes a file, a link, or a directory with all below.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    let gone = match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    gone.with_context(|| format!("removing {}", path.display()))
}

/// The paths below `dir` that match one of the patterns, each of which must match something.
pub fn matching_all(dir: &Path, patterns: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut useless = Vec::new();
    for pattern in patterns {
        let paths = matching(dir, pattern)?;
        if paths.is_empty() {
            useless.push(pattern.as_str());
        }
        found.extend(paths);
    }
    ensure!(
        useless.is_empty(),
        "the recipe names what is not in {}: {}",
        dir.display(),
        useless.join(", ")
    );
    Ok(found)
}

/// The paths below `dir` that match `pattern`, in order. As in a shell, a name that begins with a dot is
/// meant only by a pattern that does. Links are not followed: they may lead out of the tree.
pub fn matching(dir: &Path, pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(
        !pattern.starts_with('/') && !pattern.split('/').any(|name| name == ".."),
        "{pattern} leads out of the tree"
    );
    let (name, rest) = pattern.split_once('/').unwrap_or((pattern, ""));
    let mut found = Vec::new();
    let context = || format!("listing {}", dir.display());
    for entry in fs::read_dir(dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        let file_name = entry.file_name();
        let text = file_name.to_string_lossy();
        if text.starts_with('.') && !name.starts_with('.')
            || !matches(name.as_bytes(), text.as_bytes())
        {
            continue;
        }
        if rest.is_empty() {
            found.push(entry.path());
        } else if entry.file_type().with_context(context)?.is_dir() {
            found.extend(matching(&entry.path(), rest)?);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name matches a pattern of `*`, one `[a-z]` or `[!a]` for a character, and plain characters.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        ([b'[', b'!', not, b']', rest @ ..], [first, others @ ..]) => {
            first != not && matches(rest, others)
        }
        ([b'[', from, b'-', to, b']', rest @ ..], [first, others @ ..]) => {
            (from..=to).contains(&first) && matches(rest, others)
        }
        ([wanted, rest @ ..], [first, others @ ..]) => wanted == first && matches(rest, others),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_one_name() {
        for (pattern, name, wanted) in [
            ("qemu", "qemu", true),
            ("qemu", "qemu-io", false),
            ("*-", "passwd-", true),
            ("*-", "passwd", false),
            ("systemd-[a-t]*", "systemd-resolved", true),
            ("systemd-[a-t]*", "systemd-udevd", false),
            ("[!s]*", "info", true),
            ("[!s]*", "status", false),
            ("*", "", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                wanted,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn thinning_out_stays_in_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        for path in [
            "usr/share/qemu/a.rom",
            "usr/share/qemu/b.rom",
            "usr/share/man/x",
            "root/.rc",
        ] {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        symlink("share", tree.join("usr/link")).unwrap();
        let part: Part = toml::from_str(
            "packages = []\nwithout = []\nremove = ['usr/*/man', 'root/.*', 'root/.r*']\n\
             [keep-only]\n'usr/share/qemu' = ['b.rom']\n[links]\n'etc/alternatives/awk' = '/usr/bin/mawk'",
        )
        .unwrap();
        assert_eq!(
            matching(tree, "usr/*/man").unwrap(),
            [tree.join("usr/share/man")]
        );
        thin_out(tree, &part).unwrap();
        let left = |path: &str| tree.join(path).symlink_metadata().is_ok();
        assert!(left("usr/share/qemu/b.rom") && left("root") && left("etc/alternatives/awk"));
        assert!(!left("usr/share/qemu/a.rom") && !left("usr/share/man") && !left("root/.rc"));
        assert!(matching(tree, "../etc").is_err());
        assert!(matching(tree, "/etc").is_err());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("usr/share")).unwrap();
        for (remove, keep, expected) in [
            ("'usr/share', 'usr/lib*', 'etc/x'", "", "usr/lib*, etc/x"),
            ("", "'usr' = ['share', 'bin']", "/usr: bin"),
            ("", "'etc' = []", "listing"),
        ] {
            let part: Part = toml::from_str(&format!(
                "packages = []\nwithout = []\nremove = [{remove}]\n[keep-only]\n{keep}"
            ))
            .unwrap();
            let error = format!("{:#}", thin_out(dir.path(), &part).unwrap_err());
            assert!(error.contains(expected), "{error}");
            // Before anything is removed.
            assert!(dir.path().join("usr/share").exists());
        }
    }
}
