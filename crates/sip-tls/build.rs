//! Which functions OpenSSL has.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(ossl300)");
    println!("cargo::rerun-if-changed=build.rs");
    // openssl-sys says which one it found: `OPENSSL_VERSION_NUMBER` in hexadecimal digits.
    let version = env::var("DEP_OPENSSL_VERSION_NUMBER").expect("openssl-sys says it");
    let version = u64::from_str_radix(&version, 16).expect("a number");
    if version >= 0x3000_0000 {
        println!("cargo::rustc-cfg=ossl300");
    }
}
