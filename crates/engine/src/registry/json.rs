//! A registry value as JSON has it.

use anyhow::{Context as _, bail, ensure};
use refit_hive::{Value, ValueKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::change::hex;

/// The type and the data of a registry value, as plans show it and programs give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValueJson {
    /// The type by Windows' name, such as `REG_DWORD`, or `0x` and its number in hexadecimal digits.
    #[serde(rename = "type")]
    pub kind: String,
    /// A text for `REG_SZ` and `REG_EXPAND_SZ`, a list of texts for `REG_MULTI_SZ`, a number for `REG_DWORD` and
    /// `REG_QWORD`, hexadecimal digits for any other type.
    #[serde(default)]
    pub data: serde_json::Value,
    /// The bytes as the hive stores them, in hexadecimal digits, if they are not what a program would write for
    /// `data`. They win over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_hex: Option<String>,
}

impl From<&Value> for ValueJson {
    fn from(value: &Value) -> Self {
        let (data, usual) = match value.kind {
            ValueKind::Sz | ValueKind::ExpandSz => {
                let text = value.as_str().unwrap_or_default();
                (json!(text), Value::sz(&text))
            }
            ValueKind::MultiSz => {
                let texts = value.as_multi().unwrap_or_default();
                (json!(texts), Value::multi_sz(&texts))
            }
            ValueKind::Dword => {
                let number = value.as_dword();
                (json!(number), Value::dword(number.unwrap_or_default()))
            }
            ValueKind::Qword => {
                let number = value.as_qword();
                (json!(number), Value::qword(number.unwrap_or_default()))
            }
            _ => (json!(hex(&value.data)), value.clone()),
        };
        Self {
            kind: value.kind.name(),
            data,
            data_hex: (usual.data != value.data).then(|| hex(&value.data)),
        }
    }
}

impl ValueJson {
    /// The value that it stands for.
    ///
    /// # Errors
    /// If there is no such type, or the data is none for it.
    pub fn value(&self) -> anyhow::Result<Value> {
        let kind = ValueKind::from_name(&self.kind).with_context(|| {
            format!(
                "{:?} is no type of a registry value (REG_SZ, REG_DWORD, ...)",
                self.kind
            )
        })?;
        if let Some(digits) = &self.data_hex {
            let data = bytes(digits).context("data_hex")?;
            return Ok(Value { kind, data });
        }
        let data = &self.data;
        let found = match kind {
            ValueKind::Sz => data.as_str().map(Value::sz),
            ValueKind::ExpandSz => data.as_str().map(Value::expand_sz),
            ValueKind::MultiSz => texts(data).map(|texts| Value::multi_sz(&texts)),
            ValueKind::Dword => data
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .map(Value::dword),
            ValueKind::Qword => data.as_u64().map(Value::qword),
            _ => match data.as_str() {
                Some(digits) => {
                    let data = bytes(digits).context("data")?;
                    Some(Value { kind, data })
                }
                None => None,
            },
        };
        let Some(value) = found else {
            let wanted = match kind {
                ValueKind::Sz | ValueKind::ExpandSz => "a text",
                ValueKind::MultiSz => "a list of texts",
                ValueKind::Dword => "a number of at most 32 bits",
                ValueKind::Qword => "a number of at most 64 bits",
                _ => "a text of hexadecimal digits",
            };
            bail!("the data of a {} is {wanted}", self.kind);
        };
        Ok(value)
    }
}

fn texts(data: &serde_json::Value) -> Option<Vec<&str>> {
    data.as_array()?
        .iter()
        .map(serde_json::Value::as_str)
        .collect()
}

fn bytes(digits: &str) -> anyhow::Result<Vec<u8>> {
    let wrong = "it is no even number of hexadecimal digits";
    ensure!(
        digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        wrong
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).context(wrong))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_meant() {
        let odd = |kind, data: &[u8]| Value {
            kind,
            data: data.to_vec(),
        };
        for value in [
            Value::sz("ä"),
            Value::sz(""),
            Value::expand_sz("%SystemRoot%\\x"),
            Value::multi_sz(&["a", "b"]),
            Value::multi_sz::<&str>(&[]),
            Value::dword(u32::MAX),
            Value::qword(u64::MAX),
            Value::binary([0, 0xff]),
            odd(ValueKind::Sz, b"a\0"),
            odd(ValueKind::Sz, b"a"),
            odd(ValueKind::MultiSz, b"a\0b\0"),
            odd(ValueKind::Dword, &[7]),
            odd(ValueKind::Dword, &[7, 0, 0, 0, 0]),
            odd(ValueKind::Qword, &[]),
            odd(ValueKind::None, &[]),
            odd(ValueKind::Other(0xffff_0012), &[1]),
        ] {
            let shown = serde_json::to_value(ValueJson::from(&value)).unwrap();
            let read: ValueJson = serde_json::from_value(shown.clone()).unwrap();
            assert_eq!(read.value().unwrap(), value, "{shown}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (value, expected) in [
            (
                json!({"type": "REG_DWORD", "data": -1}),
                "a number of at most 32 bits",
            ),
            (
                json!({"type": "REG_DWORD", "data": 4_294_967_296_u64}),
                "a number of at most 32 bits",
            ),
            (
                json!({"type": "REG_DWORD", "data": "1"}),
                "a number of at most 32 bits",
            ),
            (
                json!({"type": "REG_QWORD", "data": 1.5}),
                "a number of at most 64 bits",
            ),
            (json!({"type": "REG_SZ", "data": 1}), "a text"),
            (json!({"type": "REG_SZ"}), "a text"),
            (
                json!({"type": "REG_MULTI_SZ", "data": ["a", 1]}),
                "a list of texts",
            ),
            (
                json!({"type": "REG_BINARY", "data": "abc"}),
                "hexadecimal digits",
            ),
            (
                json!({"type": "REG_BINARY", "data": "zz"}),
                "hexadecimal digits",
            ),
            (
                json!({"type": "REG_SZ", "data": "a", "data_hex": "ä"}),
                "hexadecimal digits",
            ),
            (json!({"type": "REG_FUN", "data": "a"}), "no type"),
        ] {
            let read: ValueJson = serde_json::from_value(value.clone()).unwrap();
            let error = format!("{:#}", read.value().unwrap_err());
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
