//! The document.

use std::fmt::Write as _;

use super::Adapter;
use crate::properties::Assigned;

/// Number of the first network adapter in vSphere's list of virtual devices.
const FIRST_UNIT: usize = 7;

/// Who says that it is the platform (`PlatformSection`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Kind of hypervisor.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// Who makes it.
    pub vendor: String,
    /// Language of texts, `en`.
    pub locale: String,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            kind: "KVM".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            vendor: "refit".to_owned(),
            locale: "en".to_owned(),
        }
    }
}

/// What one guest is told.
#[derive(Debug, Clone, Default)]
pub struct Environment<'a> {
    /// The platform.
    pub platform: Platform,
    /// Its properties, in the order in which they are written.
    pub properties: &'a [Assigned],
    /// Its adapters, in slot order.
    pub adapters: &'a [Adapter],
    /// The other members of its collection: `ovf:id` and properties.
    pub siblings: &'a [(String, Vec<Assigned>)],
}

/// Writes the document, with a line break at its end. It holds every secret among the properties.
///
/// `oe:id` is empty as in vSphere's own. The attributes `ve:vCenterId` and `ve:esxId`, which say where the
/// machine is registered, are left out: there is no such place.
#[must_use]
pub fn document(environment: &Environment<'_>) -> String {
    let mut text = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Environment
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:ve="http://www.vmware.com/schema/ovfenv"
     oe:id="">
   <PlatformSection>
"#,
    );
    let platform = &environment.platform;
    // Writing to a String cannot fail.
    for (name, value) in [
        ("Kind", &platform.kind),
        ("Version", &platform.version),
        ("Vendor", &platform.vendor),
        ("Locale", &platform.locale),
    ] {
        let _ = writeln!(text, "      <{name}>{}</{name}>", escape(value));
    }
    text.push_str("   </PlatformSection>\n");
    section(&mut text, 3, 9, environment.properties);
    text.push_str("   <ve:EthernetAdapterSection>\n");
    for (index, adapter) in environment.adapters.iter().enumerate() {
        let _ = writeln!(
            text,
            r#"      <ve:Adapter ve:mac="{}" ve:network="{}" ve:unitNumber="{}"/>"#,
            adapter.mac,
            escape(&adapter.network),
            FIRST_UNIT + index
        );
    }
    text.push_str("   </ve:EthernetAdapterSection>\n");
    for (id, properties) in environment.siblings {
        let _ = writeln!(text, r#"   <Entity oe:id="{}">"#, escape(id));
        section(&mut text, 6, 12, properties);
        text.push_str("   </Entity>\n");
    }
    text.push_str("</Environment>\n");
    text
}

/// vSphere's own indentation: properties are six further in than their section.
fn section(text: &mut String, outer: usize, inner: usize, properties: &[Assigned]) {
    let _ = writeln!(text, "{:outer$}<PropertySection>", "");
    for property in properties {
        let _ = writeln!(
            text,
            r#"{:inner$}<Property oe:key="{}" oe:value="{}"/>"#,
            "",
            escape(&property.key),
            escape(&property.value)
        );
    }
    let _ = writeln!(text, "{:outer$}</PropertySection>", "");
}

/// Escapes what XML wants escaped in an attribute, and `>`, as vSphere does. An apostrophe stays: in
/// double quotes it needs no escape, and readers by line would see one. Line breaks and tabs become
/// references, for a parser turns them into blanks otherwise, and one property must stay on one line.
/// Characters that XML has no form for are dropped; values with such were refused before.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(key: &str, value: &str) -> Assigned {
        Assigned {
            key: key.to_owned(),
            value: value.to_owned(),
            secret: false,
        }
    }

    #[test]
    fn the_bytes_are_vspheres() {
        let properties = [
            assigned("com.cisco.csr1000v.hostname.1", "csr"),
            assigned("ssh", "True"),
            assigned("text", "a<b>&\"c\" 'd'\n\u{1}\u{e4}"),
        ];
        let adapters = ["52:54:00:00:00:01=VM Network", "52:54:00:00:00:02=A & B"]
            .map(|text| text.parse().unwrap());
        let text = document(&Environment {
            platform: Platform {
                kind: "VMware ESXi".to_owned(),
                version: "8.0.3".to_owned(),
                vendor: "VMware, Inc.".to_owned(),
                locale: "en".to_owned(),
            },
            properties: &properties,
            adapters: &adapters,
            siblings: &[("db".to_owned(), vec![assigned("ip", "192.0.2.2")])],
        });
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<Environment
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:ve="http://www.vmware.com/schema/ovfenv"
     oe:id="">
   <PlatformSection>
      <Kind>VMware ESXi</Kind>
      <Version>8.0.3</Version>
      <Vendor>VMware, Inc.</Vendor>
      <Locale>en</Locale>
   </PlatformSection>
   <PropertySection>
         <Property oe:key="com.cisco.csr1000v.hostname.1" oe:value="csr"/>
         <Property oe:key="ssh" oe:value="True"/>
         <Property oe:key="text" oe:value="a&lt;b&gt;&amp;&quot;c&quot; 'd'&#10;ä"/>
   </PropertySection>
   <ve:EthernetAdapterSection>
      <ve:Adapter ve:mac="52:54:00:00:00:01" ve:network="VM Network" ve:unitNumber="7"/>
      <ve:Adapter ve:mac="52:54:00:00:00:02" ve:network="A &amp; B" ve:unitNumber="8"/>
   </ve:EthernetAdapterSection>
   <Entity oe:id="db">
      <PropertySection>
            <Property oe:key="ip" oe:value="192.0.2.2"/>
      </PropertySection>
   </Entity>
</Environment>
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn adapters_are_read() {
        let error = "x=VM Network".parse::<Adapter>().unwrap_err();
        assert!(error.to_string().contains("MAC=NETWORK"), "{error}");
        assert!("52:54:00:00:00:01".parse::<Adapter>().is_err());
    }
}
