//! Containers of the conversion pod's image, run as a cluster runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::{Run, must, root, run};

/// What `podman load` calls the image: `cargo xtask image` names it so.
const IMAGE: &str = concat!("localhost/refit:", env!("CARGO_PKG_VERSION"));

/// podman with a storage of its own, that goes with it.
#[derive(Debug)]
pub struct Podman {
    storage: tempfile::TempDir,
    /// Apart, because podman wants a short path.
    state: tempfile::TempDir,
    driver: &'static str,
}

impl Podman {
    /// Loads the archive of an image.
    ///
    /// # Errors
    /// If podman cannot.
    pub fn load(archive: &Path) -> anyhow::Result<Self> {
        // Beside the archive, as /tmp may be small.
        let dir = archive.parent().unwrap_or(Path::new("."));
        let storage = tempfile::Builder::new()
            .prefix("podman-")
            .tempdir_in(dir)
            .context("making a directory for podman")?;
        let mut podman = Self {
            storage,
            state: tempfile::tempdir().context("making a directory for podman")?,
            driver: "overlay",
        };
        // overlayfs on overlayfs does not work: with vfs each layer is a whole copy.
        if run(podman.command().arg("info"))?.code != Some(0) {
            podman.driver = "vfs";
        }
        must(podman.command().arg("load").arg("--input").arg(archive))?;
        Ok(podman)
    }

    /// podman itself.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(self.storage.path())
            .arg("--runroot")
            .arg(self.state.path())
            .args(["--storage-driver", self.driver])
            .args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
        command
    }

    /// What the image says of itself.
    ///
    /// # Errors
    /// If podman does not know it.
    pub fn inspect(&self) -> anyhow::Result<serde_json::Value> {
        let said = must(self.command().args(["image", "inspect", IMAGE]))?;
        let said: serde_json::Value =
            serde_json::from_str(&said).context("reading what podman says of the image")?;
        Ok(said[0].clone())
    }

    /// A container as Forklift's controller asks for it: user and group 107, and a root that cannot be
    /// written to, with a volume at `/var/tmp`.
    ///
    /// # Errors
    /// If the volume cannot be made.
    pub fn pod(&self, scratch: &Path) -> anyhow::Result<Container> {
        let scratch = volume(scratch)?;
        let mut container = self.container("107:107");
        container.command.arg("--read-only");
        Ok(container.mount(&scratch, "/var/tmp"))
    }

    /// A container without capabilities, new privileges and network, in which machines are emulated.
    #[must_use]
    pub fn container(&self, user: &str) -> Container {
        let mut command = self.command();
        command
            .args(["run", "--rm", "--user", user, "--cap-drop", "ALL"])
            .args(["--security-opt", "no-new-privileges", "--network", "none"])
            // podman's own are more than it may set on some machines.
            .args([
                "--ulimit",
                "nofile=4096:4096",
                "--ulimit",
                "nproc=4096:4096",
            ])
            .args(["--env", "LIBGUESTFS_BACKEND_SETTINGS=force_tcg"]);
        Container { command }
    }
}

/// A directory that the pod's user may write to.
///
/// # Errors
/// If it cannot be made.
pub fn volume(dir: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    must(Command::new("chown").arg("107:107").arg(dir))?;
    Ok(dir.to_owned())
}

/// A container that is about to be run.
#[derive(Debug)]
pub struct Container {
    command: Command,
}

impl Container {
    /// Mounts a directory or a file.
    #[must_use]
    pub fn mount(mut self, from: &Path, to: &str) -> Self {
        self.command
            .arg("--volume")
            .arg(format!("{}:{to}", from.display()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.arg("--env").arg(format!("{name}={value}"));
        self
    }

    /// Runs it with the image's own entry point.
    ///
    /// # Errors
    /// If podman cannot be started.
    pub fn run(mut self) -> anyhow::Result<Run> {
        run(self.command.arg(IMAGE))
    }

    /// Runs a program in place of the entry point.
    ///
    /// # Errors
    /// If podman cannot be started.
    pub fn exec(mut self, words: &[&str]) -> anyhow::Result<Run> {
        let (program, arguments) = words.split_first().context("nothing to run")?;
        run(self
            .command
            .args(["--entrypoint", program, IMAGE])
            .args(arguments))
    }
}

/// The image with the `refit` that is beside the tests. Packages are taken from an earlier run, if there was one;
/// the whole is built once for each `refit`.
///
/// # Errors
/// If it cannot be built.
pub fn image() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("finding this test")?;
    let beside = test.parent().and_then(Path::parent);
    let beside = beside.context("finding the other programs")?;
    let archive = root().join("target/image/test.tar");
    fs::create_dir_all(root().join("target/image")).context("making target/image")?;
    let lock = fs::File::create(archive.with_extension("lock")).context("creating a lock file")?;
    lock.lock().context("waiting for another builder")?;
    let newest = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = newest(&archive);
    let inputs = [
        beside.join("refit"),
        beside.join("xtask"),
        root().join("images/debian/recipe.toml"),
    ];
    if built.is_none() || inputs.iter().any(|input| newest(input) > built) {
        let said = must(
            Command::new(beside.join("xtask"))
                .args(["image", "--reuse", "--refit"])
                .arg(beside.join("refit"))
                .arg("--out")
                .arg(&archive),
        )?;
        println!("{said}");
    }
    Ok(archive)
}
