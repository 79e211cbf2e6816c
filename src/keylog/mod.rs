//! `ciphertrunk keylog`: the keys of one peer, TLS's and SRTP's, in a file and for a time.
//!
//! TLS sessions tell their secrets once, in the handshake ([`sink`]); an SRTP session is asked for the keys that it has when the
//! file is begun, and tells of those that come later ([`session`]). Format and choice are `policy::keylog`.

mod file;
mod peer;
mod recording;

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "pjsip")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use policy::keylog::Request;
#[cfg(feature = "pjsip")]
use sip_tls::{KeyLog, KeyOwner};

use crate::config;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sync::Mutex;
use crate::media::registry;
use crate::media::session::Session;
use recording::Recording;

/// Nothing of Asterisk's is called while it is held, and nothing is logged: TLS's threads and media's write under it.
static CURRENT: Mutex<Option<Recording>> = Mutex::new(None);

/// Whether there is one: what each handshake and each new key asks.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Why a file is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The time that it was begun for is over.
    Time,
    /// Somebody asked for it.
    Asked,
    /// It has as much as a file may have.
    Full,
    /// It could not be written.
    Failed(String),
    /// `[general] keylog = no` came into force.
    Forbidden,
    /// The module is unloaded.
    Unloaded,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("its time is over"),
            Self::Asked => f.write_str("as was asked"),
            Self::Full => write!(
                f,
                "it has reached {} MiB",
                recording::MOST_OCTETS / 1024 / 1024
            ),
            Self::Failed(error) => write!(f, "it could not be written: {error}"),
            Self::Forbidden => write!(f, "[general] keylog = no is in force in {}", config::FILE),
            Self::Unloaded => f.write_str("the module is unloaded"),
        }
    }
}

/// What is being written, or was.
#[derive(Debug, Clone)]
pub struct State {
    /// The file.
    pub file: PathBuf,
    /// Whose keys, in words.
    pub peer: String,
    /// How much of the time is left.
    pub left: Duration,
    /// Lines of TLS secrets.
    pub secrets: u64,
    /// SRTP keys.
    pub keys: u64,
}

/// What `start` has found.
#[derive(Debug)]
pub struct Begun {
    /// What is being written.
    pub state: State,
    /// TLS connections of that peer that were up already: their secrets are not in the file. Their numbers and remote ends.
    pub missed: Vec<String>,
    /// The peer is an endpoint of which no address is known, so no connection will be taken for its.
    pub is_nowhere: bool,
}

/// Begins a file. `by`: who asked, for the log.
///
/// # Errors
///
/// A sentence.
pub fn start(request: &Request, by: &str) -> Result<Begun, String> {
    if !config::current().keylog {
        return Err(format!(
            "`[general] keylog = no` in {} forbids it",
            config::FILE
        ));
    }
    let already = |state: &State| {
        format!(
            "keys are being written to {} already: `ciphertrunk keylog stop` ends that",
            state.file.display()
        )
    };
    if let Some(state) = state() {
        return Err(already(&state));
    }
    let peer = request.peer.as_deref().map(peer::of);
    let is_nowhere = peer.as_ref().is_some_and(policy::keylog::Peer::is_nowhere);
    let words = match &request.peer {
        Some(name) => format!("peer {name}"),
        None => "all peers".to_owned(),
    };
    let file = file::create(&request.file)?;
    let recording = Recording::new(
        file,
        request.file.clone(),
        words,
        peer,
        Instant::now() + request.time,
    );
    {
        let mut current = CURRENT.lock();
        if let Some(other) = &*current {
            return Err(already(&other.state()));
        }
        *current = Some(recording);
        IS_ON.store(true, Ordering::Release);
    }
    for live in registry::live() {
        session(&live, None);
    }
    let Some(state) = state() else {
        return Err(format!("{}: it was ended at once", request.file.display()));
    };
    log::warn!(
        "keylog: for {} s the TLS and SRTP keys of {} are written to {}, for {by}: whoever can read that file can read those messages and \
         hear those calls (`ciphertrunk keylog stop` ends it)",
        request.time.as_secs(),
        state.peer,
        state.file.display()
    );
    Ok(Begun {
        state,
        missed: missed(),
        is_nowhere,
    })
}

/// Ends it. `None`: nothing was being written.
pub fn stop(end: &End) -> Option<State> {
    let ended = {
        let mut current = CURRENT.lock();
        IS_ON.store(false, Ordering::Release);
        current.take()
    }?;
    let state = ended.state();
    drop(ended);
    log::warn!(
        "keylog: {} is closed, {end}: it has {} TLS secrets and {} SRTP keys of {}. Delete it when it has been used",
        state.file.display(),
        state.secrets,
        state.keys,
        state.peer
    );
    Some(state)
}

/// What is being written now.
pub fn state() -> Option<State> {
    CURRENT.lock().as_ref().map(Recording::state)
}

/// Whether it is to end. The watch asks.
pub fn look() {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    let due = match &*CURRENT.lock() {
        Some(recording) => recording.due(),
        None => return,
    };
    let end = match due {
        None if config::current().keylog => return,
        None => End::Forbidden,
        Some(end) => end,
    };
    stop(&end);
}

/// Where TLS sessions tell their secrets: `[tls] key_log`, and here. `None`: nowhere.
#[cfg(feature = "pjsip")]
pub fn sink() -> Option<KeyLog> {
    let file = config::key_log();
    if file.is_none() && !config::current().keylog {
        return None;
    }
    Some(Arc::new(move |owner: &KeyOwner, line: &str| {
        if let Some(file) = &file {
            file(owner, line);
        }
        if IS_ON.load(Ordering::Acquire)
            && let Some(recording) = &mut *CURRENT.lock()
        {
            recording.secret(owner, line);
        }
    }))
}

/// A session may have new keys. `rtp`: its instance, if this is where that may be asked.
pub fn session(session: &Session, rtp: Option<RtpInstance<'_>>) {
    if !IS_ON.load(Ordering::Acquire) {
        return;
    }
    // Everything that asks Asterisk comes before the lock.
    let lines = recording::lines(session, rtp);
    if let Some(recording) = &mut *CURRENT.lock() {
        recording.keys(&lines);
    }
}

/// The remote ends of connections of the peer that are up.
#[cfg(feature = "pjsip")]
fn missed() -> Vec<String> {
    let up = crate::transport::all();
    let current = CURRENT.lock();
    let Some(recording) = &*current else {
        return Vec::new();
    };
    up.iter()
        .filter_map(|shown| Some((shown, shown.tls.as_ref()?)))
        .filter(|(_, tls)| recording.has_connection(tls.remote, tls.wanted.as_ref()))
        .map(|(shown, tls)| format!("{} ({})", tls.remote, shown.id))
        .collect()
}

#[cfg(not(feature = "pjsip"))]
fn missed() -> Vec<String> {
    Vec::new()
}
