//! `refit ova inspect`

use std::fmt::Write as _;

use anyhow::Context as _;
use indicatif::BinaryBytes;
use refit_machine::Firmware;
use refit_ovf::archive::name::{self, Href};
use refit_ovf::summary::{self, PropertySummary, Summary, SystemSummary};
use refit_ovf::{Eula, Package, Severity};

use crate::args::OvaInspectArgs;
use crate::output::{Exit, Output, UsageError};
use crate::render::{BOLD, ERROR, RESET, WARNING, printable};

/// Characters of an explanation that a table shows.
const SHORT: usize = 200;

pub fn run(args: &OvaInspectArgs, output: &Output) -> anyhow::Result<Exit> {
    let package = Package::open(&args.file)?;
    let envelope = package
        .envelope(args.locale.as_deref())
        .with_context(|| format!("reading {}", args.file.display()))?;
    let configuration = envelope
        .choose_configuration(args.configuration.as_deref())
        .map_err(|error| UsageError(error.to_string()))?;
    let summary = summary::inspect(&package, &envelope, configuration);
    output.print(&summary, || text(&summary, args.eula))?;
    let broken = summary
        .problems
        .iter()
        .map(|problem| problem.severity)
        .chain(summary.notes.iter().map(|note| note.severity))
        .any(|severity| severity == Severity::Error);
    let missing = summary.files.iter().any(|file| file.error.is_some());
    Ok(if broken || missing {
        Exit::Warnings
    } else {
        Exit::Done
    })
}

/// One line of the appliance's own words.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = printable(&line);
    if line.chars().count() > SHORT {
        line = line.chars().take(SHORT).collect::<String>() + "...";
    }
    line
}

/// A table of names and values.
struct Lines(String);

impl Lines {
    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "\n{BOLD}{}{RESET}", short(text));
    }

    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.0, "{BOLD}{name:>16}{RESET}  {}", short(value));
        }
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        self.line(name, value.unwrap_or_default());
    }

    fn item(&mut self, text: &str) {
        let _ = writeln!(self.0, "{:>16}  {}", "", printable(text));
    }
}

fn text(summary: &Summary, full: bool) -> String {
    let mut lines = Lines(String::new());
    for system in &summary.systems {
        self::system(&mut lines, system);
    }
    for collection in &summary.collections {
        lines.heading(&format!(
            "Collection {}",
            collection.name.as_deref().unwrap_or(&collection.id)
        ));
        for product in &collection.products {
            lines.optional("product", product.product.as_deref());
        }
        lines.line("members", &collection.members.join(", "));
        for item in &collection.startup {
            lines.line(
                "start order",
                &format!(
                    "{}: {} ({}, then wait {} s)",
                    item.order, item.id, item.start_action, item.start_delay
                ),
            );
        }
    }
    disks(&mut lines, summary);
    if !summary.networks.is_empty() {
        lines.heading("Networks");
        for network in &summary.networks {
            let description = network.description.as_deref().unwrap_or_default();
            lines.item(&format!("{}  {}", short(&network.name), short(description)));
        }
    }
    configurations(&mut lines, summary);
    properties(&mut lines, &summary.properties);
    if !summary.transports.is_empty() {
        lines.heading("Transports of the environment document");
        for transport in &summary.transports {
            lines.item(&short(transport));
        }
    }
    let of_systems = summary.systems.iter().flat_map(|one| &one.eulas);
    let of_collections = summary.collections.iter().flat_map(|one| &one.eulas);
    let eulas = summary.eulas.iter().chain(of_collections).chain(of_systems);
    self::eulas(&mut lines, eulas, full);
    package(&mut lines, summary);
    lines.0.trim_start_matches('\n').to_owned()
}

fn system(lines: &mut Lines, system: &SystemSummary) {
    lines.heading(&system.name);
    lines.line("id", &system.id);
    lines.optional("collection", system.collection.as_deref());
    for product in &system.products {
        let words: Vec<&str> = [&product.product, &product.vendor]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        lines.line("product", &words.join(", "));
        let version = product.full_version.as_ref().or(product.version.as_ref());
        lines.optional("version", version.map(String::as_str));
        lines.optional("address", product.app_url.as_deref());
    }
    let os = system.operating_system.as_ref();
    lines.optional(
        "guest system",
        os.and_then(|os| os.kind.as_deref().or(os.description.as_deref())),
    );
    if system.cpus > 0 {
        let sockets = match system.cores_per_socket {
            0 => String::new(),
            cores => format!(" ({cores} cores per socket)"),
        };
        lines.line("CPUs", &format!("{}{sockets}", system.cpus));
    }
    if system.memory > 0 {
        lines.line("memory", &BinaryBytes(system.memory).to_string());
    }
    lines.line(
        "firmware",
        match system.firmware {
            Firmware::Bios => "BIOS",
            Firmware::Uefi => "UEFI",
            Firmware::UefiSecure => "UEFI with Secure Boot",
        },
    );
    if system.tpm {
        lines.line("TPM", "yes");
    }
    lines.line("made for", &system.platforms.join(", "));
    for disk in &system.disks {
        let size = disk.capacity.map_or_else(
            || "unknown size".to_owned(),
            |size| BinaryBytes(size).to_string(),
        );
        let content = disk.href.as_deref().unwrap_or("blank");
        let bus = disk.bus.as_deref().unwrap_or("unknown bus");
        lines.line("disk", &format!("{size} on {bus}, {content}"));
    }
    for nic in &system.nics {
        let network = nic.network.as_deref().unwrap_or("no network");
        let model = nic.model.as_deref().unwrap_or("any model");
        let mac = nic.mac.map(|mac| format!(", {mac}")).unwrap_or_default();
        lines.line("NIC", &format!("{model} on {network}{mac}"));
    }
    if let Some(install) = &system.install {
        let end = match install.stop_delay {
            0 => "it powers off by itself".to_owned(),
            seconds => format!("it may be stopped after {seconds} s"),
        };
        lines.line("installs itself", &format!("at its first start; {end}"));
    }
    for (key, value) in &system.extra_config {
        if key.to_ascii_lowercase().starts_with("guestinfo.") {
            lines.line("guestinfo", &format!("{key} = {value}"));
        }
    }
    for lost in &system.lost {
        lines.line("not carried over", lost);
    }
    for section in &system.unknown_sections {
        lines.line("not read", &format!("section {}", section.name));
    }
    lines.optional("note", system.annotation.as_deref());
}

fn disks(lines: &mut Lines, summary: &Summary) {
    if summary.disks.is_empty() {
        return;
    }
    lines.heading("Disks");
    for disk in &summary.disks {
        let size = |size: Option<u64>| {
            size.map_or_else(|| "?".to_owned(), |size| BinaryBytes(size).to_string())
        };
        let capacity = match &disk.capacity_property {
            Some(property) => format!("by the property {property}"),
            None => size(disk.capacity),
        };
        let content = match (&disk.file, disk.format) {
            (None, _) => "blank".to_owned(),
            (Some(_), Some(format)) => {
                format!("{} stored as {}", size(disk.stored_size), format.as_str())
            }
            (Some(_), None) => "its file cannot be read".to_owned(),
        };
        let mut line = format!("{}: {capacity}, {content}", disk.id);
        if let (Some(own), Some(declared)) = (disk.virtual_size, disk.capacity)
            && own != declared
        {
            let _ = write!(line, "; the image itself says {}", BinaryBytes(own));
        }
        if let Some(parent) = &disk.parent {
            let _ = write!(line, "; differences to {parent}");
        }
        lines.item(&short(&line));
    }
}

fn configurations(lines: &mut Lines, summary: &Summary) {
    if summary.configurations.is_empty() {
        return;
    }
    lines.heading("Deployment configurations");
    for configuration in &summary.configurations {
        let sizes: Vec<String> = configuration
            .sizes
            .iter()
            .map(|size| {
                let (cpus, memory) = (size.cpus, BinaryBytes(size.memory));
                format!(
                    "{cpus} CPUs, {memory}, {} disks, {} NICs",
                    size.disks, size.nics
                )
            })
            .collect();
        let default = if configuration.default {
            " (default)"
        } else {
            ""
        };
        lines.item(&format!(
            "{}{default}: {}; {}",
            short(&configuration.id),
            sizes.join("; "),
            short(configuration.label.as_deref().unwrap_or_default())
        ));
    }
}

fn properties(lines: &mut Lines, properties: &[PropertySummary]) {
    if properties.is_empty() {
        return;
    }
    lines.heading("Properties (* may be set)");
    let mut category = None;
    for property in properties {
        if category != property.category.as_ref() {
            category = property.category.as_ref();
            if let Some(category) = category {
                let _ = writeln!(lines.0, "  {BOLD}{}{RESET}", short(category));
            }
        }
        let mark = if property.user_configurable { "*" } else { " " };
        let default = match property.default.as_deref() {
            None | Some("") => String::new(),
            Some(_) if property.password => " = ********".to_owned(),
            Some(value) => format!(" = {}", short(value)),
        };
        let kind = if property.r#type.is_empty() {
            "string"
        } else {
            &property.r#type
        };
        let secret = if property.password { ", secret" } else { "" };
        let qualifiers = [&property.qualifiers, &property.vendor_qualifiers]
            .into_iter()
            .flatten()
            .fold(String::new(), |all, one| format!("{all} {}", short(one)));
        let _ = writeln!(
            lines.0,
            "  {mark} {}{default} ({}{secret}{qualifiers})",
            short(&property.qualified),
            short(kind)
        );
        if let Some(label) = &property.label {
            let _ = writeln!(lines.0, "      {}", short(label));
        }
    }
}

fn eulas<'e>(lines: &mut Lines, eulas: impl Iterator<Item = &'e Eula>, full: bool) {
    for (index, eula) in eulas.enumerate() {
        if index == 0 {
            lines.heading("Licence to accept");
        }
        if full {
            let _ = writeln!(lines.0, "{}", printable(&eula.text));
        } else {
            lines.item(&short(&eula.text));
        }
    }
}

fn package(lines: &mut Lines, summary: &Summary) {
    lines.heading("Package");
    lines.line("descriptor", &summary.descriptor);
    lines.line("OVF version", &summary.version.to_string());
    lines.line("manifest", summary.manifest.as_deref().unwrap_or("none"));
    lines.line(
        "signature",
        summary.certificate.as_deref().unwrap_or("none"),
    );
    lines.line("languages", &summary.locales.join(", "));
    for section in &summary.unknown_sections {
        lines.line("not read", &format!("section {}", section.name));
    }
    let problems = summary
        .problems
        .iter()
        .map(|problem| (problem.severity, problem.to_string()));
    let notes = summary
        .notes
        .iter()
        .map(|note| (note.severity, note.message.clone()));
    // What the descriptor must not name is a problem of it already.
    let is_safe = |href: &str| matches!(name::classify(href), Ok(Href::Inside(_)));
    let files = summary
        .files
        .iter()
        .filter(|file| is_safe(&file.href))
        .filter_map(|file| Some((Severity::Error, file.error.clone()?)));
    for (severity, message) in problems.chain(notes).chain(files) {
        let (word, style) = match severity {
            Severity::Error => ("error", ERROR),
            Severity::Warning => ("warning", WARNING),
        };
        let _ = writeln!(lines.0, "{style}{word}:{RESET} {}", printable(&message));
    }
}
