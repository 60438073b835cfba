use super::*;
use crate::options::MacMap;

fn scratch() -> (tempfile::TempDir, Scratch) {
    let parent = tempfile::tempdir().unwrap();
    let scratch = Scratch::create(Some(parent.path()), &Environment::default()).unwrap();
    (parent, scratch)
}

fn version(text: &str, options: &[&str]) -> Capabilities {
    Capabilities::with_options(text, &["output:local"], options)
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
    let line = convert(&options, &version("2.2.0", &[]), &scratch).unwrap();
    assert_eq!(
        words(&line),
        [
            "-v",
            "-x",
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
            "--root",
            "single",
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
    let line = convert(&options, &version("2.6.0", &[]), &scratch).unwrap();
    let words = words(&line);
    assert!(!words.iter().any(|word| word.contains("geheim")));
    let path = words[15].strip_prefix("/dev/sda2:file:").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "geheim");
    assert_eq!(words[17], "all:clevis");
    assert_eq!(words[19], "all:file:/k");
    let (_other, scratch) = self::scratch();
    let error = convert(&options, &version("2.2.0", &[]), &scratch).unwrap_err();
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
    let current = version(
        "2.12.0",
        &[
            "--parallel",
            "--smp",
            "--memsize",
            "--no-fstrim",
            "--block-driver",
        ],
    );
    let line = convert(&options, &current, &scratch).unwrap();
    assert_eq!(
        words(&line).join(" "),
        "-v -x -o local -os /out -of qcow2 -on g --parallel 2 -i disk -if raw --root /dev/sda2 \
         --memsize 3000 --smp 2 --mac 00:50:56:aa:bb:01:bridge:br0 --block-driver virtio-scsi \
         --network default --bridge VM Network:br1 --no-fstrim --x /d"
    );
    options.settings.block_driver = Some(BlockDriver::VirtioBlk);
    let line = convert(&options, &version("2.2.0", &[]), &scratch).unwrap();
    assert_eq!(line.remarks.len(), 3, "{:?}", line.remarks);
    assert!(!words(&line).contains(&"--block-driver".to_owned()));
    options.settings.block_driver = Some(BlockDriver::VirtioScsi);
    assert!(convert(&options, &version("2.2.0", &[]), &scratch).is_err());
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
    let line = in_place(&options, &version("2.2.0", &[]), &scratch).unwrap();
    assert_eq!(
        words(&line).join(" "),
        "-v -x -i libvirtxml --root single /g.xml"
    );
    options.output_xml = Some("/o.xml".into());
    assert!(in_place(&options, &version("2.2.0", &[]), &scratch).is_err());
    assert!(in_place(&options, &version("2.10.0", &["-O"]), &scratch).is_ok());
    let options = InspectorOptions {
        input: Input::Vmx("/g.vmx".into()),
        output_xml: Some("/o.xml".into()),
        settings,
    };
    let line = inspector(&options, &version("2.2.0", &[]), &scratch).unwrap();
    assert_eq!(
        words(&line).join(" "),
        "-v -x -i vmx -O /o.xml --root single /g.vmx"
    );
}

#[test]
fn names_that_are_not_file_names() {
    let unhandy = ["../x", ".", "-q", ".x", "a\nb", &"x".repeat(201)];
    for name in ["", "a/b", "a\0b"].into_iter().chain(unhandy) {
        assert!(check_name(name, Protocol::Machine).is_err(), "{name:?}");
        let is_impossible = name.is_empty() || name.contains(['/', '\0']);
        assert_eq!(
            check_name(name, Protocol::Plain).is_err(),
            is_impossible,
            "{name:?}"
        );
    }
    assert!(check_name("Web 1 (alt)", Protocol::Machine).is_ok());
}

/// Onto disks, with the pod's protocol.
fn promised() -> KubevirtOptions {
    let mut settings = Settings::new("/log".into());
    settings.protocol = Protocol::Plain;
    settings.root = Root::First;
    KubevirtOptions {
        input: Input::Ova("/a.ova".into()),
        out_dir: "/out".into(),
        name: "-web".into(),
        names_output: true,
        settings,
    }
}

#[test]
fn what_was_promised_is_passed_on() {
    let mut options = promised();
    options.settings.root = Root::Device("sdb".into());
    options.settings.keys = vec!["all:file:/k".parse().unwrap()];
    let (_parent, scratch) = scratch();
    let line = kubevirt(&options, &version("2.2.0", &[]), &scratch).unwrap();
    assert_eq!(
        line.args.join(" ".as_ref()),
        "-v -x -o local -os /out -of raw -on -web -i ova --root sdb --key all:file:/k /a.ova"
    );
    assert!(line.remarks[0].contains("--key all"), "{:?}", line.remarks);
    let line = kubevirt(&options, &version("2.4.0", &[]), &scratch).unwrap();
    assert!(line.remarks.is_empty());
}

#[test]
fn a_key_among_extra_arguments_goes_to_a_file() {
    let mut options = promised();
    let args = [
        "--key",
        "all:key:geheim",
        "-key=/dev/sda2:key:ge:heim",
        "--key",
        "all:file:k",
        "--write",
        "/x:key:y",
        "--key=all:clevis",
    ];
    options.settings.extra_args = args.map(OsString::from).to_vec();
    let (_parent, scratch) = scratch();
    let line = kubevirt(&options, &version("2.4.0", &[]), &scratch).unwrap();
    let words: Vec<&str> = line.args.iter().map(|arg| arg.to_str().unwrap()).collect();
    let [.., first, value, second, a, b, c, d, e, _] = words[..] else {
        panic!("{words:?}");
    };
    assert_eq!(
        [first, a, b, c, d, e],
        [args[0], args[3], args[4], args[5], args[6], args[7]]
    );
    for (word, start, secret) in [
        (value, "all:file:", "geheim"),
        (second, "-key=/dev/sda2:file:", "ge:heim"),
    ] {
        let path = word.strip_prefix(start).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), secret);
    }
}
