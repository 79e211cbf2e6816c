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
