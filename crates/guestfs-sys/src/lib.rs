//! Raw bindings to [libguestfs](https://libguestfs.org/guestfs.3.html) 1.48,
//! the oldest version that refit supports.
//!
//! The bindings are generated from `guestfs.h` and committed, because bindgen
//! needs libclang and a fresh machine has none. `allowlist.txt` names what is
//! bound: exactly what the safe crate `refit-guestfs` uses. After a change to
//! it, run `cargo xtask bindings`; `cargo xtask bindings --check` says whether
//! the committed file is what the header gives.
//!
//! Optional arguments are passed in the `guestfs_*_argv` structures. A field
//! counts when its bit is set in `bitmask`; the bit of `GUESTFS_F_ARG` is
//! `1 << GUESTFS_F_ARG` (the header's `*_BITMASK` macros are casts, which
//! bindgen cannot evaluate).

#[allow(missing_docs, non_camel_case_types)]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
mod bindings_1_48;

pub use bindings_1_48::*;
