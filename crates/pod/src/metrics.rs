//! What is known of a conversion while it copies and fixes, in Prometheus' text format.

mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use server::MetricsServer;

/// Higher numbers of disks are not believed: what is printed says them, and each that counts is kept.
const MAX_DISKS: u32 = 1024;

/// Metrics of one conversion. Cheap to clone: all clones are the same.
///
/// `v2v_disk_transfers` is what Forklift reads, with a regular expression: each disk has a number from 1 on, and the
/// value is a percentage. A number 0 would be an index before its first task, so nothing is said of it. The others
/// are for people and their dashboards.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    disks: BTreeMap<u32, Disk>,
    /// How many there will be.
    expected: u32,
    /// The one that was started last.
    copying: u32,
    current: Option<(String, Instant)>,
    /// Time in phases that ended, in the order in which they first began.
    phases: Vec<(String, Duration)>,
    fixups: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Disk {
    percent: f64,
    copied: u64,
    total: u64,
}

impl Metrics {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Disk `disk`, counted from 1, of `disks` is being copied: it has 0 percent unless more is known. They are copied
    /// one after the other, so the one before is there.
    pub fn disk_started(&self, disk: u32, disks: u32) {
        let mut state = self.state();
        state.expected = state.expected.max(disks.min(MAX_DISKS));
        if state.disk(disk).is_none() {
            return;
        }
        let before = std::mem::replace(&mut state.copying, disk);
        if before != disk
            && let Some(before) = state.disks.get_mut(&before)
        {
            before.is_there();
        }
    }

    /// How much of it was copied. Less than before, or no number, is not believed; more than 100 is 100.
    pub fn disk_percent(&self, disk: u32, percent: f64) {
        if percent.is_finite()
            && let Some(disk) = self.state().disk(disk)
        {
            // Downwards, so that 100 means done.
            let percent = (percent.clamp(0.0, 100.0) * 100.0).floor() / 100.0;
            disk.percent = disk.percent.max(percent);
        }
    }

    /// Every disk is there, also one of which nothing was heard.
    pub fn all_copied(&self) {
        let mut state = self.state();
        for disk in 1..=state.expected {
            state.disks.entry(disk).or_default();
        }
        state.disks.values_mut().for_each(Disk::is_there);
    }

    /// Bytes that were read of a disk, and that will have been at its end.
    pub fn bytes(&self, disk: u32, copied: u64, total: u64) {
        if let Some(disk) = self.state().disk(disk) {
            disk.total = disk.total.max(total);
            disk.copied = disk.copied.max(copied.min(disk.total));
        }
    }

    /// A phase begins, and the one before ends.
    pub fn phase(&self, name: &str) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|(now, _)| now == name) {
            return;
        }
        let now = Instant::now();
        if let Some((ended, since)) = state.current.replace((name.to_owned(), now)) {
            let taken = now.duration_since(since);
            match state.phases.iter_mut().find(|(name, _)| *name == ended) {
                Some((_, sum)) => *sum += taken,
                None => state.phases.push((ended, taken)),
            }
        }
    }

    /// What became of a fixup; the last word counts.
    pub fn fixup(&self, id: &str, verdict: &str) {
        self.state()
            .fixups
            .insert(id.to_owned(), verdict.to_owned());
    }

    /// All of it, in text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        let state = self.state();
        page.family(
            "v2v_disk_transfers",
            "counter",
            "Percent of the disk that was copied; disks are counted from 1.",
        );
        for (id, disk) in &state.disks {
            page.sample(
                "v2v_disk_transfers",
                &[("disk_id", &id.to_string())],
                disk.percent,
            );
        }
        page.family("refit_build_info", "gauge", "The version of refit.");
        page.sample(
            "refit_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1,
        );
        state.render_disks(&mut page);
        state.render_phases(&mut page);
        if !state.fixups.is_empty() {
            page.family("refit_fixup", "gauge", "What became of each fixup.");
            for (id, verdict) in &state.fixups {
                page.sample("refit_fixup", &[("id", id), ("verdict", verdict)], 1);
            }
        }
        page.0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete in itself, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn is_there(&mut self) {
        self.percent = 100.0;
        self.copied = self.total;
    }
}

impl State {
    fn disk(&mut self, disk: u32) -> Option<&mut Disk> {
        if !(1..=MAX_DISKS).contains(&disk) {
            tracing::debug!("disks are counted from 1: nothing is said of disk {disk}");
            return None;
        }
        Some(self.disks.entry(disk).or_default())
    }

    fn render_disks(&self, page: &mut Page) {
        if self.expected > 0 {
            page.family("refit_disks", "gauge", "How many disks are to be copied.");
            page.sample("refit_disks", &[], self.expected);
        }
        if self.disks.values().all(|disk| disk.total == 0) {
            return;
        }
        let known = || self.disks.iter().filter(|(_, disk)| disk.total > 0);
        page.family(
            "refit_disk_copied_bytes",
            "counter",
            "Bytes of the disk that were copied.",
        );
        for (id, disk) in known() {
            page.sample(
                "refit_disk_copied_bytes",
                &[("disk", &id.to_string())],
                disk.copied,
            );
        }
        page.family(
            "refit_disk_size_bytes",
            "gauge",
            "Bytes of the disk that are to be copied.",
        );
        for (id, disk) in known() {
            page.sample(
                "refit_disk_size_bytes",
                &[("disk", &id.to_string())],
                disk.total,
            );
        }
    }

    fn render_phases(&self, page: &mut Page) {
        let Some((current, since)) = &self.current else {
            return;
        };
        page.family(
            "refit_phase_info",
            "gauge",
            "The phase that the conversion is in.",
        );
        page.sample("refit_phase_info", &[("phase", current)], 1);
        let mut phases = self.phases.clone();
        match phases.iter_mut().find(|(name, _)| name == current) {
            Some((_, sum)) => *sum += since.elapsed(),
            None => phases.push((current.clone(), since.elapsed())),
        }
        page.family(
            "refit_phase_seconds_total",
            "counter",
            "Time spent in each phase so far.",
        );
        for (name, time) in phases {
            let seconds = format!("{:.3}", time.as_secs_f64());
            page.sample("refit_phase_seconds_total", &[("phase", &name)], seconds);
        }
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.0, "{opening}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// As Forklift's controller reads it.
    fn read(metrics: &Metrics) -> Vec<(u32, f64)> {
        let pattern =
            Regex::new(r#"v2v_disk_transfers\{disk_id="(\d+)"\} (\d{1,3}\.?\d*)"#).unwrap();
        pattern
            .captures_iter(&metrics.render())
            .map(|found| (found[1].parse().unwrap(), found[2].parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_controller_reads_percents_that_only_grow() {
        let metrics = Metrics::new();
        assert_eq!(read(&metrics), []);
        metrics.disk_started(0, 3);
        metrics.disk_percent(0, 50.0);
        metrics.bytes(0, 1, 2);
        assert_eq!(read(&metrics), []);
        metrics.disk_started(1, 3);
        assert_eq!(read(&metrics), [(1, 0.0)]);
        for (percent, shown) in [
            (37.0, 37.0),
            (20.0, 37.0),
            (f64::NAN, 37.0),
            (f64::INFINITY, 37.0),
            (-1.0, 37.0),
            (41.666_666, 41.66),
            (99.999, 99.99),
            (1e9, 100.0),
        ] {
            metrics.disk_percent(1, percent);
            assert_eq!(read(&metrics), [(1, shown)], "{percent}");
        }
        metrics.clone().disk_started(2, 3);
        metrics.disk_percent(3, 1e-9);
        assert_eq!(read(&metrics), [(1, 100.0), (2, 0.0), (3, 0.0)]);
        metrics.disk_started(1, 3);
        metrics.all_copied();
        assert_eq!(read(&metrics), [(1, 100.0), (2, 100.0), (3, 100.0)]);
    }

    #[test]
    fn a_disk_that_follows_or_the_end_means_that_disks_are_there() {
        let metrics = Metrics::new();
        metrics.disk_started(1, 4);
        metrics.disk_percent(1, 37.0);
        metrics.bytes(1, 37, 99);
        metrics.disk_started(1, 4);
        assert_eq!(read(&metrics), [(1, 37.0)]);
        metrics.disk_started(0, 4);
        assert_eq!(read(&metrics), [(1, 37.0)]);
        metrics.disk_started(2, 4);
        metrics.disk_percent(2, 12.0);
        assert_eq!(read(&metrics), [(1, 100.0), (2, 12.0)]);
        assert!(metrics.render().contains("copied_bytes{disk=\"1\"} 99\n"));
        metrics.disk_started(u32::MAX, u32::MAX);
        assert_eq!(read(&metrics), [(1, 100.0), (2, 12.0)]);

        let metrics = Metrics::new();
        metrics.disk_started(1, 3);
        metrics.all_copied();
        assert_eq!(read(&metrics), [(1, 100.0), (2, 100.0), (3, 100.0)]);
    }

    #[test]
    fn the_page_is_text_format_0_0_4() {
        let metrics = Metrics::new();
        metrics.disk_started(1, 2);
        metrics.disk_percent(1, 37.0);
        metrics.bytes(1, 4096, 8192);
        metrics.phase("copy");
        metrics.fixup("nic-names", "fixed");
        let page = metrics.render();
        let version = env!("CARGO_PKG_VERSION");
        let seconds = Regex::new(r"copy.} \d+\.\d{3}\n").unwrap();
        assert_eq!(
            seconds.replace(&page, "copy\"} T\n"),
            format!(
                r#"# HELP v2v_disk_transfers Percent of the disk that was copied; disks are counted from 1.
# TYPE v2v_disk_transfers counter
v2v_disk_transfers{{disk_id="1"}} 37
# HELP refit_build_info The version of refit.
# TYPE refit_build_info gauge
refit_build_info{{version="{version}"}} 1
# HELP refit_disks How many disks are to be copied.
# TYPE refit_disks gauge
refit_disks 2
# HELP refit_disk_copied_bytes Bytes of the disk that were copied.
# TYPE refit_disk_copied_bytes counter
refit_disk_copied_bytes{{disk="1"}} 4096
# HELP refit_disk_size_bytes Bytes of the disk that are to be copied.
# TYPE refit_disk_size_bytes gauge
refit_disk_size_bytes{{disk="1"}} 8192
# HELP refit_phase_info The phase that the conversion is in.
# TYPE refit_phase_info gauge
refit_phase_info{{phase="copy"}} 1
# HELP refit_phase_seconds_total Time spent in each phase so far.
# TYPE refit_phase_seconds_total counter
refit_phase_seconds_total{{phase="copy"}} T
# HELP refit_fixup What became of each fixup.
# TYPE refit_fixup gauge
refit_fixup{{id="nic-names",verdict="fixed"}} 1
"#
            )
        );
    }

    #[test]
    fn a_name_cannot_pass_for_a_disk() {
        let metrics = Metrics::new();
        let name = "x\n v2v_disk_transfers{disk_id=\"0\"} 5\\";
        metrics.fixup(name, "failed");
        metrics.phase(name);
        assert_eq!(read(&metrics), []);
        let text = r#"{id="x\n v2v_disk_transfers{disk_id=\"0\"} 5\\",verdict="failed"} 1"#;
        assert!(metrics.render().contains(text), "{}", metrics.render());
    }

    #[test]
    fn phases_keep_their_time() {
        let metrics = Metrics::new();
        for phase in ["convert", "copy", "copy", "convert"] {
            metrics.phase(phase);
        }
        let page = metrics.render();
        assert_eq!(page.matches("refit_phase_info{").count(), 1);
        assert!(page.contains("refit_phase_info{phase=\"convert\"} 1\n"));
        assert_eq!(page.matches("refit_phase_seconds_total{").count(), 2);
    }
}
