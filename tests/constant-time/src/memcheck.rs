//! The same work under valgrind's memcheck: secrets are declared undefined, and it reports each branch and each address that
//! depends on undefined data. It finds what secrets may do and not only what a few did, and it emulates neither SHA-NI nor
//! wide VAES nor AVX-512. What a tag decides when a packet is opened it cannot tell from a leak: no packet is opened here.

use std::fmt::Display;
use std::process::Command;

use packet_crypto::Kernels;

use crate::planted::LEAKS;
use crate::sessions::sessions;
use crate::work::{self, Room, Tag, Watch};

/// What memcheck says of a branch and of an address that depend on undefined data.
pub const REPORT: &str = "uninitialised value";

/// The argument with which the program does its work for memcheck; behind it, whether it is to leak.
pub const ARGUMENT: &str = "memcheck";

/// memcheck's client request (`memcheck.h`: "MC" in the upper half) that declares memory undefined.
const MAKE_MEM_UNDEFINED: u64 = 0x4d43_0001;

/// Outside of valgrind the instructions do nothing.
fn make_undefined(octets: &mut [u8]) {
    let arguments = [
        MAKE_MEM_UNDEFINED,
        octets.as_mut_ptr().addr() as u64,
        octets.len() as u64,
        0,
        0,
        0,
    ];
    // SAFETY: four rotations that add up to whole turns, and an exchange of a register with itself. Valgrind reads the six
    // words and writes `rdx`; the octets stay as they are.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            inout("rdx") 0u64 => _, in("rax") arguments.as_ptr(), inout("rdi") 0u64 => _,
        );
    }
}

struct Memcheck;

impl Watch for Memcheck {
    fn secret(&mut self, octets: &mut [u8]) {
        octets.fill(7);
        make_undefined(octets);
    }

    fn watch(&mut self, _: &dyn Display, work: &mut dyn FnMut()) {
        work();
    }

    fn open(&mut self, _: Tag, _: &dyn Display, _: &mut dyn FnMut()) {}
}

/// What runs under valgrind: prints the levels that are usable there.
pub fn run(leak: Option<&str>) {
    if let Some(leak) = LEAKS.iter().find(|l| Some(l.name) == leak) {
        return leak.run(&mut Memcheck);
    }
    let mut room = Room::new();
    for k in Kernels::usable() {
        work::kernels(k, &mut room, &mut Memcheck);
        sessions(k, &mut Memcheck);
        println!("{}", k.name());
    }
}

/// Runs this program under valgrind: the names of the levels it looked at, or what it reported.
pub fn look(leak: Option<&str>) -> Result<Vec<String>, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new("valgrind")
        .args(["-q", "--error-exitcode=1"])
        .arg(program)
        .arg(ARGUMENT)
        .args(leak)
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.lines().map(str::to_owned).collect())
}
