//! The offer and answer of SDES under random sequences of descriptions: what must hold is in `common/negotiation.rs`.

#[path = "common/negotiation.rs"]
mod negotiation;

use quickcheck::{QuickCheck, TestResult};

#[test]
fn every_sequence_of_descriptions_keeps_the_invariants() {
    fn holds(script: Vec<u8>) -> TestResult {
        negotiation::run(&script);
        TestResult::passed()
    }
    QuickCheck::new()
        .tests(3_000)
        .quickcheck(holds as fn(Vec<u8>) -> TestResult);
}

/// The scripts that the fuzz target begins with.
#[test]
fn the_seeds_of_the_fuzz_target_keep_the_invariants() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/corpus/sdes_negotiation"
    );
    let seeds = std::fs::read_dir(folder).expect("the corpus");
    let scripts: Vec<_> = seeds
        .map(|seed| std::fs::read(seed.expect("a seed").path()).expect("a script"))
        .collect();
    assert!(scripts.len() >= 10);
    for script in scripts {
        negotiation::run(&script);
    }
}
