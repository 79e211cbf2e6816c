fn main() {
    println!("cargo:rerun-if-changed=src/ipsec_mb.c");
    cc::Build::new()
        .file("src/ipsec_mb.c")
        .opt_level(2)
        .compile("bench_ipsec_mb");
    println!("cargo:rustc-link-lib=static=IPSec_MB");
}
