//! The CPU level that is measured: the one that the module would take, or what `BENCH_LEVEL` names.

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
