//! What goes into the image: `images/debian/recipe.toml`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;
use serde::Deserialize;

use crate::process::root;

/// The file as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Debian's release.
    pub suite: String,
    /// What apt installs.
    pub packages: Vec<String>,
    /// Paths that dpkg does not unpack.
    pub exclude: Vec<String>,
    /// Paths that it does all the same.
    pub include: Vec<String>,
    /// The image's own tree.
    pub runtime: Part,
    /// The root of libguestfs' appliance.
    pub appliance: Part,
}

/// One of the two trees that are taken from the installed packages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Part {
    /// Packages that are in it, with what they depend on.
    pub packages: Vec<String>,
    /// Dependencies that are not followed.
    pub without: Vec<String>,
    /// Paths that are removed.
    pub remove: Vec<String>,
    /// Directories, and the names that stay in them.
    pub keep_only: BTreeMap<String, Vec<String>>,
    /// Symbolic links that are made, with their targets.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Kernel modules; of the appliance only.
    #[serde(default)]
    pub modules: Modules,
}

/// Which kernel modules stay.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Paths below `/lib/modules/VERSION/kernel`.
    pub keep: Vec<String>,
}

impl Recipe {
    /// Reads it.
    pub fn read() -> anyhow::Result<(Self, String)> {
        let path = root().join("images/debian/recipe.toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let recipe =
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        Ok((recipe, text))
    }
}
