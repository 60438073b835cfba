//! Answers to what an appliance asks: for `ova spec`, `ova env` and `convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct SpecArgs {
    /// The appliance: an OVA, a directory with an OVF descriptor, or the descriptor
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The form of the file
    #[arg(long, value_enum, default_value_t = SpecFormat::Toml)]
    pub format: SpecFormat,
    /// Deployment configuration [default: the descriptor's]
    #[arg(long, value_name = "ID")]
    pub configuration: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpecFormat {
    /// TOML with explanations
    Toml,
    /// The JSON of `govc import.spec`
    Govc,
}

#[derive(Debug, Args)]
pub struct EnvArgs {
    /// The appliance: an OVA, a directory with an OVF descriptor, or the descriptor
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Directory for ovf-env.xml and ovf-env.iso
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Overwrite what is there of these
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub answers: AnswerArgs,
    /// The system that is told, by its ovf:id, where the appliance has several
    #[arg(long, value_name = "ID")]
    pub system: Option<String>,
    /// A network card of the new machine: its hardware address and the descriptor's network (repeat in slot
    /// order)
    #[arg(long, value_name = "MAC=NETWORK")]
    pub nic: Vec<String>,
    /// Kind of platform that the guest is told, for one that insists on "VMware ESXi"
    #[arg(long, value_name = "KIND")]
    pub platform_kind: Option<String>,
    #[command(flatten)]
    pub set: SetArgs,
}

/// Values one by one, as `ova env` names them.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The value of a property, by its qualified key
    #[arg(long, visible_alias = "property", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The value is in this file, `-` for standard input; a line break at its end does not count
    #[arg(long, visible_alias = "property-file", value_name = "KEY=PATH")]
    pub set_file: Vec<String>,
    /// The value is in this environment variable
    #[arg(long, visible_alias = "property-env", value_name = "KEY=VARIABLE")]
    pub set_env: Vec<String>,
}

/// The same as `convert` names them, where `--set` is for fixups.
#[derive(Debug, Args)]
pub struct PropertyArgs {
    /// The value of an appliance's property, by its qualified key
    #[arg(long, value_name = "KEY=VALUE")]
    pub property: Vec<String>,
    /// The value is in this file, `-` for standard input; a line break at its end does not count
    #[arg(long, value_name = "KEY=PATH")]
    pub property_file: Vec<String>,
    /// The value is in this environment variable
    #[arg(long, value_name = "KEY=VARIABLE")]
    pub property_env: Vec<String>,
}

/// Answers from files, and what is let through.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// Answers from a file, `-` for standard input: what `refit ova spec` prints (repeat; later ones win, and
    /// single values over all)
    #[arg(long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Deployment configuration [default: the descriptor's]
    #[arg(long, value_name = "ID")]
    pub configuration: Option<String>,
    /// A property that the descriptor does not declare
    #[arg(long = "extra", value_name = "KEY=VALUE")]
    pub extra: Vec<String>,
    /// Who gives addresses [default: fixed]
    #[arg(long, value_enum)]
    pub ip_allocation: Option<IpAllocation>,
    /// Also set properties whose value the vendor has fixed
    #[arg(long)]
    pub allow_fixed: bool,
    /// Keep ${...} as text where nothing is known for it
    #[arg(long)]
    pub literal_macros: bool,
    /// Take secrets from the command line, where other users can see them
    #[arg(long)]
    pub allow_secrets_in_arguments: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IpAllocation {
    /// The answers, and the addresses of `[networks]` in a file for --values
    Fixed,
    /// A DHCP server; addresses that are not given stay empty
    Dhcp,
}
