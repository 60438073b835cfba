//! The pass over the data: one thread reads ahead, this one digests and walks.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::write::MultiGzDecoder;
use openssl::hash::Hasher;
use rustix::fs::{Advice, fadvise};

use super::vmdk::Walker;
use super::{Algorithm, DiskReport, certificate::hex_of};
use crate::archive::image::ImageFormat;
use crate::archive::{ArchiveError, Member};
use crate::descriptor::{Capacity, Disk};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;
/// Buffers that are read ahead.
const AHEAD: usize = 8;

/// A member to read.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) member: Member,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) disk: Option<Piece>,
}

/// What a member is a piece of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Number of the file in the descriptor.
    pub(super) file: usize,
    /// Number of the piece, from 0.
    pub(super) part: usize,
    /// Whether the file is compressed.
    pub(super) gzip: bool,
}

/// What came of a member.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) digests: Vec<(Algorithm, String)>,
    /// The disk that ends with this member.
    pub(super) image: Option<Image>,
}

/// A disk image that went by.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) file: usize,
    walker: Walker,
    error: Option<String>,
}

/// Reads all members in the order in which they lie in their files. The outcomes are in the order of `jobs`.
pub(super) fn run(
    jobs: &[Job],
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Outcome>, ArchiveError> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    let in_pieces = jobs
        .iter()
        .any(|job| job.disk.is_some_and(|piece| piece.part > 0));
    order.sort_by_key(|&index| {
        // As it lies; but the pieces of one disk come in their own order.
        let job = jobs.get(index);
        let piece = job.and_then(|job| job.disk).filter(|_| in_pieces);
        let place = job.map_or(0, |job| job.member.offset);
        (piece.map(|piece| (piece.file, piece.part)), place, index)
    });
    let total = jobs.iter().map(|job| job.member.size).sum();
    let mut outcomes: Vec<Outcome> = jobs.iter().map(|_| Outcome::default()).collect();
    thread::scope(|scope| {
        let (full, filled) = sync_channel::<Result<(usize, Vec<u8>), ArchiveError>>(AHEAD);
        let (empty, emptied) = sync_channel::<Vec<u8>>(AHEAD + 2);
        for _ in 0..AHEAD {
            // There is room for all of them.
            let _ = empty.send(vec![0; BUFFER]);
        }
        let order = &order;
        scope.spawn(move || read(jobs, order, &full, &emptied));
        let mut state = State::default();
        let mut done = 0;
        let mut last = None;
        for message in filled {
            let (index, buffer) = message?;
            let Some(job) = jobs.get(index) else { continue };
            if last != Some(index) {
                state.end(last, &mut outcomes)?;
                if !state.goes_on(job) {
                    state.end_image(last, &mut outcomes);
                }
                state.begin(job)?;
                last = Some(index);
            }
            state.take(&buffer)?;
            done += buffer.len() as u64;
            // The reader may have ended already.
            let _ = empty.send(buffer);
            if !progress(done, total) {
                return Err(ArchiveError::Interrupted);
            }
        }
        state.end(last, &mut outcomes)?;
        state.end_image(last, &mut outcomes);
        Ok(())
    })?;
    Ok(outcomes)
}

fn read(
    jobs: &[Job],
    order: &[usize],
    full: &SyncSender<Result<(usize, Vec<u8>), ArchiveError>>,
    emptied: &Receiver<Vec<u8>>,
) {
    for &index in order {
        let Some(job) = jobs.get(index) else { continue };
        let member = &job.member;
        let result = File::open(&member.path).and_then(|file| {
            // Only advice: without it, it is slower.
            let _ = fadvise(
                &file,
                member.offset,
                std::num::NonZeroU64::new(member.size),
                Advice::Sequential,
            );
            let mut at = 0;
            // A member without data has digests, too.
            loop {
                let Ok(mut buffer) = emptied.recv() else {
                    return Ok(false);
                };
                let wanted = usize::try_from(member.size - at)
                    .unwrap_or(BUFFER)
                    .min(BUFFER);
                buffer.resize(wanted, 0);
                file.read_exact_at(&mut buffer, member.offset + at)?;
                at += wanted as u64;
                // Nobody listens after an error.
                if full.send(Ok((index, buffer))).is_err() {
                    return Ok(false);
                }
                if at == member.size {
                    return Ok(true);
                }
            }
        });
        match result {
            Ok(true) => {}
            Ok(false) => return,
            Err(source) => {
                let _ = full.send(Err(ArchiveError::Io {
                    path: member.path.clone(),
                    source,
                }));
                return;
            }
        }
    }
}

/// The member that goes by.
#[derive(Default)]
struct State {
    hashers: Vec<(Algorithm, Hasher)>,
    image: Option<Sink>,
}

struct Sink {
    file: usize,
    stream: Stream,
    error: Option<String>,
}

enum Stream {
    Plain(Box<Walker>),
    Gzip(Box<MultiGzDecoder<Walker>>),
}

impl State {
    fn begin(&mut self, job: &Job) -> Result<(), ArchiveError> {
        for &algorithm in &job.algorithms {
            let hasher = Hasher::new(algorithm.digest()).map_err(openssl_error)?;
            self.hashers.push((algorithm, hasher));
        }
        if let (Some(piece), None) = (job.disk, &self.image) {
            self.image = Some(Sink {
                file: piece.file,
                stream: if piece.gzip {
                    Stream::Gzip(Box::new(MultiGzDecoder::new(Walker::default())))
                } else {
                    Stream::Plain(Box::default())
                },
                error: None,
            });
        }
        Ok(())
    }

    fn take(&mut self, data: &[u8]) -> Result<(), ArchiveError> {
        for (_, hasher) in &mut self.hashers {
            hasher.update(data).map_err(openssl_error)?;
        }
        let Some(sink) = &mut self.image else {
            return Ok(());
        };
        match &mut sink.stream {
            Stream::Plain(walker) => walker.take(data),
            Stream::Gzip(_) if sink.error.is_some() => {}
            Stream::Gzip(decoder) => {
                if let Err(error) = decoder.write_all(data) {
                    sink.error = Some(format!("it is not sound gzip data: {error}"));
                }
            }
        }
        Ok(())
    }

    /// Whether the member is another piece of the disk that goes by.
    fn goes_on(&self, job: &Job) -> bool {
        let file = self.image.as_ref().map(|sink| sink.file);
        file.is_some() && file == job.disk.map(|piece| piece.file)
    }

    /// The end of a member.
    fn end(&mut self, index: Option<usize>, outcomes: &mut [Outcome]) -> Result<(), ArchiveError> {
        let Some(outcome) = index.and_then(|index| outcomes.get_mut(index)) else {
            return Ok(());
        };
        for (algorithm, mut hasher) in self.hashers.drain(..) {
            let digest = hasher.finish().map_err(openssl_error)?;
            outcome.digests.push((algorithm, hex_of(&digest)));
        }
        Ok(())
    }

    /// The end of a disk.
    fn end_image(&mut self, index: Option<usize>, outcomes: &mut [Outcome]) {
        let Some(outcome) = index.and_then(|index| outcomes.get_mut(index)) else {
            return;
        };
        outcome.image = self.image.take().map(Sink::finish);
    }
}

impl Sink {
    fn finish(self) -> Image {
        let (walker, error) = match self.stream {
            Stream::Plain(walker) => (*walker, None),
            Stream::Gzip(mut decoder) => {
                let cut = decoder.try_finish().err();
                let cut = cut.map(|error| format!("it is not sound gzip data: {error}"));
                (std::mem::take(decoder.get_mut()), self.error.or(cut))
            }
        };
        Image {
            file: self.file,
            error: error.or_else(|| walker.error()),
            walker,
        }
    }
}

impl Image {
    pub(super) fn report(&self, disk: &Disk, href: &str) -> DiskReport {
        let header = self.walker.header();
        DiskReport {
            id: disk.id.clone(),
            file: href.to_owned(),
            format: header.format,
            virtual_size: header.virtual_size,
            capacity: capacity(disk),
            grains: self.walker.grains(),
            error: self.error.clone(),
        }
    }

    /// What to say if the descriptor gives less room than the image has.
    pub(super) fn shrinks(&self, disk: &Disk) -> Option<String> {
        let (own, declared) = (self.walker.header().virtual_size?, capacity(disk)?);
        let is_raw = self.walker.header().format == ImageFormat::Raw;
        (own > declared && !is_raw).then(|| {
            format!("the image has {own} bytes, but the descriptor gives a capacity of {declared}; the image counts")
        })
    }
}

fn capacity(disk: &Disk) -> Option<u64> {
    match disk.capacity {
        Capacity::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn openssl_error(error: openssl::error::ErrorStack) -> ArchiveError {
    ArchiveError::Digest(error.to_string())
}
