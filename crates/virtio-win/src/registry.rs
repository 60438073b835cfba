//! What an INF file asks to be written to the registry for a service.

use crate::Inf;

/// Type bits and flags of `AddReg` ("INF AddReg Directive").
const DELETE: u32 = 0x4;
const KEY_ONLY: u32 = 0x10;
const TYPE: u32 = 0xffff_0001;

/// Data of a registry value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegData {
    /// `REG_SZ`.
    Sz(String),
    /// `REG_EXPAND_SZ`.
    ExpandSz(String),
    /// `REG_MULTI_SZ`.
    MultiSz(Vec<String>),
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_BINARY`.
    Binary(Vec<u8>),
}

/// One value, below the key that the section is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegValue {
    /// Key relative to that one; empty for itself.
    pub key: String,
    /// Name; empty for the default value.
    pub name: String,
    /// What is stored.
    pub data: RegData,
}

/// A service that an INF file installs ("INF AddService Directive").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its key's name.
    pub name: String,
    /// `DisplayName`, if given.
    pub display_name: Option<String>,
    /// `Type`: 1 is a kernel driver.
    pub kind: u32,
    /// `Start`: 0 boot, 1 system, 2 automatic, 3 on demand, 4 disabled.
    pub start: u32,
    /// `ErrorControl`.
    pub error_control: u32,
    /// `Group`, if given.
    pub group: Option<String>,
    /// The file that is run, as the INF file has it: `%12%\viostor.sys`.
    pub binary: String,
    /// What its `AddReg` sections put below its key.
    pub values: Vec<RegValue>,
}

impl Service {
    /// The name of the file that is run, without its directory.
    #[must_use]
    pub fn binary_name(&self) -> &str {
        self.binary.rsplit(['\\', '/']).next().unwrap_or_default()
    }

    /// Reads the services of a `DDInstall.Services` section.
    pub(crate) fn read(inf: &Inf, section: &str) -> Vec<Self> {
        inf.entries(section, "AddService")
            .filter_map(|line| {
                let name = line.field(0);
                let install = line.field(2);
                // An empty name with flag 2 says that the device has no driver at all.
                if !plain_name(name) || inf.section(install).is_none() {
                    return None;
                }
                let text = |key| {
                    inf.value(install, key)
                        .filter(|text| !text.is_empty())
                        .map(str::to_owned)
                };
                let number_of = |key| inf.value(install, key).and_then(number);
                let values = inf
                    .entries(install, "AddReg")
                    .flat_map(|line| line.fields.clone())
                    .flat_map(|section| values(inf, &section))
                    .collect();
                Some(Self {
                    name: name.to_owned(),
                    display_name: text("DisplayName"),
                    kind: number_of("ServiceType")?,
                    start: number_of("StartType")?,
                    error_control: number_of("ErrorControl")?,
                    group: text("LoadOrderGroup"),
                    binary: text("ServiceBinary")?,
                    values,
                })
            })
            .collect()
    }
}

/// Whether a name can be the name of one key or file: no path.
pub(crate) fn plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !matches!(name, "." | "..")
        && !name.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
        && !name.chars().any(char::is_control)
}

/// The values that an `AddReg` section sets below its own key (`HKR`); deletions and bare keys are none.
fn values(inf: &Inf, section: &str) -> Vec<RegValue> {
    inf.section(section)
        .unwrap_or_default()
        .iter()
        .filter(|line| line.field(0).eq_ignore_ascii_case("HKR"))
        .filter_map(|line| {
            let flags = match line.field(3) {
                "" => 0,
                text => number(text)?,
            };
            if flags & (DELETE | KEY_ONLY) != 0 {
                return None;
            }
            let key = line.field(1).trim_matches('\\');
            if !key.is_empty() && !key.split('\\').all(plain_name) {
                return None;
            }
            Some(RegValue {
                key: key.to_owned(),
                name: line.field(2).to_owned(),
                data: data(flags, line.fields.get(4..).unwrap_or_default())?,
            })
        })
        .collect()
}

/// The data of one line, by the type in its flags.
fn data(flags: u32, fields: &[String]) -> Option<RegData> {
    let first = fields.first().map_or("", String::as_str);
    Some(match flags & TYPE {
        0 => RegData::Sz(first.to_owned()),
        0x0001_0000 => RegData::MultiSz(fields.to_vec()),
        0x0002_0000 => RegData::ExpandSz(first.to_owned()),
        0x0001_0001 => RegData::Dword(match fields {
            // Four bytes, the least one first, or one number.
            [_, _, _, _] => u32::from_le_bytes(bytes(fields)?.try_into().ok()?),
            _ => number(first)?,
        }),
        1 => RegData::Binary(bytes(fields)?),
        _ => return None,
    })
}

fn bytes(fields: &[String]) -> Option<Vec<u8>> {
    fields
        .iter()
        .filter(|field| !field.is_empty())
        // Without a prefix these are hexadecimal, too.
        .map(|field| {
            let digits = field.trim_start_matches("0x").trim_start_matches("0X");
            u8::from_str_radix(digits, 16).ok()
        })
        .collect()
}

/// A number as INF files have it: decimal, or hexadecimal after `0x`; negative ones in two's complement.
pub(crate) fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('-') {
        Some(digits) => digits.parse::<u32>().ok().map(u32::wrapping_neg),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inf(text: &str) -> Inf {
        Inf::parse(format!("[Version]\nSignature=\"$Windows NT$\"\n{text}").as_bytes()).unwrap()
    }

    #[test]
    fn values_have_the_type_of_their_flags() {
        let inf = inf(
            "[r]\nHKR, \"Parameters\\PnpInterface\", \"5\", 0x00010001, 0x00000001\n\
             HKR,,EventMessageFile,0x00020000,\"%%SystemRoot%%\\x.dll\"\nHKR,,CoInstallers32,0x00010000,\"a.dll,b\",c\n\
             HKR,p,s,,text\nHKR,,b,1,01,0xff\nHKR,,d,0x10001,78,56,34,12\nHKR,\"Interrupt Management\",,0x00000010\n\
             HKR,,gone,4\nHKLM,Software,x,,y\nHKR,..\\Other,x,,y\nHKR,,n,0x10001,-1\nHKR,,q,0x000b0001,1\nHKR,,bad,zz,1",
        );
        let value = |key: &str, name: &str, data| RegValue {
            key: key.to_owned(),
            name: name.to_owned(),
            data,
        };
        assert_eq!(
            values(&inf, "r"),
            [
                value("Parameters\\PnpInterface", "5", RegData::Dword(1)),
                value(
                    "",
                    "EventMessageFile",
                    RegData::ExpandSz("%SystemRoot%\\x.dll".to_owned())
                ),
                value(
                    "",
                    "CoInstallers32",
                    RegData::MultiSz(vec!["a.dll,b".to_owned(), "c".to_owned()])
                ),
                value("p", "s", RegData::Sz("text".to_owned())),
                value("", "b", RegData::Binary(vec![1, 255])),
                value("", "d", RegData::Dword(0x1234_5678)),
                value("", "n", RegData::Dword(u32::MAX)),
            ]
        );
    }

    #[test]
    fn services_that_say_everything_are_read() {
        let inf = inf(
            "[i.Services]\nAddService = drv, 2, s, log\nAddService=,2\nAddService=..\\x,2,s\n\
             AddService=half,2,h\nAddService=none,2,missing\n\
             [s]\nDisplayName=\"A driver\"\nServiceType=1\nStartType=0x3\nErrorControl=0\nServiceBinary=%12%\\drv.sys\n\
             LoadOrderGroup=Base\nAddReg=r\n[r]\nHKR,Parameters,X,0x00010001,5\n[h]\nServiceType=1",
        );
        let services = Service::read(&inf, "i.Services");
        assert_eq!(services.len(), 1);
        assert_eq!(
            services[0],
            Service {
                name: "drv".to_owned(),
                display_name: Some("A driver".to_owned()),
                kind: 1,
                start: 3,
                error_control: 0,
                group: Some("Base".to_owned()),
                binary: "%12%\\drv.sys".to_owned(),
                values: vec![RegValue {
                    key: "Parameters".to_owned(),
                    name: "X".to_owned(),
                    data: RegData::Dword(5)
                }],
            }
        );
        assert_eq!(services[0].binary_name(), "drv.sys");
    }
}
