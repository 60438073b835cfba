//! A fixed appliance for libguestfs: kernel, initrd and root file system, made here instead of by every pod.
//!
//! libguestfs-make-fixed-appliance(1) starts an appliance and copies what supermin(1) has made; here
//! supermin is asked directly, in the tree, and nothing is started. Then the root loses what libguestfs does
//! not need, and is packed so that the same files give the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::dpkg::Database;
use super::recipe::Recipe;
use super::tree;
use crate::process;

/// Where the image has it: in libguestfs' default path, so that it is found with and without LIBGUESTFS_PATH.
pub const PLACE: &str = "usr/lib/x86_64-linux-gnu/guestfs";
/// What libguestfs looks for to know a fixed appliance.
const MARK: &str = "README.fixed";
/// All that would differ from build to build: the file system's identity, and the key of its directories' hashes.
const UUID: &str = "72656669-7400-4000-8000-61706c69616e";
/// Free space for what the appliance's own programs write outside of `/tmp`.
const FREE_KIB: u64 = 32 * 1024;
/// A line of libguestfs' init (appliance/init), after which `/tmp` becomes a tmpfs.
const AFTER: &str = "mkdir -p /sysroot\n";
/// A root that is full of zeros would be as large on every node. tmpfs takes memory only as it is filled.
const TMP: &str = "mount -t tmpfs -o mode=1777,size=75% tmp /tmp\n";

/// What takes the place of xfs_repair, with the real one beside it.
pub const XFS_REPAIR: &str = include_str!("../../../../images/xfs_repair");

/// Makes `kernel`, `initrd` and `root` in `out` from the packages in the tree `full`.
pub fn build(full: &Path, recipe: &Recipe, out: &Path) -> anyhow::Result<()> {
    let part = &recipe.appliance;
    let inside = full.join("tmp/appliance");
    fs::create_dir_all(&inside).with_context(|| format!("making {}", inside.display()))?;
    prepare(full, recipe, &inside)?;
    let database = Database::read(full)?;
    let closure = database.closure(&part.packages, &part.without)?;
    // supermin follows dependencies among what dpkg calls installed.
    let restore = database.pretend(&closure)?;
    let built = process::run(
        Command::new("chroot")
            .arg(full)
            .args(["supermin", "--build", "--copy-kernel", "--format", "ext2"])
            .args(["--host-cpu", "x86_64", "-o", "/tmp/appliance/built"])
            .arg("/tmp/appliance/supermin.d")
            .stdout(Stdio::null()),
    );
    restore.restore()?;
    built?;

    let files = inside.join("files");
    fs::create_dir(&files).with_context(|| format!("making {}", files.display()))?;
    // What it says is of no use: it says something of every link.
    process::capture(
        Command::new("debugfs")
            .arg("-R")
            .arg(format!("rdump / {}", files.display()))
            .arg(inside.join("built/root"))
            .stdin(Stdio::null()),
    )?;
    fs::remove_file(inside.join("built/root")).context("removing supermin's root")?;
    tree::thin_out(&files, part)?;
    modules(&files, &part.modules.keep)?;
    temporary_files(&files)?;
    wrap_xfs_repair(&files)?;
    ensure!(
        files.join("usr/sbin/guestfsd").exists(),
        "supermin's root has no guestfsd"
    );

    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    pack_root(full, &files)?;
    for name in ["root", "built/kernel"] {
        let (from, to) = (
            inside.join(name),
            out.join(name.trim_start_matches("built/")),
        );
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
    }
    initrd(
        &inside.join("built/initrd"),
        &inside.join("initrd"),
        &out.join("initrd"),
    )?;
    let mark = "A fixed appliance, made by supermin when the image was built: see libguestfs-make-fixed-appliance(1).\n";
    fs::write(out.join(MARK), mark).context("marking the appliance")?;
    tree::remove(&inside)
}

/// supermin's own input, with our list of packages.
fn prepare(full: &Path, recipe: &Recipe, inside: &Path) -> anyhow::Result<()> {
    let to = inside.join("supermin.d");
    fs::create_dir(&to).with_context(|| format!("making {}", to.display()))?;
    for from in tree::matching(&full.join(PLACE).join("supermin.d"), "*")? {
        let name = from.file_name().context("a file without a name")?;
        if !name.to_string_lossy().starts_with("packages") {
            fs::copy(&from, to.join(name))
                .with_context(|| format!("copying {}", from.display()))?;
        }
    }
    fs::write(
        to.join("packages"),
        recipe.appliance.packages.join("\n") + "\n",
    )
    .context("writing supermin's list of packages")
}

/// Keeps the listed modules, and renews their index.
fn modules(files: &Path, keep: &[String]) -> anyhow::Result<()> {
    let all = files.join("usr/lib/modules");
    for version in tree::matching(&all, "*")? {
        let kernel = version.join("kernel");
        let kept = tree::matching_all(&kernel, keep)?;
        drop_others(&kernel, &kept)?;
        process::run(
            Command::new("depmod")
                .arg("--basedir")
                .arg(files)
                .arg(version.file_name().unwrap_or_default()),
        )?;
    }
    Ok(())
}

/// Removes all files below `dir` that are not below a path of `kept`.
fn drop_others(dir: &Path, kept: &[PathBuf]) -> anyhow::Result<()> {
    for path in tree::matching(dir, "*")? {
        if kept.iter().any(|kept| path.starts_with(kept)) {
            continue;
        }
        if path.is_dir() && kept.iter().any(|kept| kept.starts_with(&path)) {
            drop_others(&path, kept)?;
        } else {
            tree::remove(&path)?;
        }
    }
    Ok(())
}

fn temporary_files(files: &Path) -> anyhow::Result<()> {
    let path = files.join("init");
    let init = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    ensure!(
        init.matches(AFTER).count() == 1,
        "libguestfs' init is not as it was: see {}",
        file!()
    );
    fs::write(&path, init.replace(AFTER, &format!("{AFTER}{TMP}")))
        .with_context(|| format!("writing {}", path.display()))
}

fn wrap_xfs_repair(files: &Path) -> anyhow::Result<()> {
    let program = files.join("usr/sbin/xfs_repair");
    let context = || format!("wrapping {}", program.display());
    fs::rename(&program, files.join("usr/sbin/xfs_repair.original")).with_context(context)?;
    fs::write(&program, XFS_REPAIR).with_context(context)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).with_context(context)
}

/// An ext2 file system with the files; as large as they are and a little more.
fn pack_root(full: &Path, files: &Path) -> anyhow::Result<()> {
    let used = process::capture(Command::new("du").args(["-sk", "--"]).arg(files))?;
    let used: u64 = used
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("du says {used:?}"))?;
    let inodes = process::capture(Command::new("find").arg(files).args(["-printf", "x"]))?.len();
    let size = used + used / 16 + inodes as u64 / 2 + FREE_KIB;
    process::run(
        // The tree's own: it is newer than the machine's, and clears times.
        Command::new("chroot")
            .arg(full)
            .args([
                "env",
                "SOURCE_DATE_EPOCH=0",
                "mke2fs",
                "-q",
                "-F",
                "-t",
                "ext2",
            ])
            .args(["-b", "4096", "-I", "128", "-m", "0", "-U", UUID])
            .args(["-O", "none,filetype,sparse_super,large_file"])
            .args([
                "-E",
                &format!("root_owner=0:0,hash_seed={UUID},lazy_itable_init=0"),
            ])
            .args(["-N", &(inodes + 1024).to_string()])
            .args(["-d", "/tmp/appliance/files", "/tmp/appliance/root"])
            .arg(format!("{size}k")),
    )
}

/// supermin's initrd again, without the times and inodes of this build.
fn initrd(from: &Path, dir: &Path, to: &Path) -> anyhow::Result<()> {
    let script = r#"
        mkdir "$2"; cd "$2"
        cpio --quiet --extract --make-directories < "$1"
        find . -exec touch --no-dereference --date=@0 {} +
        find . -print0 | LC_ALL=C sort -z |
            cpio --quiet --null --create --format=newc --reproducible --owner=+0:+0 > "$3"
    "#;
    process::run(
        Command::new("sh")
            .args(["-euc", script, "sh"])
            .args([from, dir, to]),
    )
}
