//! The machines of the matrix: Debian guests that cover what guests differ in, and what each must
//! look like from inside, before it moved and after.

/// What differs between guests, in the words of the table in `tests/MATRIX.md`.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// Release and firmware.
    pub system: &'static str,
    /// File system and what is below it.
    pub root: &'static str,
    /// What made its initramfs.
    pub initramfs: &'static str,
    /// Network cards and who configures them.
    pub network: &'static str,
    /// Options of `tests/guests/debian.sh`.
    pub options: &'static [&'static str],
    /// The cards as `refit fix --nic` is told of them.
    pub nics: &'static [&'static str],
    /// Whether its firmware started it by an entry in the NVRAM, so that it has no loader where
    /// firmware without one looks. It has for the boot on its old hardware, which has no NVRAM here.
    pub boot_entry: bool,
    /// Whether its root is encrypted, with the password that root has.
    pub unlock: bool,
    /// Device and file system of the root, then of every other mount point.
    pub mounts: &'static [(&'static str, &'static str)],
    /// Each physical card: name and permanent MAC.
    pub cards: &'static [(&'static str, &'static str)],
    /// Each interface with an address.
    pub addresses: &'static [(&'static str, &'static str)],
    /// The default route, from `default` to the device; nothing if there is none. The DHCP server of
    /// `refit boot` names no router: its networks lead nowhere.
    pub route: Option<&'static str>,
    /// What it comes to on virtio if nothing is done; nothing if that is not tried, because
    /// another machine shows the same.
    pub untouched: Option<Untouched>,
    /// What must be changed.
    pub fixups: &'static [&'static str],
}

/// What becomes of a guest that nobody fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untouched {
    /// Its initramfs does not find the root file system.
    NoRoot,
    /// It boots, and its network is gone.
    NoNetwork,
}

impl Machine {
    /// Whether it boots by UEFI.
    #[must_use]
    pub fn is_uefi(&self) -> bool {
        self.options.windows(2).any(|pair| pair == ["--fw", "uefi"])
    }

    /// The MACs of its cards, in slot order.
    pub fn macs(&self) -> impl Iterator<Item = &'static str> {
        self.cards.iter().map(|(_, mac)| *mac)
    }
}

const MAC1: &str = "00:50:56:aa:bb:01";
const MAC2: &str = "00:50:56:aa:bb:02";
const MAC3: &str = "00:50:56:aa:bb:03";
const ROUTE: &str = "default via 10.0.2.2 dev ens192";

/// All of them. Traits are combined, because each machine costs three boots under emulation.
pub const MACHINES: &[Machine] = &[
    Machine {
        name: "old-style",
        system: "Debian 12, BIOS",
        root: "ext4, `root=/dev/sda1`",
        initramfs: "initramfs-tools, VMware's drivers alone",
        network: "ifupdown, static",
        options: &["--root-by", "sda", "--initramfs", "vmware"],
        nics: &["00:50:56:aa:bb:01=10.0.2.15/24"],
        boot_entry: false,
        unlock: false,
        mounts: &[("/", "ext4")],
        cards: &[("ens192", MAC1)],
        addresses: &[("ens192", "10.0.2.15/24")],
        route: Some(ROUTE),
        untouched: Some(Untouched::NoRoot),
        fixups: &["boot-disks", "nic-names"],
    },
    Machine {
        name: "three-nics",
        system: "Debian 12, UEFI",
        root: "XFS",
        initramfs: "initramfs-tools",
        network: "netplan, three NICs, static",
        options: &[
            "--fw", "uefi", "--fs", "xfs", "--net", "netplan", "--nics", "3",
        ],
        nics: &[
            "00:50:56:aa:bb:01=10.0.2.15/24",
            "00:50:56:aa:bb:02=10.0.3.15/24",
            "00:50:56:aa:bb:03=10.0.4.15/24",
        ],
        boot_entry: false,
        unlock: false,
        mounts: &[("/", "xfs")],
        cards: &[("ens192", MAC1), ("ens224", MAC2), ("ens256", MAC3)],
        addresses: &[
            ("ens192", "10.0.2.15/24"),
            ("ens224", "10.0.3.15/24"),
            ("ens256", "10.0.4.15/24"),
        ],
        route: Some(ROUTE),
        untouched: Some(Untouched::NoNetwork),
        fixups: &["nic-names"],
    },
    Machine {
        name: "bond",
        system: "Debian 13, BIOS",
        root: "ext4 on LVM, `/boot` and `/var` apart",
        initramfs: "initramfs-tools, VMware's drivers alone",
        network: "ifupdown, bond of two NICs, two VLANs on it",
        options: &[
            "--suite",
            "trixie",
            "--layout",
            "lvm",
            "--net",
            "bond",
            "--nics",
            "2",
            "--initramfs",
            "vmware",
        ],
        nics: &["00:50:56:aa:bb:01=10.0.2.15/24", MAC2],
        boot_entry: false,
        unlock: false,
        mounts: &[("/", "ext4"), ("/boot", "ext4"), ("/var", "ext4")],
        cards: &[("ens192", MAC1), ("ens224", MAC2)],
        addresses: &[("bond0.10", "10.0.2.15/24"), ("bond0.20", "192.0.2.15/24")],
        route: Some("default via 10.0.2.2 dev bond0.10"),
        untouched: Some(Untouched::NoRoot),
        fixups: &["boot-disks", "nic-names"],
    },
    Machine {
        name: "ipv6-only",
        system: "Debian 13, BIOS",
        root: "Btrfs, subvolume `@rootfs`",
        initramfs: "initramfs-tools",
        network: "systemd-networkd, static IPv6 alone",
        options: &["--suite", "trixie", "--fs", "btrfs", "--net", "ipv6"],
        nics: &["00:50:56:aa:bb:01=fd00:2::15/64"],
        boot_entry: false,
        unlock: false,
        mounts: &[("/", "btrfs")],
        cards: &[("ens192", MAC1)],
        addresses: &[("ens192", "fd00:2::15/64")],
        route: Some("default via fd00:2::2 dev ens192"),
        untouched: Some(Untouched::NoNetwork),
        fixups: &["nic-names"],
    },
    Machine {
        name: "encrypted",
        system: "Debian 12, UEFI",
        root: "ext4 in LUKS, `/boot` apart",
        initramfs: "initramfs-tools, with the volume's key",
        network: "ifupdown, `allow-hotplug`, DHCP",
        options: &[
            "--fw", "uefi", "--layout", "luks", "--size", "1800M", "--net", "dhcp",
        ],
        nics: &[MAC1],
        boot_entry: false,
        unlock: true,
        mounts: &[("/", "ext4"), ("/boot", "ext4")],
        cards: &[("ens192", MAC1)],
        addresses: &[("ens192", "10.0.2.15/24")],
        route: None,
        untouched: None,
        fixups: &["nic-names"],
    },
    Machine {
        name: "dracut",
        system: "Debian 13, UEFI with a boot entry",
        root: "ext4",
        initramfs: "dracut, VMware's drivers alone",
        network: "NetworkManager, static",
        options: &[
            "--suite",
            "trixie",
            "--fw",
            "uefi",
            "--net",
            "nm",
            "--initramfs",
            "dracut",
        ],
        nics: &["00:50:56:aa:bb:01=10.0.2.15/24"],
        boot_entry: true,
        unlock: false,
        mounts: &[("/", "ext4")],
        cards: &[("ens192", MAC1)],
        addresses: &[("ens192", "10.0.2.15/24")],
        route: Some(ROUTE),
        untouched: None,
        fixups: &["boot-disks", "nic-names"],
    },
];
