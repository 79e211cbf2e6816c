//! The TCP connections to each address.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use sip_tls::{Reason, Side};
use socket2::{Domain, Socket, Type};

use crate::code::Code;
use crate::dns::Target;
use crate::report::{Finding, Stage, Step};
use crate::tls::wait;

/// Connects, from `local` if it is of the same family; why not, in `sip-tls`' words.
pub(crate) fn connect(
    address: SocketAddr,
    local: Option<IpAddr>,
    timeout: Duration,
) -> Result<TcpStream, Reason> {
    let tcp = from(address, local, timeout).map_err(|error| {
        let error = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                io::Error::from_raw_os_error(libc::ETIMEDOUT)
            }
            _ => error,
        };
        Reason::connect(&error)
    })?;
    // The first messages are short; none of them has to wait for another.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

fn from(address: SocketAddr, local: Option<IpAddr>, timeout: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(local) = local.filter(|local| local.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    socket.connect_timeout(&address.into(), timeout)?;
    Ok(socket.into())
}

/// Tries every address. Those that answer, in order.
pub(crate) fn look(
    targets: &[Target],
    local: Option<IpAddr>,
    timeout: Duration,
    end: Option<Instant>,
) -> (Step, Vec<SocketAddr>) {
    let mut step = Step::new(Stage::Tcp);
    let mut alive = Vec::new();
    let mut dead = Vec::new();
    for target in targets {
        let of = target
            .srv
            .as_ref()
            .map(|server| format!(" ({server})"))
            .unwrap_or_default();
        match connect(target.address, local, wait(timeout, end)) {
            Ok(_) => {
                step.fact(format!("{}{of}: connected", target.address));
                alive.push(target.address);
            }
            Err(reason) => {
                step.fact(format!("{}{of}: {reason}", target.address));
                dead.push((target, reason));
            }
        }
    }
    for (target, reason) in dead {
        let finding = if alive.is_empty() {
            Finding::from(reason)
        } else {
            let another_server = target.srv.is_some()
                && !targets
                    .iter()
                    .any(|other| other.srv == target.srv && alive.contains(&other.address));
            let code = if another_server {
                Code::DeadSrvTarget
            } else if target.address.is_ipv6() && alive.iter().any(SocketAddr::is_ipv4) {
                Code::DeadIpv6
            } else {
                Code::DeadAddress
            };
            let ours = if reason.side == Side::Ours {
                "; from this machine"
            } else {
                ""
            };
            Finding::new(code, format!("{reason}{ours}"))
        };
        step.add(finding.at(target.address));
    }
    (step, alive)
}
