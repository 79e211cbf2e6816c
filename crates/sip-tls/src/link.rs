//! One connection's TLS stream: handshake, reading, writing, farewell. It knows no host and no loop.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{Error, ErrorCode, NameType, Ssl, SslStream};

use crate::alert::{Evidence, explain};
use crate::cert_info::CertInfo;
use crate::conn::{Out, Shared};
use crate::frame::Framer;
use crate::host::TlsInfo;
use crate::profile::Profile;
use crate::reason::{Code, Reason};
use crate::socket::Sock;
use crate::verify::{CertFault, Verifier};

/// How much one connection may write before the others have their turn.
const WRITE_BUDGET: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The TCP connection is being made.
    Connecting,
    Handshaking,
    Open,
    /// Over for the host. The socket stays until the peer closes too, for what it has sent and we have not read would make the
    /// kernel reset the connection and throw our last words away.
    Lingering,
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
        })
    }

    pub(crate) fn sock(&mut self) -> &mut Sock {
        self.stream.get_mut()
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
        Step::Failed(explain(
            error,
            &Evidence {
                open: self.phase == Phase::Open,
                first: self.stream.get_ref().first(),
                faults: &self.verifier.faults(),
            },
        ))
    }

    /// Goes on with the handshake. `remote` is given, for a peer that has reset the connection by now has no address any more.
    pub(crate) fn handshake(&mut self, profile: &Profile, remote: SocketAddr) -> Step<TlsInfo> {
        let result = self.stream.do_handshake();
        match result.map_err(|error| self.failed(&error)) {
            Err(Step::Failed(reason)) => Step::Failed(reason),
            Err(_) => Step::Wait,
            Ok(()) => {
                self.phase = Phase::Open;
                // Faults that the verifier let pass are still in OpenSSL's queue, and would look like errors of the next call.
                drop(ErrorStack::get());
                self.info(profile, remote)
            }
        }
    }

    fn info(&self, profile: &Profile, remote: SocketAddr) -> Step<TlsInfo> {
        let ssl = self.stream.ssl();
        let peer = match ssl
            .peer_certificate()
            .map(|certificate| CertInfo::of(&certificate))
            .transpose()
        {
            Ok(peer) => peer,
            Err(_) => return Step::Failed(CertFault::InvalidFormat.into()),
        };
        // The verifier is not called for a resumed session, nor for a cipher without certificates.
        if peer.is_some()
            && ssl.session_reused()
            && let Some(fault) = CertFault::from_openssl(ssl.verify_result())
        {
            self.verifier.add(fault);
        }
        self.verifier.check_name(peer.as_ref());
        let faults = self.verifier.faults();
        if let (true, Some(&fault)) = (self.verifier.enforces(), faults.first()) {
            return Step::Failed(fault.into());
        }
        let local = match self.stream.get_ref().tcp.local_addr() {
            Ok(local) => local,
            Err(error) => return Step::Failed(Reason::io(&error, false)),
        };
        let cipher = ssl.current_cipher();
        Step::Done(TlsInfo {
            version: ssl.version_str(),
            cipher: cipher.map_or("", |cipher| cipher.name()),
            cipher_id: cipher.map_or(0, |cipher| u16::from_be_bytes(cipher.protocol_id())),
            sni: match self.verifier.name() {
                Some(crate::verify::PeerName::Dns(name)) => Some(name.clone()),
                Some(_) => None,
                None => ssl
                    .servername_raw(NameType::HOST_NAME)
                    .map(|name| String::from_utf8_lossy(name).into_owned()),
            },
            local,
            remote,
            own: profile.own_certificate().cloned(),
            peer,
            faults,
            resumed: ssl.session_reused(),
        })
    }

    /// Reads once into `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Step<usize> {
        match self.stream.ssl_read(buffer) {
            Ok(count) => Step::Done(count),
            Err(error) => self.failed(&error),
        }
    }

    /// Writes what is queued, as far as the socket and the budget allow; `done` gets each message that is out. `Done(true)`: the queue is
    /// empty; `Done(false)`: the budget is used up.
    pub(crate) fn flush(&mut self, shared: &Shared, mut done: impl FnMut(Out)) -> Step<bool> {
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
                match self.stream.ssl_write(&out.bytes[at..]) {
                    Ok(count) => {
                        at += count;
                        written += count;
                    }
                    Err(error) => {
                        self.writing = Some((out, at));
                        return match self.failed(&error) {
                            Step::Failed(reason) => {
                                Step::Failed(self.last_words().unwrap_or(reason))
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

    /// When writing fails, an alert that waits to be read says why.
    fn last_words(&mut self) -> Option<Reason> {
        let mut buffer = [0; 512];
        match self.read(&mut buffer) {
            Step::Failed(reason) if reason.alert.is_some() => Some(reason),
            _ => None,
        }
    }

    /// Says close_notify if the stream is intact, and that nothing more will come. What cannot be written at once is not.
    pub(crate) fn farewell(&mut self, reason: &Reason) {
        let intact = self.phase == Phase::Open
            && !matches!(
                reason.code,
                Code::PeerReset | Code::PeerGone | Code::IoError | Code::Protocol
            )
            && reason.alert.is_none();
        if intact {
            let _ = self.stream.shutdown();
        }
        drop(ErrorStack::get());
        let _ = self.stream.get_ref().tcp.shutdown(Shutdown::Write);
    }

    /// Throws away what still comes. `Done(true)`: the peer has closed; `Done(false)`: there is more.
    pub(crate) fn drain(&mut self, buffer: &mut [u8]) -> Step<bool> {
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
