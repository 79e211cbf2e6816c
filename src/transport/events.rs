//! What happens on the I/O threads, and goes to PJSIP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use log::Level;
use policy::reasons::call::{self as reasons, Signaling};
use sip_tls::frame::Fault;
use sip_tls::{Close, Conn, Host, ListenerEvent, LoopFailure, Reason, Stage, TlsInfo};

use crate::ffi::fault;
use crate::ffi::guard::guard;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::factory::FactoryRef;
use crate::ffi::pjsip::rx::RxBuffer;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::{Direction, Registered, SipTransport};
use crate::limited;

use super::connections::{About, Open, TlsCarrier};
use super::ends::End;
use super::limits;
use super::told::{came, enter, is_quiet, note, skipped, told};
use super::{status, tally};

/// What an I/O thread has of its own.
pub struct Local {
    rx: RxBuffer,
}

/// What a listener belongs to.
pub struct ListenerData {
    /// The transport's name in `pjsip.conf`.
    pub name: Arc<str>,
    /// Its factory.
    pub factory: FactoryRef,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a connection is to us.
pub struct Connection {
    sip: Registered,
    conn: Conn,
    open: Open,
    name: Arc<str>,
    /// Transport and profile, for the log.
    label: String,
    local: SocketAddr,
    direction: Direction,
    /// What the caller asked for, for the log.
    wanted: String,
}

impl Connection {
    /// An outgoing connection.
    pub fn outgoing(
        sip: Registered,
        conn: &Conn,
        open: Open,
        about: &About,
        local: SocketAddr,
    ) -> Self {
        Self {
            sip,
            conn: conn.clone(),
            open,
            name: Arc::clone(&about.transport),
            label: about.label(),
            local,
            direction: Direction::Outgoing,
            wanted: about.wanted.clone(),
        }
    }
}

/// The host of the engine: PJSIP.
pub struct Sip;

impl Host for Sip {
    type Listener = ListenerData;
    type Conn = Connection;
    type Local = Local;

    fn local(&self, _: usize) -> io::Result<Local> {
        if fault::fires("tls-rx-buffer") {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let rx = RxBuffer::new(PjThread::here()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Local { rx })
    }

    fn permits(&self, _: &ListenerData, address: IpAddr) -> bool {
        guard(false, || limits::permits(address))
    }

    fn accepted(&self, listener: &ListenerData, conn: &Conn, info: TlsInfo) -> Option<Connection> {
        guard(None, || {
            tally::done(Direction::Incoming, &info);
            let info = Arc::new(info);
            let about = About {
                transport: Arc::clone(&listener.name),
                profile: info.profile.clone(),
                direction: Direction::Incoming,
                remote: info.remote,
                wanted: String::new(),
            };
            let label = about.label();
            let carrier = Arc::new(TlsCarrier::of(about, conn, Arc::clone(&info)));
            let made = listener.factory.transport(
                PjThread::here(),
                Direction::Incoming,
                info.local,
                info.remote,
                "",
                carrier.clone(),
            );
            let sip = match made {
                Ok(sip) => sip,
                Err(status) => {
                    let row = reasons::of_signaling(&Signaling::NotTaken);
                    let remote = info.remote.to_string();
                    note(
                        row.code,
                        &remote,
                        &listener.name,
                        came(info.remote, info.local),
                        format_args!("{} ({})", row.words(), status.raw()),
                    );
                    limited::log(
                        Level::Error,
                        "connection not taken",
                        &info.remote.ip().to_string(),
                        format_args!(
                            "transport '{}': pjsip took no connection from {remote} ({}), reason {}",
                            listener.name,
                            status.raw(),
                            row.code
                        ),
                    );
                    return None;
                }
            };
            log::debug!(
                "{label}: {} connected, {} {}",
                info.remote,
                info.version,
                info.cipher
            );
            // If Asterisk shuts it down at once, pjsip's end of it closes the connection.
            sip.connected(PjThread::here(), &info).then(|| Connection {
                sip,
                conn: conn.clone(),
                open: Open::enter(carrier),
                name: Arc::clone(&listener.name),
                label,
                local: info.local,
                direction: Direction::Incoming,
                wanted: String::new(),
            })
        })
    }

    fn refused(&self, listener: &ListenerData, remote: SocketAddr, reason: Reason) {
        guard((), || {
            if is_quiet(&reason) {
                log::debug!(
                    "transport '{}': TLS from {remote} did not begin: {reason}",
                    listener.name
                );
                return;
            }
            tally::failed(Direction::Incoming, reason.code);
            let came = came(remote, listener.address);
            enter(&reason, &remote.to_string(), &listener.name, came);
            limited::log(
                Level::Warn,
                &format!("TLS refused, {}", reason.code.facts().name),
                &remote.ip().to_string(),
                format_args!(
                    "transport '{}': TLS from {remote} failed {}",
                    listener.name,
                    told(&reason)
                ),
            );
        });
    }

    fn connected(&self, connection: &Connection, info: TlsInfo) {
        guard((), || {
            log::debug!(
                "{}: connected to {} ({}), {} {}",
                connection.label,
                connection.wanted,
                info.remote,
                info.version,
                info.cipher
            );
            tally::done(Direction::Outgoing, &info);
            let info = Arc::new(info);
            // Before PJSIP sends what waits for it, and hears the answer.
            for token in connection.open.established(&info) {
                let refused = Err(Status::CANCELLED);
                connection.sip.sent(PjThread::here(), token, refused);
            }
            if !connection.sip.connected(PjThread::here(), &info) {
                connection.conn.close(Close::Now);
            }
        });
    }

    fn message(&self, local: &mut Local, connection: &Connection, message: &[u8]) {
        let delivered = guard(false, || {
            assert!(
                !fault::fires("tls-message"),
                "deliberate panic for a test at tls-message"
            );
            connection.open.passes(message);
            local
                .rx
                .deliver(&connection.sip, connection.conn.remote(), message);
            true
        });
        if !delivered {
            // PJSIP has not seen the message, and the peer would wait for an answer.
            connection.conn.close(Close::Now);
        }
    }

    fn malformed(&self, connection: &Connection, fault: &Fault<'_>) {
        guard((), || {
            let remote = connection.conn.remote();
            limited::log(
                Level::Warn,
                &format!("malformed, {:?}", fault.kind),
                &remote.ip().to_string(),
                format_args!("{}: {remote} sent {}", connection.label, skipped(fault)),
            );
        });
    }

    fn write_done(&self, connection: &Connection, token: u64, result: Result<(), Reason>) {
        guard((), || {
            let result = result.map_err(|reason| status::of(&reason));
            connection.sip.sent(PjThread::here(), token, result);
        });
    }

    fn closed(&self, connection: &Connection, reason: Reason) {
        guard((), || {
            let remote = connection.conn.remote();
            if is_quiet(&reason) {
                log::debug!(
                    "{}: connection with {remote} ended: {reason}",
                    connection.label
                );
            } else if connection.direction == Direction::Outgoing
                && !matches!(reason.stage, Stage::Open | Stage::Renegotiation)
            {
                let peer = format!("{} ({remote})", connection.wanted);
                enter(&reason, &peer, &connection.name, None);
                if !connection.open.is_established() {
                    tally::failed(Direction::Outgoing, reason.code);
                }
                // What res_pjsip says of the same connection when the handshake is done for this side.
                let earlier = if connection.open.is_established() && reason.stage != Stage::Message
                {
                    ". The line of Asterisk's that says OK of this connection came before, and was about the peer's certificate alone"
                } else {
                    ""
                };
                limited::log(
                    Level::Warn,
                    &format!("TLS to a peer failed, {}", reason.code.facts().name),
                    &connection.wanted,
                    format_args!(
                        "{}: TLS to {peer} failed {}{earlier}",
                        connection.label,
                        told(&reason)
                    ),
                );
            } else {
                let is_incoming = connection.direction == Direction::Incoming;
                let came = is_incoming
                    .then(|| came(remote, connection.local))
                    .flatten();
                enter(&reason, &remote.to_string(), &connection.name, came);
                limited::log(
                    Level::Info,
                    &format!("connection closed, {}", reason.code.facts().name),
                    &remote.ip().to_string(),
                    format_args!(
                        "{}: connection with {remote} closed {}",
                        connection.label,
                        told(&reason)
                    ),
                );
            }
        });
        // Whatever went wrong with the line: PJSIP's transport ends.
        guard((), || {
            connection.open.ended(
                PjThread::here(),
                End {
                    sip: SipTransport::clone(&connection.sip),
                    reason: status::of(&reason),
                    local: connection.local,
                    remote: connection.conn.remote(),
                },
            );
        });
    }

    fn listener_event(&self, listener: &ListenerData, event: ListenerEvent) {
        guard((), || match event {
            ListenerEvent::OutOfResources(errno) | ListenerEvent::Failed(errno) => limited::log(
                Level::Error,
                "not accepting",
                &listener.name,
                format_args!(
                    "transport '{}': connections wait and cannot be accepted: {}",
                    listener.name,
                    std::io::Error::from_raw_os_error(errno)
                ),
            ),
            ListenerEvent::Recovered => limited::log(
                Level::Info,
                "accepting again",
                &listener.name,
                format_args!(
                    "transport '{}': connections are accepted again",
                    listener.name
                ),
            ),
        });
    }

    fn loop_failed(&self, failure: &LoopFailure) {
        guard((), || {
            log::error!(
                "I/O loop {} of SIP over TLS failed: {}. Its {} connections are closed; new ones go to the other loops, and it starts \
                 again in {:.1} s",
                failure.index,
                failure.error,
                failure.connections,
                failure.pause.as_secs_f64()
            );
        });
    }
}
