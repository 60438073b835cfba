//! Typed options to command lines.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::capabilities::Capabilities;
use crate::errors::{ConvertError, ErrorKind};
use crate::options::{
    BlockDriver, ConvertOptions, InPlaceOptions, Input, InspectorOptions, Key, KeySource,
    MacTarget, NetworkMap, Root, Settings,
};
use crate::scratch::Scratch;

/// A name longer than this would not fit a file name with its suffix.
const MAX_NAME: usize = 200;

/// A command line under construction, with what had to be left out of it.
#[derive(Debug, Default)]
pub(crate) struct CommandLine {
    /// The arguments, without the program.
    pub(crate) args: Vec<OsString>,
    /// Options that this virt-v2v lacks and that were left out without harm.
    pub(crate) ignored: Vec<String>,
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
        self.ignored.push(format!(
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
    check_name(&options.name)?;
    let mut line = common(&options.settings, capabilities, scratch)?;
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
    input(&mut line, &options.input)?;
    Ok(line)
}

/// `virt-v2v-in-place ...`.
pub(crate) fn in_place(
    options: &InPlaceOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    let mut line = common(&options.settings, capabilities, scratch)?;
    if let Some(xml) = &options.output_xml {
        if !capabilities.has_output_xml() {
            return Err(lacks(capabilities, "-O"));
        }
        line.option("-O", absolute(xml)?);
    }
    input(&mut line, &options.input)?;
    Ok(line)
}

/// `virt-v2v-inspector ...`.
pub(crate) fn inspector(
    options: &InspectorOptions,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    let mut line = common(&options.settings, capabilities, scratch)?;
    line.option("-O", absolute(&options.output_xml)?);
    input(&mut line, &options.input)?;
    Ok(line)
}

/// Where the messages for machines are written.
pub(crate) fn messages_file(scratch: &Scratch) -> PathBuf {
    scratch.file("messages.jsonl")
}

fn common(
    settings: &Settings,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<CommandLine, ConvertError> {
    let mut line = CommandLine::default();
    // The appliance's console (-v) is the only sign of life while it starts, and the trace of calls
    // (-x) the only place that names the operating systems. libguestfs hides keys in both.
    line.args.extend(["-v", "-x"].map(OsString::from));
    let mut machine = OsString::from("--machine-readable=file:");
    machine.push(messages_file(scratch));
    line.arg(machine);
    let root = match &settings.root {
        Root::Single => "single",
        Root::First => "first",
        Root::Device(device)
            if device.starts_with("/dev/") || device.starts_with("btrfsvol:/dev/") =>
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
    line.option("--root", root);
    for (number, key) in settings.keys.iter().enumerate() {
        line.option("--key", key_argument(key, number, capabilities, scratch)?);
    }
    if let Some(driver) = settings.block_driver {
        let value = match driver {
            BlockDriver::VirtioBlk => "virtio-blk",
            BlockDriver::VirtioScsi => "virtio-scsi",
        };
        match (driver, capabilities.has_block_driver_option()) {
            (_, true) => {
                line.option("--block-driver", value);
            }
            // What it does without the option, too.
            (BlockDriver::VirtioBlk, false) => {}
            (BlockDriver::VirtioScsi, false) => return Err(lacks(capabilities, "--block-driver")),
        }
    }
    // Older versions take the appliance's memory from the environment alone.
    if let Some(memsize) = settings.memsize_mb.filter(|_| capabilities.has_memsize()) {
        line.option("--memsize", memsize.to_string());
    }
    if let Some(smp) = settings.smp {
        if capabilities.has_smp() {
            line.option("--smp", smp.to_string());
        } else {
            line.ignore("--smp", capabilities);
        }
    }
    if settings.no_fstrim {
        if capabilities.has_no_fstrim() {
            line.arg("--no-fstrim");
        } else {
            line.ignore("--no-fstrim", capabilities);
        }
    }
    for map in &settings.macs {
        let to = match &map.to {
            MacTarget::Network(name) => format!("network:{name}"),
            MacTarget::Bridge(name) => format!("bridge:{name}"),
        };
        line.option("--mac", format!("{}:{to}", map.mac));
    }
    for (option, maps) in [
        ("--network", &settings.networks),
        ("--bridge", &settings.bridges),
    ] {
        for map in maps {
            line.option(option, mapping(map));
        }
    }
    line.args.extend(settings.extra_args.iter().cloned());
    Ok(line)
}

fn mapping(map: &NetworkMap) -> String {
    match &map.from {
        Some(from) => format!("{from}:{}", map.to),
        None => map.to.clone(),
    }
}

fn key_argument(
    key: &Key,
    number: usize,
    capabilities: &Capabilities,
    scratch: &Scratch,
) -> Result<OsString, ConvertError> {
    if key.id == "all" && !capabilities.has_key_all() {
        return Err(lacks(
            capabilities,
            "--key all:... (name the device, such as /dev/sda2)",
        ));
    }
    let mut argument = OsString::from(&key.id);
    match &key.source {
        KeySource::Clevis => argument.push(":clevis"),
        KeySource::File(path) => {
            argument.push(":file:");
            argument.push(absolute(path)?);
        }
        KeySource::Secret(secret) => {
            let path = scratch
                .secret(&format!("key{number}"), secret)
                .map_err(|error| io_error(&error, "writing a key to a private file"))?;
            argument.push(":file:");
            argument.push(path);
        }
    }
    Ok(argument)
}

/// The input comes last; an absolute path cannot be taken for an option.
fn input(line: &mut CommandLine, input: &Input) -> Result<(), ConvertError> {
    line.option("-i", input.mode());
    if let Input::Disk {
        format: Some(format),
        ..
    } = input
    {
        line.option("-if", format);
    }
    line.arg(absolute(input.path())?);
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, ConvertError> {
    std::path::absolute(path).map_err(|error| io_error(&error, &path.display().to_string()))
}

fn check_name(name: &str) -> Result<(), ConvertError> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with(['.', '-'])
        || name.contains(['/', '\0', '\n']);
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
mod tests {
    use super::*;
    use crate::options::MacMap;
    use crate::tools::Environment;

    fn scratch() -> (tempfile::TempDir, Scratch) {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(Some(parent.path()), &Environment::default()).unwrap();
        (parent, scratch)
    }

    fn version(text: &str, help: &str) -> Capabilities {
        Capabilities::parse(&format!("virt-v2v {text}"), "", help).unwrap()
    }

    fn words(line: &CommandLine) -> Vec<String> {
        // The third argument names the private directory.
        line.args
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != 2)
            .map(|(_, arg)| arg.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_plain_conversion() {
        let (_parent, scratch) = scratch();
        let input = Input::Disk {
            path: "/in/d.img".into(),
            format: None,
        };
        let options = ConvertOptions::new(input, "/out".into(), "web1");
        let line = convert(&options, &version("2.2.0", ""), &scratch).unwrap();
        assert_eq!(
            words(&line),
            [
                "-v",
                "-x",
                "--root",
                "single",
                "-o",
                "local",
                "-os",
                "/out",
                "-of",
                "qcow2",
                "-on",
                "web1",
                "-i",
                "disk",
                "/in/d.img"
            ]
        );
        assert!(
            line.args[2]
                .to_string_lossy()
                .starts_with("--machine-readable=file:/")
        );
    }

    #[test]
    fn secrets_go_to_files() {
        let (_parent, scratch) = scratch();
        let mut options = ConvertOptions::new(Input::Ova("/a.ova".into()), "/out".into(), "g");
        options.settings.keys = vec![
            "/dev/sda2:key:geheim".parse().unwrap(),
            "all:clevis".parse().unwrap(),
            "all:file:/k".parse().unwrap(),
        ];
        let line = convert(&options, &version("2.6.0", ""), &scratch).unwrap();
        let words = words(&line);
        assert!(!words.iter().any(|word| word.contains("geheim")));
        let path = words[5].strip_prefix("/dev/sda2:file:").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "geheim");
        assert_eq!(words[7], "all:clevis");
        assert_eq!(words[9], "all:file:/k");
        let (_other, scratch) = self::scratch();
        let error = convert(&options, &version("2.2.0", ""), &scratch).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadOption);
    }

    #[test]
    fn options_follow_capabilities() {
        let (_parent, scratch) = scratch();
        let mut options = ConvertOptions::new(
            Input::Disk {
                path: "/d".into(),
                format: Some("raw".into()),
            },
            "/out".into(),
            "g",
        );
        options.parallel = Some(2);
        options.settings.root = Root::Device("/dev/sda2".into());
        options.settings.smp = Some(2);
        options.settings.memsize_mb = Some(3000);
        options.settings.no_fstrim = true;
        options.settings.block_driver = Some(BlockDriver::VirtioScsi);
        options.settings.macs = vec![MacMap {
            mac: "00:50:56:AA:BB:01".parse().unwrap(),
            to: MacTarget::Bridge("br0".into()),
        }];
        options.settings.networks = vec![NetworkMap {
            from: None,
            to: "default".into(),
        }];
        options.settings.bridges = vec![NetworkMap {
            from: Some("VM Network".into()),
            to: "br1".into(),
        }];
        options.settings.extra_args = vec!["--x".into()];
        let help = "  --parallel <N>\n  --smp <N>\n  -m, --memsize <MB>\n  --no-fstrim \n  --block-driver <d>\n";
        let line = convert(&options, &version("2.12.0", help), &scratch).unwrap();
        assert_eq!(
            words(&line).join(" "),
            "-v -x --root /dev/sda2 --block-driver virtio-scsi --memsize 3000 --smp 2 --no-fstrim \
             --mac 00:50:56:aa:bb:01:bridge:br0 --network default --bridge VM Network:br1 --x \
             -o local -os /out -of qcow2 -on g --parallel 2 -i disk -if raw /d"
        );
        options.settings.block_driver = Some(BlockDriver::VirtioBlk);
        let line = convert(&options, &version("2.2.0", ""), &scratch).unwrap();
        assert_eq!(line.ignored.len(), 3, "{:?}", line.ignored);
        assert!(!words(&line).contains(&"--block-driver".to_owned()));
        options.settings.block_driver = Some(BlockDriver::VirtioScsi);
        assert!(convert(&options, &version("2.2.0", ""), &scratch).is_err());
    }

    #[test]
    fn in_place_and_inspector() {
        let (_parent, scratch) = scratch();
        let settings = Settings::new("/log".into());
        let mut options = InPlaceOptions {
            input: Input::LibvirtXml("/g.xml".into()),
            output_xml: None,
            settings: settings.clone(),
        };
        let line = in_place(&options, &version("2.2.0", ""), &scratch).unwrap();
        assert_eq!(
            words(&line).join(" "),
            "-v -x --root single -i libvirtxml /g.xml"
        );
        options.output_xml = Some("/o.xml".into());
        assert!(in_place(&options, &version("2.2.0", ""), &scratch).is_err());
        assert!(in_place(&options, &version("2.10.0", "  -O <file>\n"), &scratch).is_ok());
        let options = InspectorOptions {
            input: Input::Vmx("/g.vmx".into()),
            output_xml: "/o.xml".into(),
            settings,
        };
        let line = inspector(&options, &version("2.2.0", ""), &scratch).unwrap();
        assert_eq!(
            words(&line).join(" "),
            "-v -x --root single -O /o.xml -i vmx /g.vmx"
        );
    }

    #[test]
    fn names_that_are_not_file_names() {
        for name in ["", "a/b", "../x", ".", "-q", "a\nb", &"x".repeat(201)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("Web 1 (alt)").is_ok());
    }
}
