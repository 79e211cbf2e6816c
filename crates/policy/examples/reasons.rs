//! Prints `docs/reasons.md`.

fn main() {
    print!("{}", policy::reasons::document());
}
