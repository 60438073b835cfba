//! What Forklift's controller does with a conversion pod: in its order, with its parsing, and no more
//! forgiving than it is.
//!
//! The facts are those of `pkg/controller/plan` (`migration.go`, `kubevirt.go`, `util/kubevirtvmparser.go`)
//! and `adapter/vsphere/inspectionparser.go` of kubev2v/forklift in August 2026.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use regex::Regex;
use serde_json::Value;

use crate::Pod;
use crate::http::{Answer, Client};

/// The real one looks every three seconds or so.
const RECONCILE: Duration = Duration::from_millis(200);
/// How long a container whose process 1 has ended may take to be taken away, on a busy machine.
const ENDING: Duration = Duration::from_secs(60);
/// Nothing may take longer on a loaded machine without KVM.
const LIMIT: Duration = Duration::from_secs(900);

/// The source's kind, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The guest's system is taken from `/inspection`.
    VSphere,
    /// The firmware is taken from `/vm`: OVA and Hyper-V.
    Ova,
    /// Neither: EC2.
    Other,
}

/// A migration of one guest.
#[derive(Debug, Clone)]
pub struct Controller {
    /// Where the guest comes from.
    pub provider: Provider,
    /// Whether virt-v2v does the copying, so that there are metrics.
    pub transfers: bool,
    /// Disks that it knows of.
    pub disks: usize,
    /// Further paths that somebody fetches before the pod is told to end.
    pub look_at: Vec<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Migration {
    /// The pod's exit code. The step has failed if it is not 0.
    pub exit: i32,
    /// Progress of each disk, as it was seen: percent, each number once.
    pub progress: BTreeMap<usize, Vec<f64>>,
    /// Progress of all disks together after each look.
    pub looks: usize,
    /// Tries to fetch the results before they were there.
    pub refused: usize,
    /// Whether the results were fetched.
    pub fetched: bool,
    /// Status and body of `/vm`.
    pub vm: Option<Answer>,
    /// `bios` or `uefi`; for [`Provider::Ova`].
    pub firmware: Option<String>,
    /// Index of the disk that it boots from, if it is said.
    pub boot_disk: Option<usize>,
    /// VMware's name for the guest's system; for [`Provider::VSphere`].
    pub system: Option<String>,
    /// Reasons and messages of the conditions that the guest gets.
    pub warnings: Vec<(String, String)>,
    /// What [`Controller::look_at`] brought.
    pub seen: BTreeMap<&'static str, Answer>,
}

impl Controller {
    /// Drives a pod to its end.
    ///
    /// # Errors
    /// If it does something that the real controller would stumble over, or takes too long.
    pub fn migrate(&self, pod: &mut Pod) -> anyhow::Result<Migration> {
        let mut migration = Migration::default();
        let start = Instant::now();
        loop {
            if let Some(code) = pod.ended()? {
                migration.exit = code;
                return Ok(migration);
            }
            ensure!(start.elapsed() < LIMIT, "still running: {}", pod.log());
            // Errors while process 1 ends are those of a pod that is gone.
            let looked = pod.in_network(|| self.reconcile(&mut migration));
            if let Err(error) = looked {
                let failed = Instant::now();
                while pod.ended()?.is_none() {
                    ensure!(
                        failed.elapsed() < ENDING,
                        "{error:#}; the pod's log: {}",
                        pod.log()
                    );
                    thread::sleep(RECONCILE);
                }
            }
            thread::sleep(RECONCILE);
        }
    }

    fn reconcile(&self, migration: &mut Migration) -> anyhow::Result<()> {
        if self.transfers {
            self.update_progress(migration)?;
        }
        if migration.fetched {
            return Ok(());
        }
        let mut client = Client::new(address(8080));
        let vm = match client.get("/vm") {
            Err(error) if is_refused(&error) => {
                migration.refused += 1;
                return Ok(());
            }
            answer => answer.context("GET /vm")?,
        };
        // Its status is not looked at.
        match self.provider {
            Provider::Ova => migration.firmware = Some(firmware(&vm.body)?),
            Provider::VSphere => {
                let inspection = client.get("/inspection").context("GET /inspection")?;
                migration.system = Some(system(&inspection.body)?);
                migration.seen.insert("/inspection", inspection);
            }
            Provider::Other => {}
        }
        migration.boot_disk = boot_disk(&vm.body)?;
        migration.vm = Some(vm);
        let warnings = client.get("/warnings").context("GET /warnings")?;
        if warnings.status == 200 {
            ensure!(
                warnings.content_type.as_deref() == Some("application/json"),
                "/warnings is {:?}",
                warnings.content_type
            );
            let items: Vec<BTreeMap<String, Value>> =
                serde_json::from_str(&warnings.body).context("reading /warnings")?;
            for item in items {
                let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
                migration.warnings.push((
                    text("reason").context("a warning without reason")?,
                    text("message").context("a warning without message")?,
                ));
            }
        }
        migration.seen.insert("/warnings", warnings);
        for &path in &self.look_at {
            let answer = client.get(path).with_context(|| format!("GET {path}"))?;
            migration.seen.insert(path, answer);
        }
        migration.fetched = true;
        match client.post("/shutdown") {
            Ok(answer) => ensure!(answer.status == 204, "/shutdown: {answer:?}"),
            // It may be gone before it has answered.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error).context("POST /shutdown"),
        }
        Ok(())
    }

    fn update_progress(&self, migration: &mut Migration) -> anyhow::Result<()> {
        let answer = match Client::new(address(2112)).get("/metrics") {
            Err(error) if is_refused(&error) => return Ok(()),
            answer => answer.context("GET /metrics")?,
        };
        migration.looks += 1;
        for (disk, percent) in progress(&answer.body)? {
            if disk > self.disks {
                continue;
            }
            let seen = migration.progress.entry(disk).or_default();
            match seen.last() {
                Some(&last) if last > percent => bail!("disk {disk} goes back: {}", answer.body),
                Some(&last) if last >= percent => {}
                _ => seen.push(percent),
            }
        }
        Ok(())
    }
}

/// Disks and percent, by the controller's own expression.
fn progress(metrics: &str) -> anyhow::Result<Vec<(usize, f64)>> {
    let series = Regex::new(r#"v2v_disk_transfers\{disk_id="(\d+)"\} (\d{1,3}\.?\d*)"#)
        .context("compiling the controller's expression")?;
    let mut found = Vec::new();
    for parts in series.captures_iter(metrics) {
        let disk: usize = parts[1].parse().context("reading disk_id")?;
        // The real controller would look at the task before the first one and panic.
        ensure!(disk > 0, "disk_id 0: {metrics}");
        let percent: f64 = parts[2].parse().context("reading the progress")?;
        ensure!(percent <= 100.0, "progress out of range: {metrics}");
        found.push((disk, percent));
    }
    Ok(found)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Go's text has "connection refused" in it then, which is what is looked for.
fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

fn manifest(yaml: &str) -> anyhow::Result<Value> {
    // An empty document is an empty machine.
    if yaml.trim().is_empty() {
        return Ok(Value::Null);
    }
    let manifest: Value = serde_saphyr::from_str(yaml)
        .map_err(|error| anyhow::anyhow!("/vm is no YAML: {error}: {yaml}"))?;
    ensure!(
        manifest["kind"] == "VirtualMachine",
        "/vm is no VirtualMachine: {yaml}"
    );
    Ok(manifest)
}

/// From where older and newer virt-v2v write it.
fn firmware(yaml: &str) -> anyhow::Result<String> {
    let manifest = manifest(yaml)?;
    let domain = &manifest["spec"]["template"]["spec"]["domain"];
    if let Some(firmware) = domain["os"]["firmware"].as_str() {
        return Ok(firmware.to_owned());
    }
    let bootloader = &domain["firmware"]["bootloader"];
    Ok(match (bootloader.get("bios"), bootloader.get("efi")) {
        (Some(_), _) => "bios".to_owned(),
        (None, Some(_)) => "uefi".to_owned(),
        (None, None) => String::new(),
    })
}

fn boot_disk(yaml: &str) -> anyhow::Result<Option<usize>> {
    let manifest = manifest(yaml)?;
    let disks = &manifest["spec"]["template"]["spec"]["domain"]["devices"]["disks"];
    let disks = disks.as_array().into_iter().flatten();
    Ok(disks.into_iter().position(|disk| disk["bootOrder"] == 1))
}

/// `operatingsystem/osinfo`, else `operatingsystem/name`, mapped to VMware's names. The root element may
/// have any name.
fn system(xml: &str) -> anyhow::Result<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut closed = false;
    loop {
        use quick_xml::events::Event;
        match reader
            .read_event()
            .with_context(|| format!("/inspection: {xml}"))?
        {
            Event::Start(start) => {
                path.push(start.name().as_ref().to_owned());
            }
            Event::End(_) => {
                path.pop();
                closed = path.is_empty();
            }
            Event::Text(text) => {
                if let [_, parent, name] = &path[..]
                    && parent == "operatingsystem"
                {
                    found.insert(name.clone(), (*text).to_owned());
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    ensure!(closed, "/inspection has no end: {xml}");
    let osinfo = found.get("osinfo").map_or("", String::as_str);
    let short = osinfo.split('.').next().unwrap_or_default();
    Ok(match short {
        "rocky" | "opensuse" | "ubuntu" | "fedora" => format!("{short}64Guest"),
        "debian10" | "debian11" | "debian12" | "debian13" | "rhel7" | "rhel8" | "rhel9" => {
            format!("{short}_64Guest")
        }
        _ if found.get("name").is_some_and(|name| name == "linux") => "genericLinuxGuest".into(),
        _ => "otherGuest64".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_where_the_controller_reads_them() {
        let vm = "kind: VirtualMachine\nspec:\n  template:\n    spec:\n      domain:\n        firmware:\n          \
                  bootloader:\n            efi: {}\n        devices:\n          disks:\n          - name: a\n          \
                  - name: b\n            bootOrder: 1\n";
        assert_eq!(firmware(vm).unwrap(), "uefi");
        assert_eq!(boot_disk(vm).unwrap(), Some(1));
        assert_eq!(
            (firmware("").unwrap(), boot_disk("").unwrap()),
            (String::new(), None)
        );
        assert!(firmware("YAML file path is empty: [").is_err());
        let inspection = |osinfo: &str| {
            system(&format!(
                "<any><operatingsystem><name>linux</name><osinfo>{osinfo}</osinfo></operatingsystem></any>"
            ))
        };
        assert_eq!(inspection("rhel9.4").unwrap(), "rhel9_64Guest");
        assert_eq!(inspection("debian12").unwrap(), "debian12_64Guest");
        assert_eq!(inspection("beos5").unwrap(), "genericLinuxGuest");
        assert!(system("<any><operatingsystem>").is_err());
    }

    #[test]
    fn progress_is_what_the_expression_finds() {
        let text = "# TYPE v2v_disk_transfers counter\nv2v_disk_transfers{disk_id=\"1\"} 37.5\n\
                    v2v_disk_transfers_total{disk_id=\"2\"} 1\nv2v_disk_transfers{disk_id=\"12\"} 0\n";
        assert_eq!(progress(text).unwrap(), [(1, 37.5), (12, 0.0)]);
        assert!(progress("v2v_disk_transfers{disk_id=\"0\"} 1").is_err());
        assert!(progress("v2v_disk_transfers{disk_id=\"1\"} 101").is_err());
    }
}
