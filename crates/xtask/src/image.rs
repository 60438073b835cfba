//! `cargo xtask image`: the conversion pod's image, made from Debian packages without a registry and without
//! a container engine.
//!
//! Packages are installed into a tree ([`tree`]), libguestfs' appliance is made in it ([`appliance`]), what nothing
//! needs at run time is taken out ([`dpkg`]), and the rest becomes layers ([`layer`]) of an OCI archive ([`oci`])
//! with a list of what is in it ([`mod@sbom`]). What goes in is data: `images/debian/recipe.toml`.

mod appliance;
mod dpkg;
mod layer;
mod oci;
mod recipe;
mod sbom;
mod table;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::dpkg::Database;
use self::oci::{Compression, Layout};
use self::recipe::Recipe;
use crate::process::{capture, cargo, root, run};
use crate::{firstboot, setup};

/// The account that KubeVirt and Forklift run conversion pods as.
const ACCOUNTS: [(&str, &str); 2] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nqemu:x:107:107:qemu:/home/qemu:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nqemu:x:107:\nnogroup:x:65534:\n"),
];
/// For anybody to write to: a pod may have another user, or another group, than the image.
const WRITABLE: [&str; 4] = ["tmp", "var/tmp", "home/qemu", "opt"];
/// Mount points.
const EMPTY: [&str; 7] = ["dev", "proc", "sys", "run", "mnt", "var/log", "var/cache"];

/// Build the image of the conversion pod from Debian packages, as an OCI archive
#[derive(Debug, Args)]
pub struct Image {
    /// Where to write the archive; the list of its contents is written beside it, as FILE.spdx.json
    #[arg(long, value_name = "FILE.tar", default_value_os_t = root().join("target/image/refit.tar"))]
    out: PathBuf,
    /// A debug build of refit, which takes less time
    #[arg(long, conflicts_with = "refit")]
    debug: bool,
    /// A refit that is built already
    #[arg(long, value_name = "FILE")]
    refit: Option<PathBuf>,
    /// Drivers for Windows guests: the ISO, or a directory with what is on it
    #[arg(long, value_name = "PATH")]
    virtio_win: Option<PathBuf>,
    /// Debian mirror; without it the machine's own, with updates and security updates
    #[arg(long, value_name = "URI")]
    mirror: Option<String>,
    /// How layers are packed
    #[arg(long, default_value = "zstd")]
    compression: Compression,
    /// Take the packages of an earlier run with the same recipe, however old
    #[arg(long, conflicts_with = "check")]
    reuse: bool,
    /// Build it twice, and name what differs
    #[arg(long)]
    check: bool,
}

/// What is there before refit comes in: three trees.
struct Base {
    dir: PathBuf,
}

impl Base {
    fn runtime(&self) -> PathBuf {
        self.dir.join("runtime")
    }

    fn appliance(&self) -> PathBuf {
        self.dir.join("appliance")
    }

    /// The database with all packages, also those of which only the appliance has something.
    fn installed(&self) -> PathBuf {
        self.dir.join("installed")
    }
}

/// `cargo xtask image`
pub fn build(image: &Image) -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root can install packages into a tree: run this with sudo"
    );
    setup::image_if_needed()?;
    let (recipe, text) = Recipe::read()?;
    let work = root().join("target/image");
    fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let work = work.canonicalize()?;
    let refit = refit(image)?;
    if !(image.reuse && own_programs().iter().all(|(path, _)| path.exists())) {
        firstboot::build()?;
    }
    if image.check {
        return check(image, &recipe, &work, &refit);
    }
    let archive = work.join(format!("installed-{}.tar", key(&recipe, image)?));
    let base = Base {
        dir: work.join(format!("base-{}", digest(&text, &archive)?)),
    };
    if !(image.reuse && archive.exists()) {
        println!("installing packages into {}", archive.display());
        tree::install(
            &recipe,
            image.mirror.as_deref(),
            &work.join("debs"),
            &archive,
        )?;
    }
    if !(image.reuse && base.dir.exists()) {
        make_base(&base, &recipe, &archive, &work)?;
    }
    let digest = assemble(image, &recipe, &base, &refit, &image.out)?;
    println!("{digest}  {}", image.out.display());
    Ok(())
}

/// Installs the image's packages and `more` into `archive`, a tree.
pub fn install_with(more: &[&str], archive: &Path) -> anyhow::Result<()> {
    setup::image_if_needed()?;
    let (mut recipe, _) = Recipe::read()?;
    recipe.packages.extend(more.iter().map(ToString::to_string));
    tree::install(&recipe, None, &root().join("target/image/debs"), archive)
}

/// What tells apart which packages are installed.
fn key(recipe: &Recipe, image: &Image) -> anyhow::Result<String> {
    let said = serde_json::to_string(&(
        &recipe.suite,
        &recipe.packages,
        &recipe.exclude,
        &recipe.include,
        &image.mirror,
    ))?;
    Ok(layer::hex(&Sha256::digest(said)[..6]))
}

/// What tells apart what is made of them.
fn digest(recipe: &str, archive: &Path) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    for part in [
        recipe,
        &archive.display().to_string(),
        appliance::XFS_REPAIR,
        include_str!("image.rs"),
        include_str!("image/appliance.rs"),
        include_str!("image/dpkg.rs"),
        include_str!("image/tree.rs"),
    ] {
        digest.update(part);
        digest.update([0]);
    }
    Ok(layer::hex(&digest.finalize()[..6]))
}

/// The built program.
fn refit(image: &Image) -> anyhow::Result<PathBuf> {
    if let Some(given) = &image.refit {
        return Ok(given.clone());
    }
    let (profile, arguments): (_, &[&str]) = match image.debug {
        true => ("debug", &[]),
        false => ("release", &["--release"]),
    };
    run(cargo()
        .args(["build", "--quiet", "--locked", "--package", "refit-cli"])
        .args(arguments))?;
    Ok(root().join("target").join(profile).join("refit"))
}

fn make_base(base: &Base, recipe: &Recipe, archive: &Path, work: &Path) -> anyhow::Result<()> {
    // What is there is whole.
    let staged = tempfile::Builder::new()
        .prefix("making-")
        .tempdir_in(work)
        .context("making a directory for the tree")?;
    let made = Base {
        dir: staged.path().join("base"),
    };
    fs::create_dir(&made.dir)?;
    let tree = made.runtime();
    let start = Instant::now();
    let step = |what: &str| println!("{:6.1} s  {what}", start.elapsed().as_secs_f64());
    step("unpacking");
    tree::unpack(archive, &tree)?;

    step("making the appliance");
    appliance::build(&tree, recipe, &made.appliance().join(appliance::PLACE))?;

    step("taking out what is not needed");
    let mut database = Database::read(&tree)?;
    let keep = database.closure(&recipe.runtime.packages, &recipe.runtime.without)?;
    let status = made.installed().join("var/lib/dpkg");
    fs::create_dir_all(&status)?;
    fs::copy(tree.join("var/lib/dpkg/status"), status.join("status"))
        .context("keeping the list of packages")?;
    database.keep_only(&keep)?;
    // The lists of files are wanted once more, for the table.
    let lists = made.dir.join("lists/var/lib/dpkg");
    fs::create_dir_all(&lists)?;
    run(Command::new("cp")
        .arg("-a")
        .arg(tree.join("var/lib/dpkg/status"))
        .arg(tree.join("var/lib/dpkg/info"))
        .arg(&lists))?;
    tree::thin_out(&tree, &recipe.runtime)?;
    dangling_links(&tree)?;
    furnish(&tree)?;
    if base.dir.exists() {
        tree::remove(&base.dir)?;
    }
    fs::rename(&made.dir, &base.dir).with_context(|| format!("writing {}", base.dir.display()))?;
    step("done");
    Ok(())
}

/// Removes links whose target went away with its package. Those into `/proc` lead somewhere in a container.
fn dangling_links(tree: &Path) -> anyhow::Result<()> {
    // A link to a link that goes is next.
    loop {
        let gone = capture(
            Command::new("chroot")
                .arg(tree)
                .args([
                    "find", "/etc", "/usr", "/var", "-xdev", "-xtype", "l", "!", "-lname",
                    "/proc/*",
                ])
                .args(["-print", "-delete"]),
        )?;
        if gone.is_empty() {
            return Ok(());
        }
    }
}

/// Accounts, directories without what the build has left there, and the dynamic linker's index.
fn furnish(tree: &Path) -> anyhow::Result<()> {
    for (path, text) in ACCOUNTS {
        fs::write(tree.join(path), text).with_context(|| format!("writing {path}"))?;
    }
    for (paths, mode) in [(&WRITABLE[..], 0o1777), (&EMPTY[..], 0o755)] {
        for path in paths {
            let path = tree.join(path);
            if path.exists() {
                tree::remove(&path)?;
            }
            fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    }
    run(Command::new("chroot").arg(tree).args(["ldconfig", "-X"]))?;
    for path in tree::matching(tree, "var/cache/*")? {
        tree::remove(&path)?;
    }
    Ok(())
}

/// The layers, the configuration and the archive; gives the image's digest.
fn assemble(
    image: &Image,
    recipe: &Recipe,
    base: &Base,
    refit: &Path,
    out: &Path,
) -> anyhow::Result<String> {
    let staged = tempfile::tempdir_in(base.dir.parent().unwrap_or(Path::new(".")))
        .context("making a directory for the image")?;
    let created = created()?;
    let sbom = sbom(recipe, base, &created)?;
    let own = staged.path().join("refit");
    own_layer(&own, refit, &sbom)?;

    let mut layout = Layout::create(staged.path().join("layout"))?;
    layout.layer("Debian packages", &base.runtime(), image.compression)?;
    layout.layer(
        "libguestfs' appliance",
        &base.appliance(),
        image.compression,
    )?;
    layout.layer("refit", &own, image.compression)?;
    let mut environment = vec![
        // virt-v2v-in-place is in libexec on some distributions, and scripts rely on it.
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec".to_owned(),
        "HOME=/home/qemu".to_owned(),
        "LANG=C.UTF-8".to_owned(),
        "LIBGUESTFS_BACKEND=direct".to_owned(),
        format!("LIBGUESTFS_PATH=/{}", appliance::PLACE),
    ];
    if let Some(drivers) = &image.virtio_win {
        let dir = staged.path().join("virtio-win");
        let place = virtio_win(drivers, &dir)?;
        layout.layer("virtio-win", &dir, image.compression)?;
        environment.push(format!("VIRTIO_WIN=/{place}"));
    }
    println!(
        "\n{}",
        table::table(
            layout.layers(),
            &base.runtime(),
            &base.appliance(),
            &Database::read(&base.dir.join("lists"))?,
        )?
    );
    let labels = labels(&created)?;
    let config = json!({
        "User": "107:107",
        "ExposedPorts": {"2112/tcp": {}, "8080/tcp": {}},
        "Env": environment,
        "Entrypoint": ["/usr/bin/virt-v2v-wrapper"],
        "WorkingDir": "/",
        "Labels": labels,
    });
    if let Some(dir) = out.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let part = out.with_extension("part");
    let name = format!("localhost/refit:{}", env!("CARGO_PKG_VERSION"));
    let digest = layout.finish(&config, &created, &labels, &name, &part)?;
    fs::write(out.with_extension("spdx.json"), sbom).context("writing the list of contents")?;
    fs::rename(&part, out).with_context(|| format!("writing {}", out.display()))?;
    Ok(digest)
}

/// refit under all its names, the programs for Windows guests, and the list of contents.
fn own_layer(dir: &Path, refit: &Path, sbom: &str) -> anyhow::Result<()> {
    let put = |path: &str, mode: u32| -> anyhow::Result<PathBuf> {
        let path = dir.join(path);
        let above = path.parent().context("a path without a directory")?;
        fs::create_dir_all(above).with_context(|| format!("making {}", above.display()))?;
        fs::write(&path, "").with_context(|| format!("making {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    };
    let copy = |from: &Path, path: &str, mode: u32| -> anyhow::Result<()> {
        let to = put(path, mode)?;
        let copied = fs::read(from).and_then(|bytes| fs::write(&to, bytes));
        copied.with_context(|| format!("copying {}", from.display()))
    };
    run(Command::new("objcopy")
        .arg("--strip-debug")
        .arg(refit)
        .arg(put("usr/bin/refit", 0o755)?))?;
    for (path, target) in [
        ("usr/bin/virt-v2v-wrapper", "refit"),
        ("usr/local/bin/image-converter", "../../bin/refit"),
        ("usr/local/bin/forklift-wait-for-reboot", "../../bin/refit"),
    ] {
        tree::link(dir, path, target)?;
    }
    for (from, name) in own_programs() {
        copy(&from, &format!("usr/lib/refit/firstboot/{name}"), 0o644)?;
        if name.contains("i686") {
            // virt-v2v's scripts expect a 32-bit program.
            copy(&from, "usr/share/virt-tools/rhsrvany.exe", 0o644)?;
        }
    }
    copy(
        &root().join("LICENSE"),
        "usr/share/doc/refit/LICENSE",
        0o644,
    )?;
    let path = put("usr/share/refit/sbom.spdx.json", 0o644)?;
    fs::write(path, sbom).context("writing the list of contents")
}

/// The programs for Windows guests, with their names.
fn own_programs() -> [(PathBuf, String); 2] {
    firstboot::ARCHITECTURES.map(|arch| {
        let name = format!("refit-firstboot-{arch}.exe");
        (root().join("target/firstboot").join(&name), name)
    })
}

/// The drivers, at the place that Forklift's image has them at; gives that place.
fn virtio_win(from: &Path, dir: &Path) -> anyhow::Result<&'static str> {
    let place = match from.is_dir() {
        true => "usr/local/virtio-win",
        false => "usr/local/virtio-win.iso",
    };
    let to = dir.join(place);
    fs::create_dir_all(dir.join("usr/local"))?;
    run(Command::new("cp").arg("-rL").arg("--").arg(from).arg(&to))?;
    run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&to))?;
    Ok(place)
}

fn sbom(recipe: &Recipe, base: &Base, created: &str) -> anyhow::Result<String> {
    let database = Database::read(&base.installed())?;
    let part = |part: &recipe::Part| database.closure(&part.packages, &part.without);
    let (runtime, mut appliance) = (part(&recipe.runtime)?, part(&recipe.appliance)?);
    // Its kernel is no dependency.
    let kernels: BTreeSet<String> = database
        .packages()
        .keys()
        .filter(|name| name.starts_with("linux-image-"))
        .cloned()
        .collect();
    appliance.extend(kernels);
    let document = sbom::document(&database, &runtime, &appliance, &recipe.suite, created)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The time that stands for the image's: SOURCE_DATE_EPOCH, or that of the last commit.
fn created() -> anyhow::Result<String> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => seconds,
        Err(_) => capture(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(root()),
        )
        .context("without a git repository SOURCE_DATE_EPOCH must be set")?,
    };
    let date = capture(
        Command::new("date")
            .args(["--utc", "+%FT%TZ", "--date"])
            .arg(format!("@{}", seconds.trim())),
    )?;
    Ok(date.trim().to_owned())
}

fn labels(created: &str) -> anyhow::Result<Value> {
    let mut labels = json!({
        "org.opencontainers.image.title": "refit",
        "org.opencontainers.image.description": "Conversion pod for Forklift: virt-v2v and what a guest needs after it",
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        "org.opencontainers.image.created": created,
    });
    if let Ok(revision) = revision(&root()) {
        labels["org.opencontainers.image.revision"] = revision.into();
    }
    Ok(labels)
}

/// The commit that is checked out; `-dirty` if there is more than is in it.
fn revision(checkout: &Path) -> anyhow::Result<String> {
    let git =
        |arguments: &[&str]| capture(Command::new("git").args(arguments).current_dir(checkout));
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain"])?;
    let dirty = if changes.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{dirty}", commit.trim()))
}

/// `--check`: builds all twice, with the packages of one download.
fn check(image: &Image, recipe: &Recipe, work: &Path, refit: &Path) -> anyhow::Result<()> {
    let mut digests = Vec::new();
    let dirs = ["first", "second"].map(|name| work.join("check").join(name));
    for dir in &dirs {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let base = Base {
            dir: dir.join("base"),
        };
        let archive = dir.join("installed.tar");
        tree::install(
            recipe,
            image.mirror.as_deref(),
            &work.join("debs"),
            &archive,
        )?;
        make_base(&base, recipe, &archive, work)?;
        digests.push(assemble(
            image,
            recipe,
            &base,
            refit,
            &dir.join("refit.tar"),
        )?);
    }
    if digests[0] == digests[1] {
        println!("built twice: {} both times", digests[0]);
        return tree::remove(&work.join("check"));
    }
    for name in ["runtime", "appliance"] {
        let [first, second] = dirs.each_ref().map(|dir| dir.join("base").join(name));
        // It fails if it finds something: that is why we are here.
        let _ = Command::new("diff")
            .args(["--recursive", "--no-dereference", "--brief"])
            .args([first, second])
            .status();
    }
    anyhow::bail!("two builds differ: {} and {}", digests[0], digests[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_what_was_built() {
        let checkout = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
            let mut command = Command::new("git");
            command.args(identity).args(arguments);
            capture(command.current_dir(checkout.path())).unwrap()
        };
        git(&["init", "--quiet"]);
        git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        let commit = git(&["rev-parse", "HEAD"]);
        assert_eq!(revision(checkout.path()).unwrap(), commit.trim());
        fs::write(checkout.path().join("new.rs"), "").unwrap();
        let expected = format!("{}-dirty", commit.trim());
        assert_eq!(revision(checkout.path()).unwrap(), expected);
    }
}
