//! The I/O threads.

use std::sync::Arc;

use sip_tls::{Pool, PoolConfig};

use crate::config;
use crate::ffi::pjsip::thread;
use crate::ffi::thread::Thread;

use super::events::Sip;
use super::limits;

/// The pool and its threads.
pub struct Engine {
    pool: Arc<Pool<Sip>>,
    threads: Vec<Thread>,
}

impl Engine {
    /// Makes the threads.
    ///
    /// # Errors
    ///
    /// A sentence: the system has no thread or handle to give.
    pub fn start() -> Result<Self, String> {
        let config = config::current();
        let (pool, loops) = Pool::new(
            Arc::new(Sip),
            PoolConfig {
                loops: config.io_threads,
                handshake_timeout: config.handshake_timeout,
                limits: limits::load(),
                write_queue: config.limits.write_queue,
                trunk_write_queue: config.limits.trunk_write_queue,
                idle: config.limits.idle_timeout,
                user_timeout: config.limits.tcp_user_timeout,
                ..PoolConfig::default()
            },
        )
        .map_err(|error| format!("the TLS engine could not be made: {error}"))?;
        let mut engine = Self {
            pool: Arc::new(pool),
            threads: Vec::new(),
        };
        for (number, io_loop) in loops.into_iter().enumerate() {
            let name = format!("ciphertrunk tls {number}");
            let thread = thread::spawn(&name, move |_| io_loop.run());
            match thread {
                Ok(thread) => engine.threads.push(thread),
                Err(error) => {
                    engine.stop();
                    return Err(format!("no thread for the TLS engine: {error}"));
                }
            }
        }
        Ok(engine)
    }

    /// Where to listen and connect.
    pub fn pool(&self) -> Arc<Pool<Sip>> {
        Arc::clone(&self.pool)
    }

    /// Closes every connection and ends the threads.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The threads are joined behind this, and end only when they are told to.
        self.pool.shutdown();
    }
}
