//! The CPU level that is measured: the one that the module would take, or what `BENCH_LEVEL` names.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

use packet_crypto::Kernels;

/// The level of all that is ours here. Ends the program when the one that is asked for is none of this CPU's.
pub fn level() -> &'static Kernels {
    static LEVEL: OnceLock<&'static Kernels> = OnceLock::new();
    LEVEL.get_or_init(|| match forced() {
        None => packet_crypto::kernels(),
        Some(name) => Kernels::by_name(&name).unwrap_or_else(|| {
            eprintln!("BENCH_LEVEL={name}: this CPU has");
            Kernels::usable().for_each(|level| eprintln!("  {}", level.name()));
            std::process::exit(2);
        }),
    })
}

/// The name of the level that is asked for.
pub fn forced() -> Option<String> {
    std::env::var("BENCH_LEVEL")
        .ok()
        .filter(|name| !name.is_empty())
}

/// Begins the program anew with an OpenSSL that has no more of the CPU's extensions than a level that was asked for: what
/// such a CPU's libsrtp would take is what the level is compared with.
pub fn limit_openssl() {
    const VARIABLE: &str = "OPENSSL_ia32cap";
    let Some(name) = forced() else { return };
    if std::env::var_os(VARIABLE).is_some() || name.contains("SHA-NI") || level().name() != name {
        return;
    }
    // Without SHA (CPUID 7, EBX bit 29); without AVX (CPUID 1, ECX bit 28) and AVX2 (7, EBX bit 5).
    let without = match name.contains("AVX2") {
        true => ":~0x20000000",
        false => "~0x1000000000000000:~0x20000020",
    };
    let program = std::env::current_exe().expect("the program's path");
    let mut again = Command::new(program);
    let why = again
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, without)
        .exec();
    panic!("cannot begin anew: {why}");
}
