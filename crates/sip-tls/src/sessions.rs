//! Sessions with servers, kept to be resumed by the next connection to the same one.
//!
//! They belong to a profile and go with it: none is offered under other options, another certificate of ours or other trusted CAs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslSession, SslSessionCacheMode, SslVersion};

use crate::cert_info::CertInfo;
use crate::ossl_tickets::offer;
use crate::sync::Mutex;
use crate::verify::PeerName;

/// So many are kept; then the one that was put in first goes. One has the server's chain in it, 5 to 10 KiB.
const MAX: usize = 256;

/// A server: where it is, and the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Server {
    remote: SocketAddr,
    name: String,
}

/// Where the session of a connection goes.
struct Place {
    server: Server,
    sessions: Arc<Sessions>,
}

/// Where a connection keeps its place.
static PLACE: LazyLock<Result<Index<Ssl, Place>, ErrorStack>> = LazyLock::new(Ssl::new_ex_index);

struct Kept {
    session: SslSession,
    /// When the server's certificate expires, or the session if that is sooner: in seconds of Unix time.
    until: i64,
    number: u64,
}

/// Those of one profile.
#[derive(Default)]
pub(crate) struct Sessions {
    all: Mutex<(HashMap<Server, Kept>, u64)>,
}

/// Has a context for connections to servers tell the sessions of those.
pub(crate) fn keep_of(context: &mut SslContextBuilder) {
    context.set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
    context.set_new_session_callback(|ssl, session| keep(ssl, session));
}

/// The handshake of a connection that we made is done. Of one that resumed a session before TLS 1.3 OpenSSL tells no new one: that session
/// goes on.
pub(crate) fn done(ssl: &SslRef) {
    if ssl.session_reused()
        && ssl.version2() != Some(SslVersion::TLS1_3)
        && let Some(session) = ssl.session()
    {
        keep(ssl, session.to_owned());
    }
}

fn keep(ssl: &SslRef, session: SslSession) {
    let place = PLACE.as_ref().ok().and_then(|index| ssl.ex_data(*index));
    if let Some(place) = place {
        place.sessions.put(&place.server, ssl, session);
    }
}

impl Sessions {
    /// Makes it a connection to `name` at `remote`, and offers the session with that, if there is one. A session is offered once: should
    /// that be why a handshake fails, the next is a whole one (RFC 8446 C.4 says the same for other reasons).
    pub(crate) fn offer(self: &Arc<Self>, ssl: &mut Ssl, remote: SocketAddr, name: &PeerName) {
        let server = Server {
            remote,
            name: name.to_string().to_ascii_lowercase(),
        };
        let kept = self.all.lock().0.remove(&server);
        if let Some(kept) = kept
            && now() < kept.until
        {
            offer(ssl, &kept.session);
        }
        if let Ok(index) = PLACE.as_ref() {
            let sessions = Arc::clone(self);
            ssl.set_ex_data(*index, Place { server, sessions });
        }
    }

    fn put(&self, server: &Server, ssl: &SslRef, session: SslSession) {
        // Without one nobody could say until when it is good.
        let certificate = ssl.peer_certificate();
        let Some(certificate) = certificate.and_then(|it| CertInfo::of(&it).ok()) else {
            return;
        };
        let ends = session.time() + session.timeout();
        let until = ends.min(certificate.not_after);
        let mut all = self.all.lock();
        let (sessions, count) = &mut *all;
        *count += 1;
        let number = *count;
        let kept = Kept {
            session,
            until,
            number,
        };
        if sessions.insert(server.clone(), kept).is_none() && sessions.len() > MAX {
            let oldest = sessions.iter().min_by_key(|(_, kept)| kept.number);
            let oldest = oldest.map(|(server, _)| server.clone());
            oldest.map(|server| sessions.remove(&server));
        }
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}
