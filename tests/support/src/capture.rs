//! What was on the wire.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};

use crate::audio;
use crate::lab::{self, Lab};
use crate::process::Process;
use crate::wait;

/// A running capture of everything on the lab's network.
#[derive(Debug)]
pub struct Capture {
    dumpcap: Process,
    file: PathBuf,
    /// What is sent from it to itself ends the capture.
    end: UdpSocket,
}

/// The last datagram of a capture.
const END: &[u8] = b"the end of the capture";

impl Capture {
    /// Starts to capture to `NAME.pcap` in the lab's folder.
    pub fn start(lab: &Lab, name: &str) -> Self {
        let inside = format!("{}/{name}.pcap", lab::FOLDER);
        // A large kernel buffer: a busy machine must not lose packets.
        let dumpcap = lab.spawn(
            &format!("{name}.dumpcap"),
            "dumpcap",
            &["-q", "-P", "-B", "32", "-i", "lo", "-w", &inside],
        );
        dumpcap.wait_for("File:", wait::SOON);
        Self {
            dumpcap,
            file: lab.folder().join(format!("{name}.pcap")),
            end: lab.udp("127.0.0.1:0"),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture and reads it: all that was on the wire before. (dumpcap hands packets over in batches, and loses the
    /// last one when it is stopped.)
    pub fn stop(mut self) -> Wire {
        let own = self.end.local_addr().expect("bound");
        self.end.send_to(END, own).expect("loopback takes it");
        wait::until(
            &format!("the last packet in {}", self.file.display()),
            wait::SOON,
            || {
                let file = fs::read(&self.file).ok()?;
                file.windows(END.len())
                    .rev()
                    .any(|octets| octets == END)
                    .then_some(())
            },
            || self.dumpcap.output(),
        );
        self.dumpcap.terminate();
        self.dumpcap.wait(wait::SOON);
        let told = self.dumpcap.output();
        let lossless = told.lines().any(|line| {
            line.starts_with("Packets received/dropped") && line.contains("/0 (pcap:0/")
        });
        assert!(
            lossless,
            "dumpcap lost packets, so this capture proves nothing\n{told}"
        );
        Wire::read(&self.file)
    }
}

/// A UDP datagram.
#[derive(Debug, Clone)]
pub struct Datagram {
    /// When, in seconds of the epoch.
    pub time: f64,
    /// From.
    pub source: SocketAddrV4,
    /// To.
    pub destination: SocketAddrV4,
    /// What it carries.
    pub data: Vec<u8>,
}

/// The RTP packet in a datagram (RFC 3550 section 5.1), as far as it is in clear in SRTP too.
#[derive(Debug, Clone, Copy)]
pub struct Rtp<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Everything behind the header.
    pub payload: &'a [u8],
}

impl Datagram {
    /// As RTP, if it looks like it: version 2, no RTCP packet type (RFC 5761 section 4).
    pub fn rtp(&self) -> Option<Rtp<'_>> {
        let data = &self.data;
        if data.len() < 12 || data[0] >> 6 != 2 || (192..=223).contains(&data[1]) || self.is_sip() {
            return None;
        }
        let mut header = 12 + 4 * usize::from(data[0] & 0x0f);
        if data[0] & 0x10 != 0 {
            let words = data.get(header + 2..header + 4)?;
            header += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        Some(Rtp {
            payload_type: data[1] & 0x7f,
            sequence: u16::from_be_bytes([data[2], data[3]]),
            payload: data.get(header..)?,
        })
    }

    fn is_sip(&self) -> bool {
        [self.source.port(), self.destination.port()]
            .iter()
            .any(|port| (5060..5100).contains(port))
    }

    /// Whether it describes a stream that is on, without keys for it.
    fn describes_in_clear(&self) -> bool {
        let text = String::from_utf8_lossy(&self.data);
        let mut streams = text.split("\r\nm=").skip(1);
        streams.any(|stream| {
            let is_off = stream.split(' ').nth(1) == Some("0");
            !is_off && !stream.contains("a=crypto:") && !stream.contains("a=fingerprint:")
        })
    }

    /// Whether it is a G.711 packet whose audio can be heard. `tones`: what the call sent.
    pub fn is_audio(&self, tones: &[f64]) -> bool {
        self.rtp()
            .is_some_and(|rtp| audio::is_audio(rtp.payload, tones))
    }
}

/// A finished capture.
#[derive(Debug)]
pub struct Wire {
    /// Its datagrams, in order.
    pub datagrams: Vec<Datagram>,
}

impl Wire {
    /// Reads a file in the classic format, of an Ethernet-like device.
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let word =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets"));
        assert_eq!(
            word(0),
            0xa1b2_3c4d,
            "{}: not a capture with nanoseconds, as dumpcap writes it",
            path.display()
        );
        assert_eq!(word(20), 1, "{}: not LINKTYPE_ETHERNET", path.display());
        let mut datagrams = Vec::new();
        let mut at = 24;
        while at + 16 <= bytes.len() {
            let length = word(at + 8) as usize;
            let time = f64::from(word(at)) + f64::from(word(at + 4)) / 1e9;
            datagrams.extend(udp(time, &bytes[at + 16..at + 16 + length]));
            at += 16 + length;
        }
        Self { datagrams }
    }

    /// The RTP and SRTP datagrams that a host sent.
    pub fn rtp_from(&self, host: &str) -> Vec<&Datagram> {
        self.rtp(|datagram| datagram.source.ip(), host)
    }

    /// The RTP and SRTP datagrams that a host got.
    pub fn rtp_to(&self, host: &str) -> Vec<&Datagram> {
        self.rtp(|datagram| datagram.destination.ip(), host)
    }

    fn rtp(&self, end: fn(&Datagram) -> &Ipv4Addr, host: &str) -> Vec<&Datagram> {
        let host: Ipv4Addr = host.parse().expect("an address");
        self.datagrams
            .iter()
            .filter(|datagram| *end(datagram) == host && datagram.rtp().is_some())
            .collect()
    }

    /// What a host sent in clear of calls: RTP whose audio can be heard, and SIP that describes a stream without keys.
    pub fn in_clear_from(&self, host: &str, tones: &[f64]) -> Vec<&Datagram> {
        let host: Ipv4Addr = host.parse().expect("an address");
        let sent = self.datagrams.iter().filter(|it| *it.source.ip() == host);
        sent.filter(|it| it.is_audio(tones) || (it.is_sip() && it.describes_in_clear()))
            .collect()
    }

    /// The datagrams anywhere whose audio can be heard.
    pub fn audible(&self, tones: &[f64]) -> Vec<&Datagram> {
        self.datagrams
            .iter()
            .filter(|datagram| datagram.is_audio(tones))
            .collect()
    }
}

/// The UDP datagram in an Ethernet frame with IPv4.
fn udp(time: f64, frame: &[u8]) -> Option<Datagram> {
    let packet = frame.get(14..)?;
    if frame[12..14] != [0x08, 0x00] || *packet.get(9)? != 17 {
        return None;
    }
    let header = 4 * usize::from(packet[0] & 0x0f);
    let segment = packet.get(header..)?;
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            segment.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let address = |at: usize| {
        Some(Ipv4Addr::from(
            <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?,
        ))
    };
    Some(Datagram {
        time,
        source: SocketAddrV4::new(address(12)?, port(0)?),
        destination: SocketAddrV4::new(address(16)?, port(2)?),
        data: segment.get(8..usize::from(port(4)?))?.to_vec(),
    })
}
