//! The same tests with something between them and the module: AddressSanitizer (`make asan`), valgrind (`make valgrind`).
//!
//! Nothing here knows which. The environment says what stands in for the module, and what runs Asterisk.

use std::env;
use std::path::PathBuf;

use crate::host;
use crate::lab::repository;

/// A file of the repository that is used instead of both builds of the module.
const MODULE: &str = "CIPHERTRUNK_TEST_MODULE";
/// Words in front of the command of an Asterisk with our module: `env LD_PRELOAD=...`, `valgrind ...`.
const WRAPPER: &str = "CIPHERTRUNK_TEST_WRAPPER";
/// A folder of the repository whose `usr` is laid over a lab's.
const FOLDER: &str = "CIPHERTRUNK_TEST_TOOLS";

/// How many times as long a wait may take.
const SLOWNESS: &str = "CIPHERTRUNK_TEST_SLOWNESS";

/// A variable that is there and not empty.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// By how much the limits of waits are longer.
pub(crate) fn slowness() -> u32 {
    let times = set(SLOWNESS).and_then(|times| times.parse().ok());
    times.unwrap_or(1)
}

/// The file to use for a build of the module.
pub(crate) fn module(file: &str) -> PathBuf {
    // Those that a test made itself are what it is about.
    let is_a_build = [crate::setup::MODULE, crate::setup::TEST_MODULE].contains(&file);
    let other = set(MODULE).filter(|_| is_a_build);
    other.map_or_else(|| host::built(file), |other| repository().join(other))
}

/// The words that go before `asterisk`.
pub(crate) fn wrapper() -> Vec<String> {
    let words = set(WRAPPER).unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// The folder whose files are to be seen in the root.
pub(crate) fn folder() -> Option<PathBuf> {
    set(FOLDER).map(|folder| repository().join(folder))
}
