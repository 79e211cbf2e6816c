//! A library that uses all of the crate, to be unloaded by `main.rs`.
#![allow(missing_docs)]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sip_tls::verify::PeerName;
use sip_tls::*;

const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";

#[derive(Default)]
struct Loopback {
    pool: Mutex<Option<Pool<Loopback>>>,
    messages: Mutex<u32>,
}

/// Whether it is the calling end.
struct End(Conn, bool);

impl Host for Loopback {
    type Listener = ();
    type Conn = End;
    type Local = ();
    fn local(&self, _: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn accepted(&self, (): &(), conn: &Conn, _: TlsInfo) -> Option<End> {
        Some(End(conn.clone(), false))
    }
    fn refused(&self, (): &(), _: SocketAddr, _: Reason) {}
    fn connected(&self, end: &End, _: TlsInfo) {
        let _ = end.0.send(OPTIONS, 1);
    }
    fn message(&self, (): &mut (), end: &End, _: &[u8]) {
        *self.messages.lock().expect("no panic") += 1;
        end.0.close(Close::Graceful);
    }
    fn malformed(&self, _: &End, _: &sip_tls::frame::Fault<'_>) {}

    fn write_done(&self, _: &End, _: u64, _: Result<(), Reason>) {}
    fn closed(&self, end: &End, _: Reason) {
        if end.1 {
            // Dropping the pool ends the loop.
            self.pool.lock().expect("no panic").take();
        }
    }
    fn listener_event(&self, (): &(), _: ListenerEvent) {}
    fn loop_failed(&self, _: &LoopFailure) {}
}

fn path(text: *const c_char) -> PathBuf {
    // SAFETY: `main.rs` passes strings that live during the call.
    let text = unsafe { CStr::from_ptr(text) };
    PathBuf::from(OsStr::from_bytes(text.to_bytes()))
}

/// Calls itself over TLS on the calling thread. The number of messages that arrived, or less than 0.
#[unsafe(no_mangle)]
pub extern "C" fn probe(cert: *const c_char, key: *const c_char, tidy: c_int) -> c_int {
    if acquire().is_err() {
        return -1;
    }
    let config = ProfileConfig {
        cert_file: Some(path(cert)),
        priv_key_file: Some(path(key)),
        key_log: Some(Arc::new(|_, _| {})),
        ..ProfileConfig::default()
    };
    let host = Arc::new(Loopback::default());
    {
        let Ok((profile, _)) = Profile::load(&config) else {
            return -2;
        };
        let profile = Arc::new(profile);
        let Ok((pool, loops)) = Pool::new(
            Arc::clone(&host),
            PoolConfig {
                loops: 1,
                ..PoolConfig::default()
            },
        ) else {
            return -3;
        };
        let options = SocketOptions::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let Ok(listener) = pool.listen(
            ListenerConfig {
                address,
                profile: Arc::clone(&profile),
                options,
            },
            (),
        ) else {
            return -4;
        };
        let name = PeerName::parse("sip.example.com");
        let target = Target {
            remote: listener.address(),
            local: None,
            name,
            profile,
            options,
        };
        if pool
            .connect(target, |conn| End(conn.clone(), true))
            .is_err()
        {
            return -5;
        }
        *host.pool.lock().expect("no panic") = Some(pool);
        for io in loops {
            io.run();
        }
    }
    let messages = *host.messages.lock().expect("no panic");
    drop(host);
    if tidy != 0 {
        // SAFETY: Everything of the crate is dropped, and the library is not used again before it is unloaded.
        unsafe { release() };
    }
    messages.try_into().unwrap_or(-7)
}
