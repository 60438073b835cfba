//! Content of files in an undo file.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longer content is compressed: a registry hive has many megabytes, and most of them are zeros and text.
const LONG: usize = 64 * 1024;

/// Compressed content that becomes longer than this is not what refit wrote: no file that it changes is so
/// long.
const LIMIT: u64 = 1 << 30;

/// Bytes: base64 in JSON, and what is long as an object with its compressed form (zlib, RFC 1950) in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Plain(String),
    Compressed { zlib: String },
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = if self.0.len() > LONG {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            let packed = encoder
                .write_all(&self.0)
                .and_then(|()| encoder.finish())
                .map_err(S::Error::custom)?;
            Form::Compressed {
                zlib: STANDARD.encode(packed),
            }
        } else {
            Form::Plain(STANDARD.encode(&self.0))
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let decode = |text: String| STANDARD.decode(text).map_err(D::Error::custom);
        match Form::deserialize(deserializer)? {
            Form::Plain(text) => decode(text).map(Self),
            Form::Compressed { zlib } => {
                let packed = decode(zlib)?;
                let mut content = Vec::new();
                ZlibDecoder::new(packed.as_slice())
                    .take(LIMIT + 1)
                    .read_to_end(&mut content)
                    .map_err(D::Error::custom)?;
                if content.len() as u64 > LIMIT {
                    return Err(D::Error::custom("a file in it is too long"));
                }
                Ok(Self(content))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_content_is_compressed_and_comes_back() {
        let back = |bytes: &Bytes| {
            let json = serde_json::to_string(bytes).unwrap();
            assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), *bytes);
            json
        };
        assert_eq!(back(&Bytes(b"x\0".to_vec())), r#""eAA=""#);
        let long = back(&Bytes(vec![7; LONG + 1]));
        assert!(long.starts_with(r#"{"zlib":""#), "{long}");
        assert!(long.len() < 1000, "{} characters", long.len());
        for wrong in [r#""?""#, r#"{"zlib":"eAA="}"#, r#"{"gzip":""}"#] {
            assert!(serde_json::from_str::<Bytes>(wrong).is_err(), "{wrong}");
        }
    }
}
