//! The description.

use refit_engine::Fixup as _;

use super::NicNames;

#[test]
fn the_description_is_valid() {
    assert_eq!(NicNames.info().id, "nic-names");
}
