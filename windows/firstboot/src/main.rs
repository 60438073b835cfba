//! The first-boot service of Windows guests.
#![cfg_attr(not(windows), allow(dead_code))]
mod mac;
mod task;
mod vars;
fn main(){}
