//! Prints the table of codes for docs/check.md.

fn main() {
    print!("{}", ciphertrunk_check::Code::table());
}
