//! Typed options to command lines.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::capabilities::Capabilities;
use crate::errors::{ConvertError, ErrorKind};
use crate::options::{
    BlockDriver, ConvertOptions, InPlaceOptions, Input, InspectorOptions, Key, KeySource,
    KubevirtOptions, LibvirtGuest, MacTarget, NetworkMap, Protocol, Root, Settings,
};
use crate::scratch::Scratch;
use crate::tools::Environment;

/// A name longer than this would not fit a file name with its suffix.
const MAX_NAME: usize = 200;

/// A command line under construction, with what had to be left out of it.
#[derive(Debug, Default)]
pub(crate) struct CommandLine {
    /// The arguments, without the program.
    pub(crate) args: Vec<OsString>,
    /// What this virt-v2v lacks, where it does without.
    pub(crate) remarks: Vec<String>,
}

impl CommandLine {
    fn arg(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.arg(name).arg(value)
    }

    fn ignore(&mut self, option: &str, capabilities: &Capabilities) {
        let version = &capabilities.version.text;
        self.remarks.push(format!(
            "virt-v2v {version} has no {option}: it is left out"
        ));
    }
}

/// `virt-v2v ... -o local`, or `-o disk` in newer words.
pub(crate) fn convert(
    options: &ConvertOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    check_name(&options.name, options.settings.protocol)?;
    let mut line = CommandLine::start(&options.settings, scratch);
    line.option("-o", capabilities.local_output())
        .option("-os", absolute(&options.out_dir)?)
        .option("-of", options.output_format.name())
        .option("-on", options.name.as_str());
    if let Some(parallel) = options.parallel {
        if capabilities.has_parallel() {
            line.option("--parallel", parallel.to_string());
        } else {
            line.ignore("--parallel", capabilities);
        }
    }
    line.source(&options.input);
    line.common(&options.settings, capabilities, scratch)?;
    line.no_fstrim(&options.settings, capabilities);
    line.extra(&options.settings, scratch)?;
    line.transport(&options.input);
    line.positionals(&options.input)?;
    Ok(line)
}

/// `virt-v2v ... -o kubevirt`. A virt-v2v without it writes the same files with `-o local -of raw`.
pub(crate) fn kubevirt(
    options: &KubevirtOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    check_name(&options.name, options.settings.protocol)?;
    let mut line = CommandLine::start(&options.settings, scratch);
    let is_known = capabilities.has_output("kubevirt");
    let output = if is_known {
        "kubevirt"
    } else {
        capabilities.local_output()
    };
    line.option("-o", output)
        .option("-os", absolute(&options.out_dir)?);
    if !is_known {
        line.option("-of", "raw");
    }
    if options.names_output || !is_known {
        line.option("-on", options.name.as_str());
    }
    line.source(&options.input);
    line.hostname(&options.settings, capabilities);
    line.common(&options.settings, capabilities, scratch)?;
    line.extra(&options.settings, scratch)?;
    line.transport(&options.input);
    line.positionals(&options.input)?;
    Ok(line)
}

/// `virt-v2v-in-place ...`.
pub(crate) fn in_place(
    options: &InPlaceOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    let mut line = CommandLine::start(&options.settings, scratch);
    line.source(&options.input);
    line.common(&options.settings, capabilities, scratch)?;
    line.no_fstrim(&options.settings, capabilities);
    if let Some(xml) = &options.output_xml {
        if !capabilities.has_output_xml() {
            return Err(lacks(capabilities, "-O"));
        }
        line.option("-O", absolute(xml)?);
    }
    line.extra(&options.settings, scratch)?;
    line.positionals(&options.input)?;
    Ok(line)
}

/// `virt-v2v-inspector ...`.
pub(crate) fn inspector(
    options: &InspectorOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    let mut line = CommandLine::start(&options.settings, scratch);
    line.source(&options.input);
    line.hostname(&options.settings, capabilities);
    if let Some(xml) = &options.output_xml {
        line.option("-O", absolute(xml)?);
    }
    line.common(&options.settings, capabilities, scratch)?;
    line.transport(&options.input);
    line.no_fstrim(&options.settings, capabilities);
    line.extra(&options.settings, scratch)?;
    line.positionals(&options.input)?;
    Ok(line)
}

impl KubevirtOptions {
    /// The arguments that virt-v2v with these capabilities is given. Keys must be files or Clevis, and the protocol
    /// [`Protocol::Plain`]: everything else is written to private files first, for one run each.
    ///
    /// # Errors
    /// For an option that it does not take, and without such a run for what needs a private file.
    pub fn command_line(&self, capabilities: &Capabilities) -> Result<Vec<OsString>, ConvertError> {
        preview(|scratch| kubevirt(self, capabilities, scratch))
    }
}

impl InPlaceOptions {
    /// As [`KubevirtOptions::command_line`], for virt-v2v-in-place.
    ///
    /// # Errors
    /// As there.
    pub fn command_line(&self, capabilities: &Capabilities) -> Result<Vec<OsString>, ConvertError> {
        preview(|scratch| in_place(self, capabilities, scratch))
    }
}

impl InspectorOptions {
    /// As [`KubevirtOptions::command_line`], for virt-v2v-inspector.
    ///
    /// # Errors
    /// As there.
    pub fn command_line(&self, capabilities: &Capabilities) -> Result<Vec<OsString>, ConvertError> {
        preview(|scratch| inspector(self, capabilities, scratch))
    }
}

/// The arguments that `build` makes, in a private directory that is gone afterwards.
fn preview(
    build: impl FnOnce(&Scratch) -> Result<CommandLine, ConvertError>,
) -> Result<Vec<OsString>, ConvertError> {
    let dir = tempfile::tempdir().map_err(|error| io_error(&error, "making a directory"))?;
    let scratch = Scratch::create(Some(dir.path()), &Environment::default())
        .map_err(|error| io_error(&error, "making a directory"))?;
    Ok(build(&scratch)?.args)
}

/// Where the messages for machines are written.
pub(crate) fn messages_file(scratch: &Scratch) -> PathBuf {
    scratch.file("messages.jsonl")
}

impl CommandLine {
    fn start(settings: &Settings, scratch: &Scratch) -> Self {
        let mut line = Self::default();
        // The appliance's console (-v) is the only sign of life while it starts, and the trace of calls
        // (-x) the only place that names the operating systems. libguestfs hides keys in both.
        line.args.extend(["-v", "-x"].map(OsString::from));
        if settings.protocol == Protocol::Machine {
            let mut machine = OsString::from("--machine-readable=file:");
            machine.push(messages_file(scratch));
            line.arg(machine);
        }
        line
    }

    /// Where the guest comes from, but for its name.
    fn source(&mut self, input: &Input) {
        if let Input::Libvirt(guest) = input {
            for file in &guest.vddk_files {
                self.option("-io", format!("vddk-file={file}"));
            }
        }
        self.option("-i", input.mode());
        match input {
            Input::Disk {
                format: Some(format),
                ..
            }
            | Input::Disks {
                format: Some(format),
                ..
            } => {
                self.option("-if", format);
            }
            Input::Libvirt(guest) => {
                self.option("-ic", guest.uri.as_str())
                    .option("-ip", &guest.password_file);
            }
            _ => {}
        }
    }

    fn hostname(&mut self, settings: &Settings, capabilities: &Capabilities) {
        match &settings.hostname {
            Some(name) if capabilities.has_hostname() => {
                self.option("--hostname", name.as_str());
            }
            Some(_) => self.ignore("--hostname", capabilities),
            None => {}
        }
    }

    /// What all three programs take.
    fn common(
        &mut self,
        settings: &Settings,
        capabilities: &Capabilities,
        scratch: &Scratch,
    ) -> Result<(), ConvertError> {
        let root = match &settings.root {
            Root::Single => "single",
            Root::First => "first",
            Root::Device(device)
                if device.starts_with("/dev/")
                    || device.starts_with("btrfsvol:/dev/")
                    || settings.protocol == Protocol::Plain =>
            {
                device
            }
            Root::Device(device) => {
                return Err(ConvertError::new(
                    ErrorKind::WrongRootDevice,
                    format!("{device:?} is not a device of the guest, such as /dev/sda2"),
                ));
            }
        };
        self.option("--root", root);
        // Older versions take the appliance's memory from the environment alone.
        if let Some(memsize) = settings.memsize_mb.filter(|_| capabilities.has_memsize()) {
            self.option("--memsize", memsize.to_string());
        }
        if let Some(smp) = settings.smp {
            if capabilities.has_smp() {
                self.option("--smp", smp.to_string());
            } else {
                self.ignore("--smp", capabilities);
            }
        }
        for map in &settings.macs {
            let to = match &map.to {
                MacTarget::Network(name) => format!("network:{name}"),
                MacTarget::Bridge(name) => format!("bridge:{name}"),
            };
            self.option("--mac", format!("{}:{to}", map.mac));
        }
        for addresses in &settings.static_ips {
            self.option("--mac", addresses.as_str());
        }
        if settings.keys.iter().any(|key| key.id == "all") && !capabilities.has_key_all() {
            let lacks = lacks(
                capabilities,
                "--key all:... (name the device, such as /dev/sda2)",
            );
            match settings.protocol {
                Protocol::Machine => return Err(lacks),
                // It takes `all` for a device that no guest has. Who needs no key is converted, and the others it
                // refuses itself; nobody here could name their devices.
                Protocol::Plain => self.remarks.push(lacks.detail),
            }
        }
        for (number, key) in settings.keys.iter().enumerate() {
            self.option(
                "--key",
                key_argument(key, &format!("key{number}"), scratch)?,
            );
        }
        if let Some(driver) = settings.block_driver {
            let value = match driver {
                BlockDriver::VirtioBlk => "virtio-blk",
                BlockDriver::VirtioScsi => "virtio-scsi",
            };
            match (driver, capabilities.has_block_driver_option()) {
                (_, true) => {
                    self.option("--block-driver", value);
                }
                // What it does without the option, too.
                (BlockDriver::VirtioBlk, false) => {}
                (BlockDriver::VirtioScsi, false) => {
                    return Err(lacks(capabilities, "--block-driver"));
                }
            }
        }
        for (option, maps) in [
            ("--network", &settings.networks),
            ("--bridge", &settings.bridges),
        ] {
            for map in maps {
                self.option(option, mapping(map));
            }
        }
        Ok(())
    }

    fn no_fstrim(&mut self, settings: &Settings, capabilities: &Capabilities) {
        if settings.no_fstrim {
            if capabilities.has_no_fstrim() {
                self.arg("--no-fstrim");
            } else {
                self.ignore("--no-fstrim", capabilities);
            }
        }
    }

    /// More arguments, as they are, but for secret keys: those go to private files like any other.
    fn extra(&mut self, settings: &Settings, scratch: &Scratch) -> Result<(), ConvertError> {
        let mut is_value = false;
        for (number, arg) in settings.extra_args.iter().enumerate() {
            let text = arg.to_str().unwrap_or_default();
            // Long options may have one dash.
            let (option, value) = match text.split_once('=') {
                Some((option @ ("--key" | "-key"), value)) => (format!("{option}="), value),
                _ if is_value => (String::new(), text),
                _ => (String::new(), ""),
            };
            is_value = matches!(text, "--key" | "-key");
            match value.parse::<Key>() {
                Ok(key) if matches!(key.source, KeySource::Secret(_)) => {
                    let mut word = OsString::from(option);
                    word.push(key_argument(&key, &format!("extra{number}"), scratch)?);
                    self.arg(word)
                }
                _ => self.arg(arg),
            };
        }
        Ok(())
    }

    /// How the disks of another hypervisor are read.
    fn transport(&mut self, input: &Input) {
        let Input::Libvirt(LibvirtGuest {
            vddk: Some(vddk), ..
        }) = input
        else {
            return;
        };
        let mut lib_dir = OsString::from("vddk-libdir=");
        lib_dir.push(&vddk.lib_dir);
        self.option("-it", "vddk").option("-io", lib_dir);
        self.option("-io", format!("vddk-thumbprint={}", vddk.thumbprint));
        if let Some(path) = &vddk.config {
            let mut config = OsString::from("vddk-config=");
            config.push(path);
            self.option("-io", config);
        }
    }

    /// The input comes last; an absolute path cannot be taken for an option.
    fn positionals(&mut self, input: &Input) -> Result<(), ConvertError> {
        match input {
            Input::Disks { paths, .. } => {
                for path in paths {
                    self.arg(absolute(path)?);
                }
            }
            Input::Libvirt(guest) => {
                self.option("--", guest.name.as_str());
            }
            other => {
                self.arg(absolute(other.path())?);
            }
        }
        Ok(())
    }
}

fn mapping(map: &NetworkMap) -> String {
    match &map.from {
        Some(from) => format!("{from}:{}", map.to),
        None => map.to.clone(),
    }
}

/// The value of `--key`. A secret goes to a new private file, `name`.
fn key_argument(key: &Key, name: &str, scratch: &Scratch) -> Result<OsString, ConvertError> {
    let mut argument = OsString::from(&key.id);
    match &key.source {
        KeySource::Clevis => argument.push(":clevis"),
        KeySource::File(path) => {
            argument.push(":file:");
            argument.push(absolute(path)?);
        }
        KeySource::Secret(secret) => {
            let path = scratch
                .secret(name, secret)
                .map_err(|error| io_error(&error, "writing a key to a private file"))?;
            argument.push(":file:");
            argument.push(path);
        }
    }
    Ok(argument)
}

fn absolute(path: &Path) -> Result<PathBuf, ConvertError> {
    std::path::absolute(path).map_err(|error| io_error(&error, &path.display().to_string()))
}

/// A name that was promised is taken whenever it can be part of a file name: virt-v2v's option takes any word that
/// follows. One that somebody chooses must also be easy to handle.
fn check_name(name: &str, protocol: Protocol) -> Result<(), ConvertError> {
    let is_unhandy =
        || name.len() > MAX_NAME || name.starts_with(['.', '-']) || name.contains('\n');
    let bad = name.is_empty()
        || name.contains(['/', '\0'])
        || (protocol == Protocol::Machine && is_unhandy());
    if bad {
        return Err(ConvertError::new(
            ErrorKind::BadOption,
            format!("{name:?} cannot be the name of the guest: it becomes a file name"),
        ));
    }
    Ok(())
}

fn lacks(capabilities: &Capabilities, option: &str) -> ConvertError {
    ConvertError::new(
        ErrorKind::BadOption,
        format!("virt-v2v {} has no {option}", capabilities.version.text),
    )
}

/// An error of the operating system, under the kind that fits.
pub(crate) fn io_error(error: &io::Error, what: &str) -> ConvertError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpaceHost,
        _ => ErrorKind::Other,
    };
    ConvertError::new(kind, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
