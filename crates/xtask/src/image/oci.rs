//! An image as an archive in OCI form (OCI Image Format Specification 1.1: layout, index, manifest, configuration).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::layer;

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Smaller, and faster to unpack: containerd 1.5, CRI-O 1.19, podman 2, docker 23, or newer
    Zstd,
    /// For everything that is older
    Gzip,
}

impl Compression {
    fn command(self) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            // The number of threads must not show in the result: with one, zstd writes another form.
            Self::Zstd => ("zstd", &["--quiet", "--stdout", "-12", "-T2", "--no-check"]),
            Self::Gzip => ("gzip", &["--no-name", "--stdout", "-9"]),
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }
}

/// A packed layer.
#[derive(Debug)]
pub struct Layer {
    /// What it holds, for people.
    pub name: String,
    /// Bytes as they are sent.
    pub size: u64,
    /// Bytes of the archive in it.
    pub unpacked: u64,
    digest: String,
    diff_id: String,
    media_type: &'static str,
}

/// A directory in the form of an image layout, that grows.
#[derive(Debug)]
pub struct Layout {
    dir: PathBuf,
    layers: Vec<Layer>,
}

impl Layout {
    /// Begins one in a new directory.
    pub fn create(dir: PathBuf) -> anyhow::Result<Self> {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("making {}", blobs.display()))?;
        fs::write(
            dir.join("oci-layout"),
            json!({"imageLayoutVersion": "1.0.0"}).to_string(),
        )
        .context("writing the mark of an image layout")?;
        Ok(Self {
            dir,
            layers: Vec::new(),
        })
    }

    /// Packs a directory as the next layer.
    pub fn layer(&mut self, name: &str, from: &Path, how: Compression) -> anyhow::Result<()> {
        let plain = self.dir.join("layer.tar");
        let packed = self.dir.join("layer.packed");
        let diff_id = layer::pack(from, &plain)?;
        let into =
            File::create(&packed).with_context(|| format!("creating {}", packed.display()))?;
        let mut command = how.command();
        let status = command
            .arg(&plain)
            .stdout(Stdio::from(into))
            .status()
            .with_context(|| format!("starting {command:?}"))?;
        ensure!(status.success(), "{command:?}: {status}");
        let unpacked = fs::metadata(&plain)?.len();
        fs::remove_file(&plain)?;
        let (digest, size) = self.take(&packed)?;
        self.layers.push(Layer {
            name: name.to_owned(),
            size,
            unpacked,
            digest,
            diff_id,
            media_type: how.media_type(),
        });
        Ok(())
    }

    /// The layers so far.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Adds the configuration, the manifest and the index, and packs all into the archive `to`. Gives the
    /// image's digest.
    ///
    /// `config` is the part of the configuration that says how a container is run, `annotations` are of the
    /// manifest, and `name` is what `podman load` calls the image.
    pub fn finish(
        self,
        config: &Value,
        created: &str,
        annotations: &Value,
        name: &str,
        to: &Path,
    ) -> anyhow::Result<String> {
        let diff_ids: Vec<_> = self
            .layers
            .iter()
            .map(|l| format!("sha256:{}", l.diff_id))
            .collect();
        let history: Vec<_> = self
            .layers
            .iter()
            .map(|layer| json!({"created": created, "created_by": "cargo xtask image", "comment": layer.name}))
            .collect();
        let (config, config_size) = self.blob(&json!({
            "created": created,
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        }))?;
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| {
                json!({"mediaType": layer.media_type, "digest": format!("sha256:{}", layer.digest), "size": layer.size})
            })
            .collect();
        let (manifest, manifest_size) = self.blob(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": format!("sha256:{config}"),
                "size": config_size,
            },
            "layers": layers,
            "annotations": annotations,
        }))?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{manifest}"),
                "size": manifest_size,
                "platform": {"architecture": "amd64", "os": "linux"},
                "annotations": {"org.opencontainers.image.ref.name": name},
            }],
        });
        fs::write(self.dir.join("index.json"), index.to_string()).context("writing the index")?;
        layer::pack(&self.dir, to)?;
        Ok(format!("sha256:{manifest}"))
    }

    fn blob(&self, document: &Value) -> anyhow::Result<(String, u64)> {
        let path = self.dir.join("document");
        fs::write(&path, document.to_string())
            .with_context(|| format!("writing {}", path.display()))?;
        self.take(&path)
    }

    /// Moves a file among the blobs.
    fn take(&self, file: &Path) -> anyhow::Result<(String, u64)> {
        let digest = layer::digest(file)?;
        let size = fs::metadata(file)?.len();
        let blob = self.dir.join("blobs/sha256").join(&digest);
        fs::rename(file, &blob).with_context(|| format!("writing {}", blob.display()))?;
        Ok((digest, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blob that a descriptor means, after a look at its size and digest.
    fn follow(layout: &Path, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let path = layout.join("blobs/sha256").join(digest);
        assert_eq!(layer::digest(&path).unwrap(), digest);
        let bytes = fs::read(path).unwrap();
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }

    fn built(dir: &Path, name: &str, how: Compression) -> (String, PathBuf) {
        let files = dir.join("files");
        fs::create_dir_all(files.join("etc")).unwrap();
        fs::write(files.join("etc/motd"), "hello").unwrap();
        let mut layout = Layout::create(dir.join(name)).unwrap();
        layout.layer("files", &files, how).unwrap();
        assert_eq!(
            (
                layout.layers()[0].name.as_str(),
                layout.layers()[0].unpacked % 512
            ),
            ("files", 0)
        );
        let archive = dir.join(format!("{name}.tar"));
        let config = json!({"User": "107:107"});
        let digest = layout
            .finish(
                &config,
                "2026-01-02T03:04:05Z",
                &json!({"a": "b"}),
                "refit:1",
                &archive,
            )
            .unwrap();
        let opened = dir.join(format!("{name}.opened"));
        tar::Archive::new(File::open(archive).unwrap())
            .unpack(&opened)
            .unwrap();
        (digest, opened)
    }

    #[test]
    fn every_descriptor_leads_to_its_blob_and_no_other_is_there() {
        let dir = tempfile::tempdir().unwrap();
        for how in [Compression::Gzip, Compression::Zstd] {
            let (digest, layout) = built(dir.path(), &format!("{how:?}"), how);
            let index: Value =
                serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
            let manifest = &index["manifests"][0];
            assert_eq!(manifest["digest"], digest);
            assert_eq!(
                manifest["annotations"]["org.opencontainers.image.ref.name"],
                "refit:1"
            );
            let manifest: Value = serde_json::from_slice(&follow(&layout, manifest)).unwrap();
            let config: Value =
                serde_json::from_slice(&follow(&layout, &manifest["config"])).unwrap();
            assert_eq!(config["config"]["User"], "107:107");
            let packed = follow(&layout, &manifest["layers"][0]);
            let magic: &[u8] = match how {
                Compression::Gzip => &[0x1f, 0x8b],
                Compression::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            };
            assert!(packed.starts_with(magic));
            let program = if how == Compression::Gzip {
                "gzip"
            } else {
                "zstd"
            };
            let file = dir.path().join("packed");
            fs::write(&file, packed).unwrap();
            let plain = Command::new(program)
                .arg("-dc")
                .stdin(File::open(&file).unwrap())
                .output()
                .unwrap();
            fs::write(&file, plain.stdout).unwrap();
            assert_eq!(
                config["rootfs"]["diff_ids"],
                json!([format!("sha256:{}", layer::digest(&file).unwrap())])
            );
            let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().count();
            assert_eq!(blobs, 3, "layer, configuration, manifest");
        }
    }

    #[test]
    fn two_builds_give_the_same_archive() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = built(dir.path(), "one", Compression::Zstd);
        let (second, _) = built(dir.path(), "two", Compression::Zstd);
        assert_eq!(first, second);
        assert_eq!(
            fs::read(dir.path().join("one.tar")).unwrap(),
            fs::read(dir.path().join("two.tar")).unwrap()
        );
    }
}
