//! Where an appliance's files are: an OVA archive or a directory.

pub mod name;
