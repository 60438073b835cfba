use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{DiskError, Format, Options, Result, state::StateDir};

const SCHEMA: &str = "refit/commit-record/v1";

/// Far more than a record of [`DISKS_LIMIT`] disks with long paths.
const RECORD_LIMIT: u64 = 4 << 20;

const DISKS_LIMIT: usize = 512;

/// How far a commit is. Only the record of a run's first disk moves on from `Prepared`: one rename
/// decides for all disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// No base was touched.
    Prepared,
    /// Bases may be partly written; the overlays hold all that is to be written.
    Committing,
    /// All bases are written; overlays may be gone.
    Committed,
}

/// What is known of a run, in the state directory of each of its disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: String,
    /// Tells the runs apart; random.
    pub run: String,
    pub phase: Phase,
    /// Which of `disks` this record lies beside.
    pub index: usize,
    /// All disks of the run, in order.
    pub disks: Vec<RecordedDisk>,
}

/// A disk of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedDisk {
    /// Canonical path of the base.
    pub path: PathBuf,
    pub format: Format,
    /// Bytes, as the guest sees the disk.
    pub virtual_size: u64,
}

impl Record {
    pub(super) fn new(run: String, index: usize, disks: Vec<RecordedDisk>) -> Self {
        Self {
            schema: SCHEMA.into(),
            run,
            phase: Phase::Prepared,
            index,
            disks,
        }
    }

    /// The same record for another disk of the run.
    pub(super) fn beside(&self, index: usize) -> Self {
        Self {
            index,
            ..self.clone()
        }
    }

    /// The record in the state directory of `disk`, if there is one.
    ///
    /// # Errors
    ///
    /// [`DiskError::State`] if it is not a record that refit wrote for this disk.
    pub(super) fn read(state: &StateDir, disk: &Path) -> Result<Option<Self>> {
        let path = state.record();
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(DiskError::io(&path, "opening the record"))?,
        };
        let mut text = Vec::new();
        file.take(RECORD_LIMIT)
            .read_to_end(&mut text)
            .map_err(DiskError::io(&path, "reading the record"))?;
        let record: Self = serde_json::from_slice(&text).map_err(|error| invalid(&path, error))?;
        record.validate(disk).map_err(|why| invalid(&path, why))?;
        Ok(Some(record))
    }

    fn validate(&self, disk: &Path) -> std::result::Result<(), &'static str> {
        let plain = |path: &Path| {
            path.is_absolute() && path.components().all(|part| part != Component::ParentDir)
        };
        if self.schema != SCHEMA {
            return Err("another version of refit wrote it");
        }
        if self.disks.len() > DISKS_LIMIT || !self.disks.iter().all(|disk| plain(&disk.path)) {
            return Err("its list of disks is not valid");
        }
        match self.disks.get(self.index) {
            None => Err("its list of disks is not valid"),
            Some(own) if own.path != disk => {
                Err("it belongs to another disk; was the image renamed?")
            }
            Some(_) if self.index != 0 && self.phase != Phase::Prepared => {
                Err("only a first disk can have this phase")
            }
            Some(_) => Ok(()),
        }
    }

    /// Replaces the record in `state`, durably: after a crash it is the old or the new one.
    pub(super) fn write(&self, state: &StateDir) -> Result<()> {
        let (path, new) = (state.record(), state.record().with_extension("new"));
        let writing = || DiskError::io(&path, "writing the record");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(writing()(error)),
            _ => {}
        }
        let text =
            serde_json::to_vec_pretty(self).map_err(|error| writing()(io::Error::other(error)))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(writing())?;
        file.write_all(&text).map_err(writing())?;
        file.sync_all().map_err(writing())?;
        fs::rename(&new, &path).map_err(writing())?;
        state.sync()
    }

    /// The record of the first disk of this run, which says how far all are.
    ///
    /// # Errors
    ///
    /// [`DiskError::State`] if it is missing: it is written first and removed last, so somebody moved it.
    pub(super) fn first(&self, options: &Options) -> Result<Self> {
        if self.index == 0 {
            return Ok(self.clone());
        }
        let Some((_, record)) = self.member(0, options)? else {
            let first = &self.disks[0].path;
            return Err(DiskError::State {
                path: self.disks[self.index].path.clone(),
                detail: format!(
                    "an earlier run was interrupted, and the record of its first disk {} is missing, so it is \
                     not known whether these disks were written to; if that disk or its directory .refit-* was \
                     moved, bring it back, else compare the disks with a backup and remove their .refit-* directories",
                    first.display()
                ),
            });
        };
        Ok(record)
    }

    /// The state directory and record of disk `index` of this run, if they exist.
    pub(super) fn member(
        &self,
        index: usize,
        options: &Options,
    ) -> Result<Option<(StateDir, Self)>> {
        let disk = &self.disks[index].path;
        for state in StateDir::existing(disk, options)? {
            if let Some(record) = Self::read(&state, disk)?
                && record.run == self.run
                && record.index == index
                && record.disks == self.disks
            {
                return Ok(Some((state, record)));
            }
        }
        Ok(None)
    }
}

fn invalid(path: &Path, why: impl std::fmt::Display) -> DiskError {
    DiskError::State {
        path: path.into(),
        detail: format!(
            "this is not a usable commit record: {why}; if no run of refit on this disk was interrupted, \
             remove the file"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(path: &Path) -> RecordedDisk {
        RecordedDisk {
            path: path.into(),
            format: Format::Raw,
            virtual_size: 512,
        }
    }

    #[test]
    fn survives_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let state = StateDir::create(&disk, &Options::default()).unwrap();
        assert_eq!(Record::read(&state, &disk).unwrap(), None);
        let mut record = Record::new("run".into(), 0, vec![recorded(&disk)]);
        record.write(&state).unwrap();
        record.phase = Phase::Committing;
        record.write(&state).unwrap();
        assert_eq!(Record::read(&state, &disk).unwrap(), Some(record));
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let state = StateDir::create(&disk, &Options::default()).unwrap();
        let good =
            serde_json::to_value(Record::new("run".into(), 0, vec![recorded(&disk)])).unwrap();
        let with = |key: &str, value: serde_json::Value| {
            let mut record = good.clone();
            record[key] = value;
            record.to_string()
        };
        let other =
            |path: &str| serde_json::json!([{"path": path, "format": "raw", "virtual_size": 1}]);
        let cases = [
            String::new(),
            "{}".into(),
            "[".repeat(10_000),
            with("schema", "refit/commit-record/v2".into()),
            with("index", 1.into()),
            with("index", (-1).into()),
            with("phase", "done".into()),
            with("extra", 1.into()),
            with("disks", serde_json::json!([])),
            with("disks", other("/etc/shadow")),
            with("disks", other("relative")),
            with(
                "disks",
                other(&format!("{}/../{}", dir.path().display(), "x/disk")),
            ),
        ];
        for text in cases {
            fs::write(state.record(), &text).unwrap();
            let result = Record::read(&state, &disk);
            assert!(
                matches!(result, Err(DiskError::State { .. })),
                "{text}: {result:?}"
            );
        }
    }
}
