//! A library with this crate in it can be unloaded: nothing keeps it in memory, and OpenSSL, which stays, does not call into it any more. Without
//! [`sip_tls::release`] it does, and the process dies at the next SSL object that anybody frees.

#[path = "../common/certs.rs"]
#[allow(dead_code)] // The other tests use the rest.
mod certs;

use std::ffi::{CString, c_char, c_int};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use certs::{Cert, Dir, Spec};
use openssl::ssl::{Ssl, SslContext, SslMethod};

const LIBRARY: &str = "libunload_probe.so";

fn library() -> PathBuf {
    // target/PROFILE/deps/unload-HASH
    let me = std::env::current_exe().unwrap();
    let profile = me.parent().and_then(Path::parent).unwrap();
    // With "cargo test --test unload" cargo does not make the examples.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-q", "-p", "sip-tls", "--example", "unload_probe"]);
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    assert!(
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap()
            .success()
    );
    profile.join("examples").join(LIBRARY)
}

fn is_mapped() -> bool {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .contains(LIBRARY)
}

/// What somebody else in the process does with OpenSSL.
fn use_openssl() {
    let context = SslContext::builder(SslMethod::tls()).unwrap().build();
    drop(Ssl::new(&context).unwrap());
}

fn child(library: &str, cert: &str, key: &str, tidy: bool) {
    use_openssl();
    let text = |text: &str| CString::new(text).unwrap();
    let (library, cert, key) = (text(library), text(cert), text(key));
    for _ in 0..2 {
        // SAFETY: The path is a string; the library's only initialisers are those of Rust's standard library.
        let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null() && is_mapped());
        // SAFETY: The handle is from dlopen.
        let symbol = unsafe { libc::dlsym(handle, c"probe".as_ptr()) };
        assert!(!symbol.is_null());
        let probe: extern "C" fn(*const c_char, *const c_char, c_int) -> c_int =
            // SAFETY: `probe` in probe.rs has this type.
            unsafe { std::mem::transmute(symbol) };
        // On a thread that ends before, and on this one, which does not.
        let arguments = (cert.clone(), key.clone());
        let count =
            std::thread::spawn(move || probe(arguments.0.as_ptr(), arguments.1.as_ptr(), 0))
                .join()
                .unwrap();
        assert_eq!(count, 1);
        assert_eq!(probe(cert.as_ptr(), key.as_ptr(), tidy.into()), 1);
        // SAFETY: The handle is from dlopen, and nothing of the library is in use.
        assert_eq!(unsafe { libc::dlclose(handle) }, 0);
        assert!(!is_mapped(), "something keeps the library");
        use_openssl();
    }
}

fn run(tidy: &str) -> ExitStatus {
    let dir = Dir::new();
    let (cert, key) = Cert::make(&Spec::default(), None).write(&dir, "own");
    let me = std::env::current_exe().unwrap();
    Command::new(me)
        .arg(library())
        .arg(cert)
        .arg(key)
        .arg(tidy)
        .status()
        .unwrap()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // The harness's own arguments begin with a dash or are filters; four paths are ours.
    if let [_, library, cert, key, tidy] = &args[..] {
        return child(library, cert, key, tidy == "tidy");
    }
    assert!(run("tidy").success(), "unloading after release");
    let untidy = run("untidy");
    assert_eq!(
        untidy.signal(),
        Some(libc::SIGSEGV),
        "without release it should crash, or release is not needed"
    );
    println!("unload: ok");
}
