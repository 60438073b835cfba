//! Walks a disk image as it goes by, without holding it.
//!
//! Of a stream-optimized VMDK (VMware, Virtual Disk Format 5.0, section "Stream-Optimized Compressed Sparse
//! Extents") every marker is looked at: that each grain lies on the disk and is complete, that the tables point
//! to grains and the footer to the tables, and that the stream does not end early. Of other formats the header is
//! looked at.

use std::collections::HashSet;
use std::io;

use crate::archive::image::{self, ImageFormat, ImageHeader};

/// A sector, in which all of the format is counted.
const SECTOR: u64 = 512;
/// The grain directory is at the end; the footer tells where.
const AT_END: u64 = u64::MAX;
/// Largest grain in sectors (16 MiB); 128 is usual.
const MAX_GRAIN: u64 = 1 << 15;
/// Largest grain directory that is read, in bytes.
const MAX_DIRECTORY: u64 = 64 << 20;

const MARKER_END: u32 = 0;
const MARKER_TABLE: u32 = 1;
const MARKER_DIRECTORY: u32 = 2;
const MARKER_FOOTER: u32 = 3;

/// Where in the image the walk is.
#[derive(Debug, Default)]
enum State {
    /// Collecting the first sector.
    #[default]
    Start,
    /// Passing over data up to this position.
    Skip(u64),
    /// Collecting a sector with a marker.
    Marker,
    /// Collecting the grain directory up to this position.
    Directory(u64),
    /// Collecting the sector of the footer.
    Footer,
    /// All that follows is not looked at.
    Done,
}

/// Takes an image piece by piece.
#[derive(Debug, Default)]
pub(super) struct Walker {
    state: State,
    /// Bytes that went by.
    position: u64,
    /// The bytes that are collected.
    held: Vec<u8>,
    header: Option<ImageHeader>,
    extent: Option<Extent>,
    grains: u64,
    /// Sectors at which grain tables start.
    tables: HashSet<u32>,
    /// Sector at which the grain directory starts.
    directory: Option<u64>,
    has_footer: bool,
    error: Option<String>,
}

/// The fields of a sparse extent's header that the walk needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// Sectors of the disk.
    capacity: u64,
    /// Sectors of a grain.
    grain: u64,
    /// Entries of a grain table.
    entries: u64,
    directory: u64,
    /// Sectors before the first grain.
    overhead: u64,
}

impl Extent {
    fn parse(sector: &[u8]) -> Option<Self> {
        let number = |at: usize| -> Option<u64> {
            Some(u64::from_le_bytes(sector.get(at..at + 8)?.try_into().ok()?))
        };
        let entries = sector.get(44..48)?.try_into().ok()?;
        sector.starts_with(b"KDMV").then_some(Self {
            capacity: number(12)?,
            grain: number(20)?,
            entries: u32::from_le_bytes(entries).into(),
            directory: number(56)?,
            overhead: number(64)?,
        })
    }

    fn is_sound(&self) -> bool {
        self.capacity > 0
            && self.grain.is_power_of_two()
            && self.grain <= MAX_GRAIN
            && self.entries > 0
            && self.entries <= 1 << 16
            && self.overhead < 1 << 40
    }
}

impl Walker {
    /// What the header says, once it went by.
    pub(super) fn header(&self) -> ImageHeader {
        self.header
            .unwrap_or_else(|| image::of_bytes(&self.held, self.position))
    }

    /// Grains so far; none if the format is not walked.
    pub(super) fn grains(&self) -> Option<u64> {
        let walked = self.header().format == ImageFormat::VmdkStreamOptimized;
        walked.then_some(self.grains)
    }

    /// What is wrong with the image, after its end.
    pub(super) fn error(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        if self.position == 0 {
            return Some("it is empty".to_owned());
        }
        let at_end = self.extent.is_some_and(|extent| extent.directory == AT_END);
        let cut = match (self.header().format, &self.state) {
            (ImageFormat::VmdkStreamOptimized, State::Done) => at_end && !self.has_footer,
            (ImageFormat::VmdkStreamOptimized, State::Skip(until)) => {
                self.position < *until || at_end
            }
            // A writer that puts the directory in front may end after any grain.
            (ImageFormat::VmdkStreamOptimized, State::Marker) => at_end || !self.held.is_empty(),
            (ImageFormat::VmdkStreamOptimized, _) => true,
            (ImageFormat::VmdkSparse, _) => self.position < 512,
            _ => false,
        };
        cut.then(|| {
            format!(
                "it is cut off: its {} bytes end before the disk does (no end marker and footer); fetch it \
                 again",
                self.position
            )
        })
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let wanted = match self.state {
                State::Done => data.len() as u64,
                State::Skip(until) => until - self.position,
                State::Directory(until) => until - self.position,
                State::Start | State::Marker | State::Footer => SECTOR - self.held.len() as u64,
            };
            let count = usize::try_from(wanted)
                .unwrap_or(usize::MAX)
                .min(data.len());
            let (now, rest) = data.split_at(count);
            if !matches!(self.state, State::Done | State::Skip(_)) {
                self.held.extend_from_slice(now);
            }
            self.position += count as u64;
            data = rest;
            self.step();
        }
    }

    /// Goes on if enough is there.
    fn step(&mut self) {
        let sector_is_full = self.held.len() as u64 == SECTOR;
        match self.state {
            State::Start if sector_is_full => {
                let sector = std::mem::take(&mut self.held);
                self.start(&sector);
            }
            State::Marker if sector_is_full => {
                let sector = std::mem::take(&mut self.held);
                self.marker(&sector);
            }
            State::Footer if sector_is_full => {
                let sector = std::mem::take(&mut self.held);
                self.footer(&sector);
            }
            State::Skip(until) if self.position == until => self.state = State::Marker,
            State::Directory(until) if self.position == until => {
                let directory = std::mem::take(&mut self.held);
                self.directory(&directory);
            }
            _ => {}
        }
    }

    fn fail(&mut self, what: &str) {
        self.error = Some(format!(
            "it is damaged before byte {}: {what}",
            self.position
        ));
        self.state = State::Done;
    }

    fn start(&mut self, sector: &[u8]) {
        let header = image::of_bytes(sector, self.position);
        // The size of a raw image is known at its end.
        if header.format != ImageFormat::Raw {
            self.header = Some(header);
        }
        self.state = State::Done;
        if header.format != ImageFormat::VmdkStreamOptimized {
            return;
        }
        let Some(extent) = Extent::parse(sector).filter(Extent::is_sound) else {
            self.fail("its header gives impossible sizes");
            return;
        };
        self.extent = Some(extent);
        self.skip_to(extent.overhead.max(1) * SECTOR);
    }

    fn skip_to(&mut self, position: u64) {
        self.state = if position > self.position {
            State::Skip(position)
        } else {
            State::Marker
        };
    }

    fn marker(&mut self, sector: &[u8]) {
        let Some(extent) = self.extent else { return };
        let number = |at: usize| -> u32 {
            let bytes = sector
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        let value = u64::from(number(0)) | (u64::from(number(4)) << 32);
        let (size, kind) = (u64::from(number(8)), number(12));
        if size > 0 {
            // Deflate never grows data by more than some bytes in each of its blocks.
            let most = extent.grain * SECTOR + extent.grain * 2 + 1024;
            let zlib = sector.get(12..14).and_then(|bytes| bytes.try_into().ok());
            let zlib = u16::from_be_bytes(zlib.unwrap_or_default());
            if value >= extent.capacity || !value.is_multiple_of(extent.grain) {
                self.fail(&format!(
                    "a grain is for sector {value}, which is none of the disk"
                ));
            } else if size > most {
                self.fail(&format!("a grain of {size} bytes"));
            } else if (zlib >> 8) & 0xf != 8 || !zlib.is_multiple_of(31) {
                self.fail("a grain is no compressed data");
            } else {
                self.grains += 1;
                let rest = (12 + size).next_multiple_of(SECTOR) - SECTOR;
                self.skip_to(self.position + rest);
            }
            return;
        }
        match kind {
            MARKER_END => self.state = State::Done,
            MARKER_TABLE if value * SECTOR >= extent.entries * 4 && value <= 1 << 10 => {
                let sector = u32::try_from(self.position / SECTOR).unwrap_or(u32::MAX);
                self.tables.insert(sector);
                self.skip_to(self.position + value * SECTOR);
            }
            MARKER_DIRECTORY if value > 0 && value <= MAX_DIRECTORY / SECTOR => {
                self.directory = Some(self.position / SECTOR);
                self.state = State::Directory(self.position + value * SECTOR);
            }
            MARKER_FOOTER => self.state = State::Footer,
            _ => self.fail(&format!("a marker of kind {kind} and {value} sectors")),
        }
    }

    fn directory(&mut self, directory: &[u8]) {
        self.state = State::Marker;
        for entry in directory.chunks_exact(4) {
            let entry = entry.try_into().map_or(0, u32::from_le_bytes);
            // 0: nothing there; 1: all zeros.
            if entry > 1 && !self.tables.contains(&entry) {
                self.fail(&format!(
                    "its directory names a table at sector {entry}, where none is"
                ));
                return;
            }
        }
    }

    fn footer(&mut self, sector: &[u8]) {
        self.state = State::Marker;
        let footer = Extent::parse(sector);
        let (Some(footer), Some(header)) = (footer, self.extent) else {
            self.fail("its footer is none");
            return;
        };
        if footer.capacity != header.capacity || footer.grain != header.grain {
            self.fail("its footer gives other sizes than its header");
        } else if Some(footer.directory) != self.directory {
            self.fail("its footer names no directory");
        } else {
            self.has_footer = true;
        }
    }
}

impl io::Write for Walker {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.take(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
