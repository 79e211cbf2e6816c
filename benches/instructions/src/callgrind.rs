//! Runs this program under callgrind and reads what it counted.

use std::ffi::CString;
use std::path::Path;
use std::process::Command;

use crate::counted::{Counts, PACKETS};

/// Valgrind's client requests of callgrind (`callgrind.h`): "CT" in the upper half.
const ZERO_STATS: usize = 0x4354_0001;
const DUMP_STATS_AT: usize = 0x4354_0003;

/// Outside of valgrind the instructions do nothing.
#[cfg(target_arch = "x86_64")]
fn request(code: usize, argument: usize) {
    let arguments = [code, argument, 0, 0, 0, 0];
    // SAFETY: four rotations that add up to whole turns, and an exchange of a register with itself. Valgrind reads the
    // six words and, for a dump, the text that the first of them points to; it writes `rdx` alone.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            inout("rdx") 0usize => _, in("rax") arguments.as_ptr(), inout("rdi") 0usize => _,
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_code: usize, _argument: usize) {}

/// What was counted so far is forgotten.
pub fn count_from_here() {
    request(ZERO_STATS, 0);
}

/// Writes what was counted, under this name.
pub fn counted(name: &str) {
    let name = CString::new(name).expect("a name without a zero octet");
    request(DUMP_STATS_AT, name.as_ptr().addr());
}

/// The counts per packet.
pub fn count() -> Result<Counts, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let dir = program.with_file_name("callgrind");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--error-exitcode=1"])
        .arg(format!("--callgrind-out-file={}/out", dir.display()))
        .arg(&program)
        .arg("count")
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("valgrind failed ({}):\n{said}", output.status));
    }
    let mut counts = Counts::new();
    for entry in std::fs::read_dir(&dir).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if let Some((name, total)) = dump(&path)? {
            counts.insert(name, total / PACKETS as u64);
        }
    }
    if counts.is_empty() {
        return Err(format!("callgrind wrote no dump into {}", dir.display()));
    }
    Ok(counts)
}

/// The name and the instructions of a dump; none for the one at the program's end, which nobody asked for.
fn dump(path: &Path) -> Result<Option<(String, u64)>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let line = |start: &str| text.lines().find_map(|l| l.strip_prefix(start));
    let Some(name) = line("desc: Trigger: Client Request: ") else {
        return Ok(None);
    };
    let total = line("totals: ").or(line("summary: "));
    let total = total.and_then(|t| t.trim().parse().ok());
    let total = total.ok_or_else(|| format!("{}: no total", path.display()))?;
    Ok(Some((name.to_owned(), total)))
}
