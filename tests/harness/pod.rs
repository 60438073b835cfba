//! A conversion pod: the built command as process 1 of a container that is made of this machine's files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{must, root};

/// How often something is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a container may take to be made.
const START: Duration = Duration::from_secs(60);

/// What a pod is to be started with: its volumes and its environment, and nothing else.
#[derive(Debug)]
pub struct PodSpec {
    dir: tempfile::TempDir,
    mounts: Vec<String>,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    volumes: usize,
}

impl PodSpec {
    /// A pod without disks. Its image's environment is set.
    ///
    /// # Errors
    /// If its directory cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        // Not in /tmp, which the pod has one of its own of.
        let dir = tempfile::Builder::new()
            .prefix("refit-pod-")
            .tempdir_in("/var/tmp")
            .context("making a pod's directory")?;
        let mut pod = Self {
            dir,
            mounts: Vec::new(),
            environment: BTreeMap::new(),
            arguments: Vec::new(),
            volumes: 0,
        };
        let refit = std::env::current_exe().context("finding this test")?;
        let refit = refit.parent().and_then(Path::parent);
        let refit = refit.context("finding refit")?.join("refit");
        pod.mount("ro", &refit, "/usr/bin/refit");
        pod.mount("link", Path::new("refit"), "/usr/bin/virt-v2v-wrapper");
        for (source, target) in [("var-tmp", "/var/tmp"), ("home", "/home/qemu")] {
            let source = pod.make_dir(source)?;
            pod.mount("bind", &source, target);
        }
        let log = pod.path().join("termination-log");
        fs::write(&log, "").context("making a termination log")?;
        pod.mount("bind", &log, "/dev/termination-log");
        // The appliance is made once for all tests.
        let cache = ["LIBGUESTFS_CACHEDIR", "TMPDIR"]
            .into_iter()
            .find_map(std::env::var_os)
            .map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
            .join(".guestfs-0");
        if cache.is_dir() {
            pod.mount("bind", &cache, "/var/tmp/.guestfs-0");
        }
        pod.env("HOME", "/home/qemu")
            .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
            .env("LIBGUESTFS_BACKEND", "direct");
        Ok(pod)
    }

    /// Its directory on this machine.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn make_dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    fn mount(&mut self, kind: &str, source: &Path, target: &str) {
        self.mounts
            .push(format!("{kind} {} {target}", source.display()));
    }

    /// Sets a variable.
    pub fn env(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Adds arguments for the entry point.
    pub fn args(&mut self, arguments: &[&str]) -> &mut Self {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Mounts a directory of this machine.
    pub fn bind(&mut self, source: &Path, target: &str) -> &mut Self {
        self.mount("bind", source, target);
        self
    }

    /// Mounts a Secret or ConfigMap: files are links through `..data`, as the kubelet makes them.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn volume(&mut self, target: &str, files: &[(&str, &str)]) -> anyhow::Result<&mut Self> {
        self.volumes += 1;
        let dir = self.make_dir(&format!("volume{}", self.volumes))?;
        let data = dir.join("..2026_11_23_08_00_00.1");
        let make = || {
            fs::create_dir(&data)?;
            symlink("..2026_11_23_08_00_00.1", dir.join("..data"))?;
            for (name, text) in files {
                fs::write(data.join(name), text)?;
                symlink(Path::new("..data").join(name), dir.join(name))?;
            }
            std::io::Result::Ok(())
        };
        make().with_context(|| format!("making the volume {target}"))?;
        self.mount("ro", &dir, target);
        Ok(self)
    }

    /// Mounts a volume for a disk at `/mnt/disks/diskN`, and gives the path of its (missing) `disk.img`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn disk(&mut self, number: u32) -> anyhow::Result<PathBuf> {
        let dir = self.make_dir(&format!("disk{number}"))?;
        self.mount("bind", &dir, &format!("/mnt/disks/disk{number}"));
        Ok(dir.join("disk.img"))
    }

    /// A device node `/dev/blockN` for a device of these numbers: `7:0`.
    pub fn device(&mut self, number: u32, major_minor: &str) -> &mut Self {
        self.mount(
            "device",
            Path::new(major_minor),
            &format!("/dev/block{number}"),
        );
        self
    }

    /// An empty volume of a limited size, as tmpfs(5) takes it: `16m`.
    pub fn tmpfs(&mut self, target: &str, size: &str) -> &mut Self {
        self.mount("tmpfs", Path::new(size), target);
        self
    }

    /// Puts stand-ins of these names in front of `PATH`. Files in the directory that is returned say
    /// what they do (see `stand-in.sh`).
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn stand_ins(&mut self, names: &[&str]) -> anyhow::Result<PathBuf> {
        let dir = self.make_dir("stand-ins")?;
        self.make_dir("stand-ins/record")?;
        for name in names {
            let script = root().join("tests/harness/pod/stand-in.sh");
            fs::copy(&script, dir.join(name)).context("copying a stand-in")?;
        }
        self.mount("bind", &dir, "/stand-ins");
        let path = format!("/stand-ins:{}", self.environment["PATH"]);
        self.env("PATH", path);
        Ok(dir)
    }

    /// Starts it.
    ///
    /// # Errors
    /// If the container cannot be made.
    pub fn start(self) -> anyhow::Result<Pod> {
        let Self {
            dir,
            mut mounts,
            environment,
            arguments,
            ..
        } = self;
        mounts.push(String::new());
        fs::write(dir.path().join("mounts"), mounts.join("\n")).context("writing mounts")?;
        let log = File::create(dir.path().join("log")).context("creating a log")?;
        let mut child = Command::new(root().join("tests/harness/pod/pod.sh").canonicalize()?)
            .arg(dir.path())
            .arg("/usr/bin/virt-v2v-wrapper")
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().context("creating a log")?)
            .stderr(log)
            .spawn()
            .context("starting pod.sh")?;
        let start = Instant::now();
        let pid = loop {
            if let Ok(text) = fs::read_to_string(dir.path().join("pid")) {
                break text.trim().parse().context("reading a pod's pid")?;
            }
            let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            let ended = child.try_wait().context("waiting")?;
            ensure!(ended.is_none(), "the container was not made: {}", log());
            ensure!(start.elapsed() < START, "no container: {}", log());
            thread::sleep(TICK);
        };
        Ok(Pod { dir, child, pid })
    }
}

/// A running pod. It is killed when dropped.
#[derive(Debug)]
pub struct Pod {
    dir: tempfile::TempDir,
    child: Child,
    pid: u32,
}

impl Pod {
    /// Its directory on this machine: `diskN/disk.img`, `var-tmp`, `stand-ins`, and after its end `left`
    /// and `tmp-left`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What it printed so far, on standard output and standard error.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.path().join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// What it wrote as termination message.
    #[must_use]
    pub fn termination_message(&self) -> String {
        fs::read_to_string(self.path().join("termination-log")).unwrap_or_default()
    }

    /// Its exit code, if it has ended; 128 and the signal's number if a signal ended it.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let status = self.child.try_wait().context("waiting")?;
        status
            .map(|status| status.code().context("pod.sh was killed"))
            .transpose()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it takes longer than `limit`.
    pub fn end(&mut self, limit: Duration) -> anyhow::Result<i32> {
        let start = Instant::now();
        loop {
            if let Some(code) = self.ended()? {
                return Ok(code);
            }
            ensure!(
                start.elapsed() < limit,
                "still running after {limit:?}: {}",
                self.log()
            );
            thread::sleep(TICK);
        }
    }

    /// Waits for a text in its log.
    ///
    /// # Errors
    /// If it ends before, or takes longer than `limit`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while !self.log().contains(text) {
            let ended = self.ended()?;
            ensure!(ended.is_none(), "ended before {text:?}: {}", self.log());
            ensure!(start.elapsed() < limit, "no {text:?}: {}", self.log());
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Sends a signal to process 1, as a runtime does to stop a container.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        must(Command::new("kill").args(["-s", name, &self.pid.to_string()])).map(drop)
    }

    /// Gives the device node `/dev/blockN` other numbers, as when a volume is attached at last.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn replace_device(&self, number: u32, major_minor: &str) -> anyhow::Result<()> {
        let (major, minor) = major_minor.split_once(':').context("two numbers")?;
        let dev = PathBuf::from(format!("/proc/{}/root/dev", self.pid));
        let made = dev.join("new");
        must(Command::new("mknod").arg(&made).args(["b", major, minor]))?;
        fs::rename(&made, dev.join(format!("block{number}"))).context("replacing a device")
    }

    /// Command lines and environments of its living processes.
    #[must_use]
    pub fn environments(&self) -> Vec<(String, String)> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace(&self.pid.to_string());
        let read = |pid: &str, what: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{what}")).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        pids()
            .filter(|pid| ours.is_some() && namespace(pid) == ours)
            .filter_map(|pid| Some((read(&pid, "cmdline")?, read(&pid, "environ")?)))
            .collect()
    }

    /// How many of its processes have ended and are still waited for by process 1.
    #[must_use]
    pub fn zombies(&self) -> usize {
        let ending = format!("Z {}", self.pid);
        pids()
            .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
            .filter_map(|stat| Some(stat.rsplit_once(')')?.1.trim_start().to_owned()))
            .filter(|stat| stat.split(' ').take(2).collect::<Vec<_>>().join(" ") == ending)
            .count()
    }

    /// Runs `work` on a thread of this process that is in the pod's network.
    ///
    /// # Errors
    /// If the network is gone, or `work` fails.
    pub fn in_network<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let network =
            File::open(format!("/proc/{}/ns/net", self.pid)).context("finding its network")?;
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("entering its network")?;
                work()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Every regular file that it left behind outside of its disks, with its content: working directory,
    /// `/tmp`, home and root file system. Only after its end.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn left_behind(&self) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = Vec::new();
        let mut dirs: Vec<PathBuf> = ["left", "tmp-left", "home", "var-tmp"]
            .iter()
            .map(|name| self.path().join(name))
            .collect();
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
                let entry = entry.context("reading a directory")?;
                let kind = entry.file_type().context("reading a directory")?;
                if kind.is_dir() && entry.file_name() != ".guestfs-0" {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
                    let bytes =
                        fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                    files.push((path, bytes));
                }
            }
        }
        Ok(files)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Process 1 takes all others with it; pod.sh ends then. It fails only if it is gone already.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal("KILL");
            let _ = self.child.wait();
        }
    }
}

/// Numbers of all processes of this machine.
fn pids() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A file as a block device of this machine, until it is dropped.
#[derive(Debug)]
pub struct Loop(String);

impl Loop {
    /// Attaches a file.
    ///
    /// # Errors
    /// If losetup fails.
    pub fn attach(file: &Path) -> anyhow::Result<Self> {
        let device = must(Command::new("losetup").args(["--find", "--show"]).arg(file))?;
        Ok(Self(device.trim().to_owned()))
    }

    /// Its numbers: `7:0`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn numbers(&self) -> anyhow::Result<String> {
        let numbers = must(Command::new("stat").args(["-c", "%Hr:%Lr", &self.0]))?;
        Ok(numbers.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // It fails only if somebody has detached it.
        let _ = must(Command::new("losetup").args(["--detach", &self.0]));
    }
}
