//! Installing what a fresh Debian 12 machine lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::process::{self, as_root, capture, root};

/// What refit itself needs to be built and to run.
const PRODUCT: &[&str] = &[
    "libguestfs-dev",
    "libguestfs-xfs",
    // Signatures of appliances.
    "libssl-dev",
    "pkg-config",
    "virt-v2v",
    // virt-v2v copies with nbdcopy, but its package does not depend on it.
    "libnbd-bin",
    "nbdkit",
    "ovmf",
];
/// What the guest builders and the tests need beside it.
const TESTS: &[&str] = &[
    "btrfs-progs",
    "busybox-static",
    "bzip2",
    // Volumes that open by a server in the network, and that server.
    "clevis-luks",
    "cpio",
    "cryptsetup-bin",
    "curl",
    // Writes databases as rpm had them until 4.15, for the tests of packages.
    "db5.3-util",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "file",
    "genisoimage",
    // Makes a network for the tests of the conversion pod.
    "iproute2",
    "libarchive-tools",
    // Readers of registry hives other than ours, for the tests of crates/hive.
    "libhivex-bin",
    "libxml2-utils",
    "lvm2",
    "lz4",
    // Packs an initramfs in a way that refit does not read.
    "lzop",
    "mmdebstrap",
    "mtools",
    "pacman-package-manager",
    // Runs the conversion pod's image; Debian's crun wants one hierarchy of cgroups alone.
    "podman",
    "runc",
    "python3",
    "python3-hivex",
    "python3-venv",
    "rpm",
    "tang",
    "xfsprogs",
    "xorriso",
    "xz-utils",
    "zstd",
];
/// What builds the conversion pod's image.
const IMAGE: &[&str] = &[
    "binutils",
    "cpio",
    "e2fsprogs",
    "kmod",
    "mmdebstrap",
    "zstd",
];
/// What builds the first-boot service of Windows guests and runs it.
const FIRSTBOOT: &[&str] = &[
    "gcc-mingw-w64-i686",
    "gcc-mingw-w64-x86-64",
    WINDOWS_STD,
    "rustc",
    "wine64",
];
/// What the benchmarks compare with, beside virt-v2v: virt-customize.
const BENCH: &[&str] = &["guestfs-tools"];
/// qemu comes as one set from one suite: its parts refuse each other's versions.
const QEMU: &[&str] = &["qemu-system-x86", "qemu-utils"];

/// Rust's library for Windows, of Debian's own compiler.
const WINDOWS_STD: &str = "libstd-rust-dev-windows";

/// Debian's own keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Installs what the first-boot service needs.
pub fn firstboot_if_needed() -> anyhow::Result<()> {
    install_missing(FIRSTBOOT)?;
    windows_std_32().map(drop)
}

/// Installs what the conversion pod's image needs.
pub fn image_if_needed() -> anyhow::Result<()> {
    install_missing(IMAGE)
}

/// Installs what the benchmarks need beside what tests do.
pub fn bench_if_needed() -> anyhow::Result<()> {
    run_if_needed()?;
    install_missing(BENCH)
}

fn install_missing(packages: &[&'static str]) -> anyhow::Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for package in packages {
        if installed_version(package)?.is_none() {
            missing.push(package);
        }
    }
    if !missing.is_empty() {
        println!("Installing with apt: {}", missing.join(" "));
        require_debian()?;
        apt(&["update"])?;
        apt(&[
            &["install", "--yes", "--no-install-recommends"],
            missing.as_slice(),
        ]
        .concat())?;
    }
    Ok(())
}

/// Gives the directory (rustc's `--sysroot`) with Rust's library for 32-bit Windows, of the version of the
/// installed one. Debian has it in the package of its own 32-bit port: it is fetched and unpacked below `target`
/// with an apt of its own, because a second architecture is nothing to force on a machine.
pub fn windows_std_32() -> anyhow::Result<PathBuf> {
    let version = installed_version(WINDOWS_STD)?.with_context(|| {
        format!("{WINDOWS_STD} is not installed; `cargo xtask setup` installs it")
    })?;
    let dir = root().join("target/windows-std-32").join(&version);
    let sysroot = dir.join("root/usr");
    if sysroot.exists() {
        return Ok(sysroot);
    }
    println!("Fetching {WINDOWS_STD} of i386 into {}", dir.display());
    let uri = mirror("Debian", "bookworm")?.context("no Debian 12 mirror is configured for apt")?;
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(dir.join(name)).with_context(|| format!("making {}", dir.display()))?;
    }
    let dir = dir
        .canonicalize()
        .with_context(|| format!("finding {}", dir.display()))?;
    let key = match Path::new(KEYRING).exists() {
        true => format!(" signed-by={KEYRING}"),
        false => String::new(),
    };
    let sources = dir.join("sources.list");
    fs::write(
        &sources,
        format!("deb [arch=i386{key}] {uri} bookworm main\n"),
    )
    .with_context(|| format!("writing {}", sources.display()))?;
    let settings = dir.join("apt.conf");
    fs::write(
        &settings,
        format!(
            "APT::Architecture \"i386\";\nAPT::Architectures \"i386\";\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nDir::Etc::sourcelist \"{0}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\nDir::State::lists \"{0}/lists\";\nDir::Cache \"{0}/cache\";\n",
            dir.display()
        ),
    )
    .with_context(|| format!("writing {}", settings.display()))?;
    let apt = |arguments: &[&str]| {
        process::run(
            Command::new("apt-get")
                .arg("-q")
                .args(arguments)
                .env("APT_CONFIG", &settings)
                .current_dir(&dir),
        )
    };
    apt(&["update"])?;
    apt(&["download", &format!("{WINDOWS_STD}={version}")])?;
    let package = fs::read_dir(&dir)
        .with_context(|| format!("listing {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get left no package in {}", dir.display()))?;
    // What is there is whole.
    let staged = dir.join("unpacked");
    process::run(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(&package)
            .arg(&staged),
    )?;
    fs::rename(&staged, dir.join("root"))
        .with_context(|| format!("renaming {}", staged.display()))?;
    Ok(sysroot)
}

/// Installs what is missing, after saying what that is.
pub fn run_if_needed() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for package in PRODUCT.iter().chain(TESTS) {
        if installed_version(package)?.is_none() {
            missing.push(package);
        }
    }
    // libguestfs boots the host's kernel in its appliance; any will do.
    if !has_kernel()? {
        missing.push("linux-image-cloud-amd64");
    }
    let utils = installed_version("qemu-utils")?;
    let backports = utils
        .as_ref()
        .is_some_and(|version| version.contains("~bpo12"));
    let mut qemu: Vec<&str> = Vec::new();
    for package in QEMU {
        if installed_version(package)?.is_none() {
            qemu.push(package);
        }
    }
    if missing.is_empty() && qemu.is_empty() {
        return from_pypi();
    }
    println!(
        "Installing with apt: {}",
        [missing.as_slice(), &qemu].concat().join(" ")
    );
    require_debian()?;
    // What a mirror calls itself is known once its lists are here.
    apt(&["update"])?;
    if backports && !qemu.is_empty() && enable_backports()? {
        apt(&["update"])?;
    }
    if !qemu.is_empty() {
        let suite: &[&str] = if backports {
            &["-t", "bookworm-backports"]
        } else {
            &[]
        };
        apt(&[
            &["install", "--yes", "--no-install-recommends"],
            suite,
            &qemu,
        ]
        .concat())?;
    }
    if !missing.is_empty() {
        apt(&[
            &["install", "--yes", "--no-install-recommends"],
            missing.as_slice(),
        ]
        .concat())?;
    }
    from_pypi()
}

/// What tests use that Debian does not have: the environment below `target`, and the list of what is in it.
const FROM_PYPI: [(&str, &str); 2] = [
    // Readers of registry hives.
    ("hive-readers", "crates/hive/tests/readers/requirements.txt"),
    // Validators of Kubernetes manifests and of the Containerfile.
    ("validators", "tests/kubernetes/requirements.txt"),
];

/// Installs them. Without the network the tests that need them are skipped, and say so; in CI they fail.
fn from_pypi() -> anyhow::Result<()> {
    FROM_PYPI
        .iter()
        .try_for_each(|(environment, requirements)| python_environment(environment, requirements))
}

fn python_environment(environment: &str, requirements: &str) -> anyhow::Result<()> {
    let requirements = root().join(requirements);
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let environment = root().join("target").join(environment);
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!(
        "Installing from PyPI into {}: {}",
        environment.display(),
        wanted.trim().replace('\n', " ")
    );
    let made = process::run(
        Command::new("/usr/bin/python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment),
    )
    .and_then(|()| {
        process::run(
            Command::new(environment.join("bin/pip"))
                .args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--requirement",
                ])
                .arg(&requirements),
        )
    });
    match made {
        Ok(()) => fs::write(&installed, wanted)
            .with_context(|| format!("writing {}", installed.display())),
        Err(error) => {
            println!("Going on without them: {error:#}");
            Ok(())
        }
    }
}

/// `cargo xtask setup`
pub fn run() -> anyhow::Result<()> {
    run_if_needed()?;
    firstboot_if_needed()?;
    println!("Everything that is needed is installed.");
    Ok(())
}

fn installed_version(package: &str) -> anyhow::Result<Option<String>> {
    let output = Command::new("dpkg-query")
        .args([
            "--show",
            "--showformat=${db:Status-Status} ${Version}",
            package,
        ])
        .stderr(Stdio::null())
        .output()
        .context("running dpkg-query: this task needs Debian 12")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.strip_prefix("installed ").map(str::to_owned))
}

fn has_kernel() -> anyhow::Result<bool> {
    let names = fs::read_dir("/boot").context("reading /boot")?;
    Ok(names
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-")))
}

fn require_debian() -> anyhow::Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    ensure!(
        release.contains("VERSION_CODENAME=bookworm"),
        "packages are installed on Debian 12 only; install their counterparts by hand"
    );
    Ok(())
}

/// Adds the backports suite beside the release's own, from the same mirror; tells whether it had to.
fn enable_backports() -> anyhow::Result<bool> {
    const SOURCE: &str = "/etc/apt/sources.list.d/refit-backports.sources";
    if mirror("Debian Backports", "bookworm-backports")?.is_some() || Path::new(SOURCE).exists() {
        return Ok(false);
    }
    let Some(uri) = mirror("Debian", "bookworm")? else {
        bail!("no Debian 12 mirror is configured for apt");
    };
    println!("Adding {SOURCE}: qemu-utils here is from backports, so qemu-system-x86 must be, too");
    let key = match Path::new(KEYRING).exists() {
        true => format!("Signed-By: {KEYRING}\n"),
        false => String::new(),
    };
    let text =
        format!("Types: deb\nURIs: {uri}\nSuites: bookworm-backports\nComponents: main\n{key}");
    let staged = tempfile::NamedTempFile::new().context("writing a temporary file")?;
    fs::write(staged.path(), text).context("writing a temporary file")?;
    process::run(
        as_root("install")
            .args(["-m", "0644"])
            .arg(staged.path())
            .arg(SOURCE),
    )?;
    Ok(true)
}

/// Where this machine's apt gets a suite's packages from, if it does.
pub fn mirror(origin: &str, codename: &str) -> anyhow::Result<Option<String>> {
    let found = capture(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
        &format!("Origin: {origin}"),
        &format!("Codename: {codename}"),
    ]))?;
    Ok(found
        .lines()
        .next()
        .filter(|uri| !uri.is_empty())
        .map(str::to_owned))
}

/// The proxy that this machine's apt goes through, if it does.
pub fn apt_proxy() -> anyhow::Result<Option<String>> {
    let shown =
        capture(Command::new("apt-config").args(["shell", "proxy", "Acquire::http::Proxy"]))?;
    let proxy = shown.trim().strip_prefix("proxy=").unwrap_or_default();
    Ok(Some(proxy.trim_matches('\'').to_owned()).filter(|proxy| !proxy.is_empty()))
}

fn apt(arguments: &[&str]) -> anyhow::Result<()> {
    process::run(
        as_root("env")
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(arguments),
    )
}
