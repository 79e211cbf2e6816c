//! The UDP datagrams of a capture, pcap or pcapng.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};

/// The longest block that is read: a packet of the longest kind that a capture may have (libpcap's `MAXIMUM_SNAPLEN`).
const LONGEST_BLOCK: usize = 256 * 1024;
/// Octets of a "Linux cooked" header, and where the protocol stands in it (LINKTYPE_LINUX_SLL).
const SLL: (usize, usize) = (16, 14);
/// The same of its second version (LINKTYPE_LINUX_SLL2).
const SLL2: (usize, usize) = (20, 0);
/// Octets of what a BSD puts before an IP packet (LINKTYPE_NULL, LINKTYPE_LOOP).
const FAMILY: usize = 4;

/// A UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// When, since the epoch.
    pub time: Duration,
    /// From.
    pub source: SocketAddr,
    /// To.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What was seen of a capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets of any kind.
    pub packets: u64,
    /// UDP datagrams that are whole.
    pub datagrams: u64,
    /// UDP datagrams of which the capture has only the begin (its "snap length").
    pub cut: u64,
    /// Fragments of IP packets, which are not put together.
    pub fragments: u64,
    /// Packets on a kind of link that is not known: its number.
    pub unknown_link: Option<i32>,
    /// The file ends in the middle of a packet.
    pub ends_early: bool,
}

/// A capturing interface.
#[derive(Clone, Copy)]
struct Interface {
    link: Linktype,
    /// Ticks of its clock in a second.
    resolution: u64,
    /// Seconds to be added.
    offset: i64,
}

/// Calls `each` with every UDP datagram of a capture, in its order.
///
/// # Errors
///
/// A sentence: it is no capture, or is spoilt.
pub fn read(capture: impl Read + Send, mut each: impl FnMut(Datagram)) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut reader = create_reader(2 * LONGEST_BLOCK, capture).map_err(|error| sentence(&error))?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut refilled = 0;
    loop {
        match reader.next().map_err(|error| Trouble::of(&error)) {
            Ok((octets, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        interfaces = vec![Interface {
                            link: header.network,
                            resolution: match header.is_nanosecond_precision() {
                                true => 1_000_000_000,
                                false => 1_000_000,
                            },
                            offset: 0,
                        }];
                    }
                    PcapBlockOwned::Legacy(packet) => {
                        let interface = interfaces.first().copied();
                        let fraction = u64::from(packet.ts_usec);
                        take(&mut seen, interface, packet.data, &mut each, |it| {
                            time(u64::from(packet.ts_sec), fraction, it.resolution)
                        });
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push(Interface {
                            link: interface.linktype,
                            resolution: interface.ts_resolution().unwrap_or(1_000_000).max(1),
                            offset: interface.ts_offset(),
                        });
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let number = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                        let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                        let interface = interfaces.get(number).copied();
                        take(
                            &mut seen,
                            interface,
                            packet.packet_data(),
                            &mut each,
                            |it| {
                                let seconds =
                                    (ticks / it.resolution).saturating_add_signed(it.offset);
                                time(seconds, ticks % it.resolution, it.resolution)
                            },
                        );
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                        let interface = interfaces.first().copied();
                        take(
                            &mut seen,
                            interface,
                            packet.packet_data(),
                            &mut each,
                            |_| Duration::ZERO,
                        );
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(octets);
                refilled = 0;
            }
            Err(Trouble::End) => return Ok(seen),
            Err(Trouble::Incomplete) => {
                if refilled >= 2 || reader.reader_exhausted() {
                    // A capture that was still being written.
                    seen.ends_early = true;
                    return Ok(seen);
                }
                refilled += 1;
                reader.refill().map_err(|error| sentence(&error))?;
            }
            Err(Trouble::Other(reason)) => return Err(reason),
        }
    }
}

/// Why there is no next block.
enum Trouble {
    End,
    Incomplete,
    Other(String),
}

impl Trouble {
    fn of<I>(error: &PcapError<I>) -> Self {
        match error {
            PcapError::Eof => Self::End,
            PcapError::Incomplete(_) | PcapError::UnexpectedEof => Self::Incomplete,
            other => Self::Other(sentence(other)),
        }
    }
}

fn sentence<I>(error: &PcapError<I>) -> String {
    match error {
        PcapError::Eof => "it is empty".to_owned(),
        PcapError::HeaderNotRecognized => "it is neither pcap nor pcapng".to_owned(),
        PcapError::ReadError => "reading it failed".to_owned(),
        PcapError::BufferTooSmall => {
            format!(
                "it has a block of more than {} KiB",
                2 * LONGEST_BLOCK / 1024
            )
        }
        _ => "it is damaged".to_owned(),
    }
}

fn time(seconds: u64, ticks: u64, resolution: u64) -> Duration {
    let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(resolution);
    let seconds = Duration::from_secs(seconds);
    let rest = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    seconds.saturating_add(rest)
}

/// Takes one packet.
fn take(
    seen: &mut Seen,
    interface: Option<Interface>,
    packet: &[u8],
    each: &mut impl FnMut(Datagram),
    time: impl FnOnce(Interface) -> Duration,
) {
    seen.packets += 1;
    let Some(interface) = interface else {
        return;
    };
    let sliced = match sliced(interface.link, packet) {
        Ok(Some(sliced)) => sliced,
        Ok(None) => return,
        Err(link) => {
            seen.unknown_link = Some(link);
            return;
        }
    };
    let (source, destination, is_fragment) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (
            IpAddr::V4(ip.header().source_addr()),
            IpAddr::V4(ip.header().destination_addr()),
            ip.payload().fragmented,
        ),
        Some(LaxNetSlice::Ipv6(ip)) => (
            IpAddr::V6(ip.header().source_addr()),
            IpAddr::V6(ip.header().destination_addr()),
            ip.payload().fragmented,
        ),
        _ => return,
    };
    if is_fragment {
        seen.fragments += 1;
        return;
    }
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else {
        return;
    };
    let payload = udp.payload();
    // The header's length counts itself.
    if usize::from(udp.length()) > payload.len() + etherparse::UdpHeader::LEN {
        seen.cut += 1;
        return;
    }
    seen.datagrams += 1;
    each(Datagram {
        time: time(interface),
        source: SocketAddr::new(source, udp.source_port()),
        destination: SocketAddr::new(destination, udp.destination_port()),
        payload: payload.to_vec(),
    });
}

/// A packet by its headers; `None`: it has none that are known. The number of a link that is not known is an error.
fn sliced(link: Linktype, packet: &[u8]) -> Result<Option<LaxSlicedPacket<'_>>, i32> {
    let cooked = |(length, at): (usize, usize)| {
        let protocol = packet.get(at..at + 2)?;
        let protocol = u16::from_be_bytes([protocol[0], protocol[1]]);
        let rest = packet.get(length..)?;
        Some(LaxSlicedPacket::from_ether_type(EtherType(protocol), rest))
    };
    let ip = |packet| LaxSlicedPacket::from_ip(packet).ok();
    Ok(match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok(),
        Linktype::LINUX_SLL => cooked(SLL),
        Linktype(276) => cooked(SLL2),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => ip(packet),
        Linktype::NULL | Linktype(108) => packet.get(FAMILY..).and_then(ip),
        Linktype(other) => return Err(other),
    })
}
