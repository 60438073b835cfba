//! The command line. Its words are a contract; see the README for the exit codes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use refit_boot::{DiskBus, Hardware};

mod answers;

pub use answers::{AnswerArgs, EnvArgs, IpAllocation, PropertyArgs, SetArgs, SpecArgs, SpecFormat};

/// Make a VM that came from another hypervisor boot and work the same on KVM
#[derive(Debug, Parser)]
#[command(name = "refit", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed, nothing changed; 2 wrong usage; 3 done, with warnings;\n\
    4 failed after the disks were changed (the message says how to go back); 130 interrupted."
)]
pub struct Cli {
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on standard error (-vv: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what the guest is
    Inspect(InspectArgs),
    /// Tell what is wrong and show every change; writes nothing
    Plan(PlanArgs),
    /// Plan, apply and check; leaves an undo file
    Fix(FixArgs),
    /// Take back what `fix` or `convert` changed in the guest
    Undo(UndoArgs),
    /// Finish or abandon a commit that was interrupted
    Recover(RecoverArgs),
    /// Convert with virt-v2v or without, apply the fixups, describe the result
    Convert(ConvertArgs),
    /// Boot the disks in qemu on a throw-away overlay and report
    Boot(BootArgs),
    /// OVA appliances, from the file to what their guests are told
    Ova {
        /// What to do with one
        #[command(subcommand)]
        command: OvaCommand,
    },
    /// The catalogue of fixups
    Fixups {
        /// What to do with it
        #[command(subcommand)]
        command: FixupsCommand,
    },
    /// Convert as Forklift's conversion pod, told what to do by the environment
    #[command(disable_help_flag = true)]
    Pod {
        /// The contract's flags
        #[arg(
            value_name = "FLAGS",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        args: Vec<String>,
    },
    /// Tell what is here, what is missing, and what that means
    Doctor,
}

#[derive(Debug, Subcommand)]
pub enum OvaCommand {
    /// Tell all that somebody who deploys it wants to know
    Inspect(OvaInspectArgs),
    /// Print a file of all answers to fill in, for --values
    Spec(SpecArgs),
    /// Check the answers, and write the OVF environment and the ISO image that carries it
    Env(Box<EnvArgs>),
    /// Check digests, signature, files and disks, in one pass over the archive
    Verify(OvaVerifyArgs),
}

#[derive(Debug, Args)]
pub struct OvaInspectArgs {
    /// The OVA archive, the .ovf file, or the directory with it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Sizes and defaults of this deployment configuration, in place of the default one
    #[arg(long, value_name = "ID")]
    pub configuration: Option<String>,
    /// Texts in this language if the appliance has them (such as en-US, zh_CN)
    #[arg(long, value_name = "LANGUAGE")]
    pub locale: Option<String>,
    /// Show licences in full
    #[arg(long)]
    pub eula: bool,
}

#[derive(Debug, Args)]
pub struct OvaVerifyArgs {
    /// The OVA archive, the .ovf file, or the directory with it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Also trust the certificates in this file (PEM) to sign appliances (repeat for more)
    #[arg(long = "ca", value_name = "FILE")]
    pub ca: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum FixupsCommand {
    /// List all of them
    List {
        #[command(flatten)]
        own: OwnFixupsArgs,
    },
    /// Show one: what it does, and its parameters
    Show {
        /// Its identifier
        id: String,
        #[command(flatten)]
        own: OwnFixupsArgs,
    },
    /// Check your own: whether they can be used, and do what their golden cases say
    Check(CheckArgs),
    /// Print a JSON schema for your own
    Schema {
        /// Of what
        #[arg(value_enum)]
        of: SchemaOf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The file fixup.toml
    Toml,
    /// The protocol of programs, refit/fixup/v1
    Protocol,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A directory of fixups, or the folder of one
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Write each case's changes.json anew, from what is planned now
    #[arg(long)]
    pub bless: bool,
    /// Hardware virtualization for the cases of scripts: auto tries whether KVM really runs code
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
}

/// The user's own fixups.
#[derive(Debug, Default, Args)]
pub struct OwnFixupsArgs {
    /// Also the fixups in this directory (repeat for more); those in /etc/refit/fixups.d always take
    /// part
    #[arg(long = "fixups", value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
}

/// Where the guest is.
#[derive(Debug, Args)]
pub struct GuestArgs {
    /// The guest's disks, in the machine's order (image files or block devices)
    #[arg(
        value_name = "DISK",
        required_unless_present = "root",
        conflicts_with = "root"
    )]
    pub disks: Vec<PathBuf>,
    /// A guest's root directory on this host, in place of disks
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    #[command(flatten)]
    pub open: OpenArgs,
    /// Format of the disks (raw, qcow2, vmdk, ...); detected if not given
    #[arg(long)]
    pub format: Option<String>,
    /// Trust backing files and extents outside of the image's own directory
    #[arg(long)]
    pub allow_outside: bool,
    /// Where overlays and records of disks are kept, in place of a directory beside each
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How the guest is opened.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Which operating system, if there are several: its root device, such as /dev/sda2
    #[arg(long, value_name = "DEV", value_parser = root_device)]
    pub os_device: Option<String>,
    /// Key of an encrypted volume: ID:file:FILE, ID:key:SECRET or ID:clevis, where ID is a device, a UUID
    /// or `all` (a secret on the command line can be seen by other users)
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
    /// Hardware virtualization: auto tries whether KVM really runs code
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
}

/// libguestfs's names of root file systems: devices, and subvolumes of Btrfs (guestfs(3),
/// MOUNTABLE).
fn root_device(text: &str) -> Result<String, String> {
    let device = text.strip_prefix("btrfsvol:").unwrap_or(text);
    if device.starts_with("/dev/") {
        Ok(text.to_owned())
    } else {
        Err("expected a device of the guest, such as /dev/sda2".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// KVM if it works, else emulation
    Auto,
    /// KVM
    Kvm,
    /// Emulation
    Tcg,
}

/// What the fixups are to do.
#[derive(Debug, Args)]
pub struct FixupArgs {
    #[command(flatten)]
    pub own: OwnFixupsArgs,
    /// Only these fixups
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Not these fixups
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Set a fixup's parameter
    #[arg(long, value_name = "ID.PARAM=VALUE")]
    pub set: Vec<String>,
    /// Parameters from a TOML file: a table for each fixup
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// A NIC of the machine, and what it was on the old one (repeat for more NICs or addresses);
    /// OLD is the MAC that it had there
    #[arg(long, value_name = "[OLD=>]MAC[=IP/PREFIX[,GATEWAY[,DNS...]]]")]
    pub nic: Vec<String>,
    /// NICs in Forklift's form: MAC:ip:IP,GATEWAY,PREFIX,DNS..., joined with `_`
    #[arg(long, value_name = "STRING")]
    pub static_ips: Option<String>,
    /// The source machine's VMX file: its MAC addresses and PCI slots tell the old names
    #[arg(long, value_name = "FILE", conflicts_with = "ovf")]
    pub vmx: Option<PathBuf>,
    /// The source machine's OVF descriptor or OVA
    #[arg(long, value_name = "FILE")]
    pub ovf: Option<PathBuf>,
    /// Drivers for Windows guests: virtio-win's ISO, or a directory with its files [default: $VIRTIO_WIN,
    /// $VIRTIO_WIN_DIR, /usr/share/virtio-win]
    #[arg(long, value_name = "PATH")]
    pub virtio_win: Option<PathBuf>,
    /// The bus that a Windows guest's disks will be on (`--set windows-virtio.bus=BUS`)
    #[arg(long, value_enum)]
    pub bus: Option<VirtioBus>,
}

/// virtio's two kinds of disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VirtioBus {
    /// One device for each disk
    VirtioBlk,
    /// A controller with disks on it
    VirtioScsi,
}

impl VirtioBus {
    /// As virt-v2v and the fixup `windows-virtio` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio-blk",
            Self::VirtioScsi => "virtio-scsi",
        }
    }
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub guest: GuestArgs,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub guest: GuestArgs,
    #[command(flatten)]
    pub fixups: FixupArgs,
}

#[derive(Debug, Args)]
pub struct FixArgs {
    #[command(flatten)]
    pub guest: GuestArgs,
    #[command(flatten)]
    pub fixups: FixupArgs,
    /// Plan only, as `refit plan`
    #[arg(long)]
    pub dry_run: bool,
    /// Write to the disks themselves, without an overlay: faster, but a crash leaves a half-fixed
    /// guest that only the undo file brings back
    #[arg(long)]
    pub in_place: bool,
    /// Where the undo file goes [default: beside the first disk; the working directory for --root]
    #[arg(long, value_name = "DIR")]
    pub undo_dir: Option<PathBuf>,
    /// Write the report here, too (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The undo file
    #[arg(value_name = "UNDO-FILE")]
    pub undo: PathBuf,
    #[command(flatten)]
    pub guest: GuestArgs,
    /// Also overwrite what was changed after the run
    #[arg(long)]
    pub force: bool,
    /// Write to the disks themselves, without an overlay
    #[arg(long)]
    pub in_place: bool,
}

#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Disks of the interrupted run; one of them is enough
    #[arg(value_name = "DISK", required = true)]
    pub disks: Vec<PathBuf>,
    /// Where overlays and records of disks are kept, if it was given to the interrupted run
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Trust backing files outside of the image's own directory, if the interrupted run did
    #[arg(long)]
    pub allow_outside: bool,
}

#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// A disk image, an OVA (file or directory), a .vmx file, or a libvirt domain XML
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,
    /// Directory for the results: missing or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Kind of the input [default: by its name and content]
    #[arg(long, value_enum)]
    pub input_kind: Option<InputKind>,
    /// Format of an input disk; detected if not given
    #[arg(long)]
    pub format: Option<String>,
    /// Trust files that the input refers to outside of its own directory
    #[arg(long)]
    pub allow_outside: bool,
    /// What converts the guest
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,
    /// Format of the resulting disks
    #[arg(long, value_enum, default_value_t = OutputFormat::Qcow2)]
    pub output_format: OutputFormat,
    /// The machine to convert, of an OVA that holds several (its ovf:id) [default: all, each in a directory of its
    /// own]
    #[arg(long, value_name = "ID")]
    pub system: Option<String>,
    /// Use the files of an OVA without comparing them with its manifest
    #[arg(long)]
    pub no_verify: bool,
    #[command(flatten)]
    pub answers: AnswerArgs,
    #[command(flatten)]
    pub properties: PropertyArgs,
    /// Name of the machine, or what the names of several start with [default: the source's]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub open: OpenArgs,
    #[command(flatten)]
    pub fixups: FixupArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputKind {
    Disk,
    Ova,
    Vmx,
    Libvirtxml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// virt-v2v; refit itself if virt-v2v does not convert such guests, or is not installed
    Auto,
    /// virt-v2v, then the fixups
    VirtV2v,
    /// The fixups alone: faster. Linux, and Windows as far as drivers and registry go; a guest that it does not know
    /// is delivered as it is, on SATA and e1000e
    Refit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Qcow2,
    Raw,
}

#[derive(Debug, Args)]
pub struct BootArgs {
    /// The disks, in boot order; they are not changed
    #[arg(value_name = "DISK", required = true)]
    pub disks: Vec<PathBuf>,
    /// Format of the disks; detected if not given
    #[arg(long)]
    pub format: Option<String>,
    /// Trust backing files and extents outside of the image's own directory
    #[arg(long)]
    pub allow_outside: bool,
    /// An ISO image in a CD-ROM drive, such as an ovf-env.iso; it is not booted from
    #[arg(long, value_name = "ISO")]
    pub cdrom: Option<PathBuf>,
    /// Bus of the CD-ROM drive: scsi is virtio-scsi
    #[arg(long, value_enum, default_value_t = CdromBus::Sata)]
    pub cdrom_bus: CdromBus,
    /// Hardware address of a NIC (repeat for more)
    #[arg(long, value_name = "MAC")]
    pub nic: Vec<String>,
    /// Firmware
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    pub firmware: Firmware,
    /// Bus of the disks: virtio, virtio-scsi or sata
    #[arg(long, default_value_t)]
    pub bus: DiskBus,
    /// Hardware to present: virtio; compatible (SATA, e1000e) for a guest without virtio drivers; or
    /// vmware to see a guest as it was before the move
    #[arg(long, default_value_t)]
    pub hardware: Hardware,
    /// Hardware virtualization: auto tries whether KVM really runs code
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = value_parser!(u64).range(64..=1 << 20))]
    pub memory: u64,
    /// Virtual CPUs (by default two, one if they are emulated)
    #[arg(long)]
    pub vcpus: Option<u32>,
    /// Seconds to wait
    #[arg(long, default_value_t = 300)]
    pub timeout: u64,
    /// Done when this appears on the serial console, instead of a login prompt
    #[arg(long)]
    pub marker: Option<String>,
    /// Log in as this user to ask for names and addresses; needs --password-file
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// File with the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Run this command after login and report its output (repeat for more)
    #[arg(long, value_name = "COMMAND", requires = "user")]
    pub run: Vec<String>,
    /// Save a screenshot (PNG)
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Save the serial console's output
    #[arg(long, value_name = "FILE")]
    pub serial_log: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CdromBus {
    Sata,
    Scsi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    Bios,
    Uefi,
    UefiSecure,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed_and_every_option_is_documented() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            for argument in subcommand.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    subcommand.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
