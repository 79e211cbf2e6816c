//! How many legs ended with which word, for the metrics. Counted only while somebody reads them: it costs a look at the leg.

use std::collections::BTreeMap;

use policy::facts::Facts;

use crate::ffi::sync::Mutex;

/// Where the word is not known: no media, no message yet.
const UNKNOWN: &str = "unknown";

static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// A leg has ended.
pub fn count(facts: &Facts) {
    let word = facts.word().map_or(UNKNOWN, |word| word.as_str());
    *COUNTS.lock().entry(word).or_default() += 1;
}

/// Legs by word: all words that there are.
pub fn counts() -> BTreeMap<&'static str, u64> {
    let mut counts = COUNTS.lock().clone();
    for word in policy::facts::Word::ALL {
        counts.entry(word.as_str()).or_default();
    }
    counts.entry(UNKNOWN).or_default();
    counts
}
