//! One connection's TLS stream: handshake, reading, writing, close_notify. It knows no host and no loop.

use std::ffi::c_long;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, NameType, ShutdownState, Ssl, SslStream, SslVersion};

use crate::cert_info::CertInfo;
use crate::code::Code;
use crate::conn::{Out, Shared};
use crate::explain::{Evidence, Progress, explain};
use crate::frame::Framer;
use crate::host::TlsInfo;
use crate::ossl_ext::{negotiated_group, queue_ticket, renegotiations};
use crate::reason::Reason;
use crate::sessions;
use crate::socket::Sock;
use crate::verify::{CertFault, Verifier};

/// How much one connection may write before the others have their turn.
const WRITE_BUDGET: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The TCP connection is being made.
    Connecting,
    Handshaking,
    Open,
    /// Nothing more is read; what is owed is still answered and written.
    Draining(Reason),
    /// Over for the host. The socket stays until the peer closes too, for what it has sent and we have not read would make the
    /// kernel reset the connection and throw away what we wrote last.
    Lingering,
}

/// What has become of a renegotiation.
pub(crate) enum Edge {
    Begun,
    Done,
}

/// How far a step got.
pub(crate) enum Step<T> {
    Done(T),
    /// The socket must become readable or writable first.
    Wait,
    Failed(Reason),
}

pub(crate) struct Link {
    stream: SslStream<Sock>,
    verifier: Arc<Verifier>,
    pub(crate) phase: Phase,
    pub(crate) framer: Framer,
    /// The message that is being written, and how much of it is.
    writing: Option<(Out, usize)>,
    /// Bytes that the socket has taken.
    pub(crate) written: u64,
    /// Whether anything of the peer's has been read since the handshake.
    heard: bool,
    /// Whether the peer is a client of TLS 1.3 that has no ticket yet.
    owes_ticket: bool,
    /// Renegotiations that are done.
    renegotiated: c_long,
    /// Whether [`Link::renegotiation`] has told of one that is not done.
    told: bool,
    /// When the handshake began.
    began: Option<Instant>,
}

impl Link {
    pub(crate) fn new(
        ssl: Ssl,
        verifier: Arc<Verifier>,
        sock: Sock,
        phase: Phase,
    ) -> Result<Link, ErrorStack> {
        Ok(Link {
            stream: SslStream::new(ssl, sock)?,
            verifier,
            phase,
            framer: Framer::default(),
            writing: None,
            written: 0,
            heard: false,
            owes_ticket: false,
            renegotiated: 0,
            told: false,
            began: None,
        })
    }

    pub(crate) fn sock(&mut self) -> &mut Sock {
        self.stream.get_mut()
    }

    /// Whether we connected to the peer.
    pub(crate) fn is_outgoing(&self) -> bool {
        !self.stream.ssl().is_server()
    }

    /// Whether the peer is a client, or has sent something since the handshake.
    pub(crate) fn was_heard(&self) -> bool {
        self.heard || !self.is_outgoing()
    }

    /// Whether the peer has sent anything yet.
    pub(crate) fn is_silent(&self) -> bool {
        self.stream.get_ref().first().is_empty()
    }

    /// Looks whether the TCP connection is there.
    pub(crate) fn connecting(&mut self) -> Step<()> {
        let tcp = &self.stream.get_ref().tcp;
        match tcp.take_error() {
            Ok(Some(error)) | Err(error) => return Step::Failed(Reason::connect(&error)),
            Ok(None) => {}
        }
        match tcp.peer_addr() {
            Ok(_) => Step::Done(()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Step::Wait,
            Err(error) => Step::Failed(Reason::connect(&error)),
        }
    }

    fn failed(&self, error: &Error) -> Step<usize> {
        if [ErrorCode::WANT_READ, ErrorCode::WANT_WRITE].contains(&error.code()) {
            return Step::Wait;
        }
        if self.verifier.is_unusable() {
            return Step::Failed(Code::NoProfile.into());
        }
        let socket = self.stream.get_ref();
        Step::Failed(explain(
            error,
            &Evidence {
                progress: self.progress(),
                refused: self.stream.ssl().is_server() && socket.alerted(),
                incoming: self.stream.ssl().is_server(),
                first: socket.first(),
                faults: &self.verifier.faults(),
                offending: self.verifier.offending(),
                socket: socket.errno(),
            },
        ))
    }

    fn progress(&self) -> Progress {
        let ssl = self.stream.ssl();
        if !self.is_up() {
            Progress::Handshaking
        } else if self.is_renegotiating() {
            Progress::Renegotiating
        } else if !self.heard && !ssl.is_server() && ssl.version2() == Some(SslVersion::TLS1_3) {
            Progress::Unconfirmed
        } else {
            Progress::Open
        }
    }

    /// Whether the peer, whose client we are, has begun to renegotiate and is not done.
    pub(crate) fn is_renegotiating(&self) -> bool {
        renegotiations(self.stream.ssl()) != self.renegotiated
    }

    /// Whether one has begun or has come to its end since it was asked last.
    pub(crate) fn renegotiation(&mut self) -> Option<Edge> {
        let now = self.is_renegotiating();
        match (std::mem::replace(&mut self.told, now), now) {
            (false, true) => Some(Edge::Begun),
            (true, false) => Some(Edge::Done),
            _ => None,
        }
    }

    /// Before a call: errors that an earlier one has left in the thread's queue would be taken for its own.
    fn fresh(&mut self) -> &mut SslStream<Sock> {
        drop(ErrorStack::get());
        &mut self.stream
    }

    /// Goes on with the handshake. `remote` is given, for a peer that has reset the connection by now has no address any more.
    pub(crate) fn handshake(&mut self, remote: SocketAddr) -> Step<TlsInfo> {
        self.began.get_or_insert_with(Instant::now);
        let result = self.fresh().do_handshake();
        match result.map_err(|error| self.failed(&error)) {
            Err(Step::Failed(reason)) => Step::Failed(reason),
            Err(_) => Step::Wait,
            Ok(()) => {
                self.phase = Phase::Open;
                self.stream.get_mut().open = true;
                let ssl = self.stream.ssl();
                self.owes_ticket = ssl.is_server() && ssl.version2() == Some(SslVersion::TLS1_3);
                if self.owes_ticket {
                    // Its last message would be acknowledged with our first one, which is an answer to what it is to send now.
                    self.stream.get_ref().acknowledge();
                }
                let info = self.info(remote);
                if matches!(info, Step::Done(_)) && self.is_outgoing() {
                    sessions::done(self.stream.ssl());
                }
                info
            }
        }
    }

    /// The peer's certificate, if a handshake that is done has shown none that is not to be accepted.
    fn peer(&self) -> Result<Option<CertInfo>, Reason> {
        let ssl = self.stream.ssl();
        let peer = ssl
            .peer_certificate()
            .map(|certificate| CertInfo::of(&certificate))
            .transpose()
            .map_err(|_| CertFault::InvalidFormat)?;
        // The verifier is not called for a resumed session, nor for a cipher without certificates.
        if peer.is_some()
            && ssl.session_reused()
            && let Some(fault) = CertFault::from_openssl(ssl.verify_result())
        {
            self.verifier.blame(0, peer.as_ref());
            self.verifier.add(fault);
        }
        self.verifier.check_name(peer.as_ref());
        let rules = self.verifier.rules();
        if !rules.has_pinned(ssl.peer_certificate().as_deref()) {
            self.verifier.add(CertFault::NotPinned);
        }
        match self.verifier.verdict() {
            Some(fault) => Err(Reason {
                certificate: self.verifier.offending(),
                ..fault.into()
            }),
            None => Ok(peer),
        }
    }

    fn info(&self, remote: SocketAddr) -> Step<TlsInfo> {
        let ssl = self.stream.ssl();
        let peer = match self.peer() {
            Ok(peer) => peer,
            Err(reason) => return Step::Failed(reason),
        };
        let local = match self.stream.get_ref().tcp.local_addr() {
            Ok(local) => local,
            Err(error) => return Step::Failed(Reason::io(&error, false)),
        };
        let cipher = ssl.current_cipher();
        let rules = self.verifier.rules();
        Step::Done(TlsInfo {
            version: ssl.version_str(),
            cipher: cipher.map_or("", |cipher| cipher.name()),
            group: negotiated_group(ssl),
            cipher_id: cipher.map_or(0, |cipher| u16::from_be_bytes(cipher.protocol_id())),
            sni: ssl
                .servername_raw(NameType::HOST_NAME)
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            local,
            remote,
            own: rules.presented(ssl.certificate()).cloned(),
            profile: rules.profile.clone(),
            faults: self.verifier.faults(),
            wanted: self.verifier.compared(peer.as_ref()),
            peer,
            resumed: ssl.session_reused(),
            took: self.began.map_or(Duration::ZERO, |began| began.elapsed()),
        })
    }

    /// Reads once into `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Step<usize> {
        let step = match self.fresh().ssl_read(buffer) {
            Ok(count) => {
                self.heard = true;
                self.stream.get_mut().bore();
                Step::Done(count)
            }
            Err(_) if self.stream.get_ref().is_barren() => Step::Failed(Code::EmptyTls.into()),
            Err(error) => match self.failed(&error) {
                Step::Wait if self.stream.get_ref().is_finished() => {
                    Step::Failed(Code::PeerEof.into())
                }
                step => step,
            },
        };
        match (step, self.renegotiated()) {
            (Step::Failed(reason), _) | (_, Err(reason)) => Step::Failed(reason),
            (step, Ok(())) => step,
        }
    }

    /// Whether the host has it.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Draining(_))
    }

    /// If a renegotiation has come to its end meanwhile: whether the peer is still the one that was asked for.
    fn renegotiated(&mut self) -> Result<(), Reason> {
        if !self.is_renegotiating() || !self.stream.ssl().is_init_finished() {
            return Ok(());
        }
        let peer = self.peer();
        self.renegotiated = renegotiations(self.stream.ssl());
        peer.map(drop).map_err(|reason| reason.of_open(true))
    }

    /// Writes what is queued, as far as the socket and the budget allow; `done` gets each message that is out. `Done(true)`: the queue is
    /// empty; `Done(false)`: the budget is used up.
    pub(crate) fn flush(&mut self, shared: &Shared, mut done: impl FnMut(Out)) -> Step<bool> {
        if self.is_renegotiating() {
            // OpenSSL would read the handshake's messages in a call that writes, and fail at a message of SIP between them.
            return Step::Wait;
        }
        let mut written = 0;
        loop {
            let (out, mut at) = match self.writing.take() {
                Some(writing) => writing,
                None => match shared.next() {
                    Some(out) => (out, 0),
                    None => return Step::Done(true),
                },
            };
            while at < out.bytes.len() {
                if written >= WRITE_BUDGET {
                    self.writing = Some((out, at));
                    return Step::Done(false);
                }
                if std::mem::take(&mut self.owes_ticket) {
                    // Alone it would stop a peer that waits for a message when there is something to read, as chan_sip does.
                    queue_ticket(self.stream.ssl());
                }
                match self.fresh().ssl_write(&out.bytes[at..]) {
                    Ok(count) => {
                        at += count;
                        written += count;
                        self.written += count as u64;
                    }
                    Err(error) => {
                        self.writing = Some((out, at));
                        return match self.failed(&error) {
                            Step::Failed(reason) => {
                                Step::Failed(self.peers_last().unwrap_or(reason))
                            }
                            _ => Step::Wait,
                        };
                    }
                }
            }
            shared.written(&out);
            done(out);
        }
    }

    /// The message that was being written, when the connection ends.
    pub(crate) fn unwritten(&mut self) -> Option<Out> {
        self.writing.take().map(|(out, _)| out)
    }

    /// When writing fails, an alert (close_notify too) that waits to be read says why.
    fn peers_last(&mut self) -> Option<Reason> {
        let mut buffer = [0; 512];
        match self.read(&mut buffer) {
            Step::Failed(reason) if reason.alert.is_some() || reason.code == Code::PeerClosed => {
                Some(reason)
            }
            _ => None,
        }
    }

    /// Whether a message is on its way, in or out.
    pub(crate) fn is_midway(&self) -> bool {
        self.writing.is_some() || self.framer.held() > 0
    }

    /// Sends close_notify if the stream is intact, and shuts our half of TCP. What cannot be written at once is not.
    pub(crate) fn close_notify(&mut self, reason: &Reason) {
        let intact = self.is_up()
            && !matches!(
                reason.code,
                Code::PeerReset
                    | Code::PeerResetMidway
                    | Code::PeerGone
                    | Code::IoError
                    | Code::Protocol
            )
            && reason.alert.is_none();
        if intact {
            let _ = self.fresh().shutdown();
        }
        let _ = self.stream.get_ref().tcp.shutdown(Shutdown::Write);
    }

    /// Before it is dropped: OpenSSL would not resume the session of a connection that was lost. Of one that ended with a fatal alert it
    /// has forgotten it by now.
    fn keep_session(&mut self) {
        self.stream
            .set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
    }

    /// Throws away what still comes. `Done(true)`: the peer has closed; `Done(false)`: there is more.
    pub(crate) fn discard(&mut self, buffer: &mut [u8]) -> Step<bool> {
        for _ in 0..4 {
            match self.stream.get_mut().tcp.read(buffer) {
                Ok(0) => return Step::Done(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(_) => return Step::Done(true),
            }
        }
        Step::Done(false)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_outgoing() {
            self.keep_session();
        }
    }
}
