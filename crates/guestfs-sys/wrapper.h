/* What `cargo xtask bindings` reads. */
#include <guestfs.h>
