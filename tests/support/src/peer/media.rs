//! One stream of packets, each of which the test can choose.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::wait::{SOON, TRY};

use super::dtls::{self, Identity};
use super::sip::DIGITS;
use super::srtp::{Key, Srtp};

const SAMPLES: u32 = 160;
const HEADER: usize = 12;

/// Octets of an RTP packet's header, with the header extension (RFC 3550 section 5.3.1). No packet here has CSRCs.
fn header(packet: &[u8]) -> usize {
    if packet[0] & 0x10 == 0 || packet.len() < HEADER + 4 {
        return HEADER;
    }
    let words = u16::from_be_bytes([packet[HEADER + 2], packet[HEADER + 3]]);
    packet.len().min(HEADER + 4 + 4 * usize::from(words))
}

fn payload(packet: &[u8]) -> Option<Vec<u8>> {
    packet.get(header(packet)..).map(<[u8]>::to_vec)
}

/// STUN's message types (RFC 8489 section 5): class and method.
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
/// Octets of a STUN message's type and length, and of the transaction's identifier behind them (with the magic cookie).
const STUN_TYPE: usize = 4;
const STUN_ID: usize = 16;

/// A binding request without attributes.
fn binding_request(number: u64) -> Vec<u8> {
    let mut request = BINDING_REQUEST.to_be_bytes().to_vec();
    request.extend([0, 0]);
    request.extend(u128::from(number).to_be_bytes());
    request
}

/// The number of the request that this answers, if it is an answer.
fn binding_response(datagram: &[u8]) -> Option<u64> {
    let id = datagram.get(STUN_TYPE..STUN_TYPE + STUN_ID)?;
    let id = u128::from_be_bytes(id.try_into().ok()?);
    (datagram[..2] == BINDING_RESPONSE.to_be_bytes()).then_some(())?;
    u64::try_from(id).ok()
}

/// What came on the media's socket.
enum Came {
    Media(Heard),
    /// The answer to the binding request with this number.
    Answer(u64),
}

/// A packet of media that came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its sequence number.
    pub sequence: u16,
    /// As it was on the wire.
    pub wire: Vec<u8>,
    /// Decrypted; `None`: it could not be.
    pub payload: Option<Vec<u8>>,
}

impl Heard {
    /// Whether this audio lies open in the packet.
    pub fn shows(&self, payload: &[u8]) -> bool {
        self.wire[header(&self.wire)..].starts_with(payload)
    }

    /// Its header.
    pub fn header(&self) -> &[u8] {
        &self.wire[..header(&self.wire)]
    }

    /// Its SSRC.
    pub fn ssrc(&self) -> u32 {
        let ssrc = self.wire[8..HEADER].try_into();
        u32::from_be_bytes(ssrc.expect("four octets"))
    }

    /// What it carries to a receiver that has seen no packet before it; `None`: it does not open under `key`.
    pub fn opened_anew(&self, key: &Key) -> Option<Vec<u8>> {
        payload(&Srtp::receiver(key).unprotect(&self.wire).ok()?)
    }
}

/// A stream.
#[derive(Debug)]
pub struct Media {
    socket: UdpSocket,
    /// The port above it.
    rtcp: UdpSocket,
    /// RTCP is on the media's port (RFC 5761).
    muxed: bool,
    to: Option<SocketAddr>,
    /// SSRC of what is sent.
    pub ssrc: u32,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number of the next packet.
    pub sequence: u16,
    timestamp: u32,
    payloads: u64,
    /// Binding requests that were sent.
    asked: u64,
    send: Option<Srtp>,
    receive: Option<Srtp>,
}

impl Media {
    /// At `host:port`, in clear until it gets keys.
    pub fn new(lab: &Lab, local: &str) -> Self {
        let socket = lab.udp(local);
        let above = socket.local_addr().expect("bound");
        let above = SocketAddr::new(above.ip(), above.port() + 1);
        Self {
            socket,
            rtcp: lab.udp(&above.to_string()),
            muxed: false,
            to: None,
            ssrc: 0x0511_ace5,
            payload_type: 0,
            sequence: 1000,
            timestamp: 0,
            payloads: 0,
            asked: 0,
            send: None,
            receive: None,
        }
    }

    /// Goes on at another `host:port`.
    pub fn move_to(&mut self, lab: &Lab, local: &str) {
        let there = Self::new(lab, local);
        self.socket = there.socket;
        self.rtcp = there.rtcp;
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    /// Sends there.
    pub fn send_to(&mut self, to: SocketAddr) {
        self.to = Some(to);
    }

    /// Sends with `key`, from rollover counter `roc` on.
    pub fn send_with(&mut self, key: &Key, roc: u32) {
        self.send = Some(Srtp::sender(key, self.ssrc, roc));
    }

    /// Receives with `key`, from rollover counter 0 on.
    pub fn receive_with(&mut self, key: &Key) {
        self.receive = Some(Srtp::receiver(key));
    }

    /// Gets its keys by DTLS-SRTP, as the client, and has its RTCP on the same port from now on. The key of the other side.
    pub fn shake_hands(&mut self, identity: &Identity) -> Key {
        let to = self.to.expect("an address to shake hands with");
        self.socket.connect(to).expect("loopback is there");
        let (ours, theirs) = dtls::shake_hands(&self.socket, identity);
        self.send_with(&ours, 0);
        self.receive_with(&theirs);
        self.muxed = true;
        theirs
    }

    /// Audio that was never sent before. Its octets differ as those of speech do.
    pub fn audio(&mut self) -> Vec<u8> {
        self.payloads += 1;
        let n = self.payloads;
        let mut audio: Vec<u8> = (0..SAMPLES)
            .map(|i| 0x80 | (u64::from(i) * (n % 63 + 1) % 96) as u8)
            .collect();
        audio[..8].copy_from_slice(&n.to_be_bytes());
        audio
    }

    /// The RTP packet with this sequence number.
    fn packet(&mut self, sequence: u16, payload: &[u8]) -> Vec<u8> {
        self.timestamp = self.timestamp.wrapping_add(SAMPLES);
        let mut packet = vec![0x80, self.payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        packet
    }

    /// The next packet as it goes over the wire.
    pub fn sealed(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = self.packet(self.sequence, payload);
        self.sequence = self.sequence.wrapping_add(1);
        match &mut self.send {
            Some(send) => send.protect(&packet),
            None => packet,
        }
    }

    /// Sends octets.
    pub fn send_raw(&self, wire: &[u8]) {
        let to = self.to.expect("an address to send to");
        self.socket.send_to(wire, to).expect("loopback takes it");
    }

    /// Sends audio under the next sequence number.
    pub fn send(&mut self, payload: &[u8]) {
        let wire = self.sealed(payload);
        self.send_raw(&wire);
    }

    /// Sends a digit (RFC 4733 section 2.3): 0 to 9, 10 is `*` and 11 `#`. Three packets, the last of which, its end, goes three times.
    pub fn press(&mut self, event: u8) {
        const END: u8 = 0x80;
        const VOLUME: u8 = 10;
        let codec = std::mem::replace(&mut self.payload_type, DIGITS);
        let begin = self.timestamp;
        for (packet, end) in [(1, 0), (2, 0), (3, END), (3, END), (3, END)] {
            let [high, low] = (packet * SAMPLES as u16).to_be_bytes();
            self.timestamp = begin;
            self.send(&[event, end | VOLUME, high, low]);
        }
        self.payload_type = codec;
        self.timestamp = begin.wrapping_add(3 * SAMPLES);
    }

    /// An empty receiver report (RFC 3550 section 6.4.2).
    fn report(&self) -> Vec<u8> {
        let mut report = vec![0x80, 201, 0, 1];
        report.extend(self.ssrc.to_be_bytes());
        report
    }

    /// Sends an empty receiver report, encrypted by `srtp`.
    pub fn send_report(&self, srtp: &mut Srtp) {
        self.send_rtcp(&srtp.protect_rtcp(&self.report()));
    }

    /// Asks for a packet once more: a generic NACK (RFC 4585 section 6.2.1).
    pub fn nack(&mut self, lost: &Heard) {
        let mut packet = self.report();
        packet.extend([0x81, 205, 0, 3]);
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(lost.ssrc().to_be_bytes());
        packet.extend(lost.sequence.to_be_bytes());
        // No packet behind it is missing.
        packet.extend([0, 0]);
        let wire = match &mut self.send {
            Some(send) => send.protect_rtcp(&packet),
            None => packet,
        };
        self.send_rtcp(&wire);
    }

    fn send_rtcp(&self, wire: &[u8]) {
        if self.muxed {
            return self.send_raw(wire);
        }
        let mut to = self.to.expect("an address to send to");
        to.set_port(to.port() + 1);
        self.rtcp.send_to(wire, to).expect("loopback takes it");
    }

    /// The next RTCP packet that comes, as it was on the wire.
    pub fn hear_report(&self, limit: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        self.rtcp.set_read_timeout(Some(limit)).expect("a timeout");
        let length = self.rtcp.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// The next packet of media that comes.
    pub fn hear(&mut self, limit: Duration) -> Option<Heard> {
        let end = Instant::now() + limit;
        loop {
            if let Came::Media(heard) = self.next(end)? {
                return Some(heard);
            }
        }
    }

    fn next(&mut self, end: Instant) -> Option<Came> {
        let mut buffer = [0; 2048];
        loop {
            let left = end.checked_duration_since(Instant::now())?;
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .expect("a timeout");
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let wire = buffer[..length].to_vec();
            if let Some(number) = binding_response(&wire) {
                return Some(Came::Answer(number));
            }
            if length < HEADER || wire[0] >> 6 != 2 || (192..=223).contains(&wire[1]) {
                continue;
            }
            let opened = match &mut self.receive {
                Some(receive) => receive.unprotect(&wire).ok(),
                None => Some(wire.clone()),
            };
            return Some(Came::Media(Heard {
                sequence: u16::from_be_bytes([wire[2], wire[3]]),
                payload: opened.and_then(|packet| payload(&packet)),
                wire,
            }));
        }
    }

    /// Waits until Asterisk has dealt with all that was sent so far; what came back meanwhile.
    ///
    /// Asterisk answers a STUN binding request in the thread that reads the media and in the order of the packets. What is
    /// echoed, sent again or dropped there has been so when the answer comes. What Asterisk hands to another channel of a
    /// bridge is not: for that, [`Media::hear_until`].
    pub fn settle(&mut self) -> Vec<Heard> {
        self.asked += 1;
        let asked = self.asked;
        self.send_raw(&binding_request(asked));
        let end = Instant::now() + SOON;
        let mut heard = Vec::new();
        loop {
            match self.next(end) {
                Some(Came::Media(packet)) => heard.push(packet),
                Some(Came::Answer(number)) if number == asked => return heard,
                Some(Came::Answer(_)) => {}
                None => panic!(
                    "waited {SOON:?} in vain for Asterisk to have read what was sent from port {}; {} packets came",
                    self.port(),
                    heard.len()
                ),
            }
        }
    }

    /// [`Media::settle`] for RTCP on a port of its own.
    pub fn settle_rtcp(&mut self) {
        assert!(!self.muxed, "RTCP is on the media's port");
        self.asked += 1;
        self.send_rtcp(&binding_request(self.asked));
        let end = Instant::now() + SOON;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let came = self.hear_report(left.max(Duration::from_millis(1)));
            if came.is_some_and(|came| binding_response(&came) == Some(self.asked)) {
                return;
            }
        }
        panic!("waited {SOON:?} in vain for Asterisk to have read the RTCP that was sent to it");
    }

    /// Everything that comes until it is quiet for `quiet`.
    pub fn hear_all(&mut self, quiet: Duration) -> Vec<Heard> {
        std::iter::from_fn(|| self.hear(quiet)).collect()
    }

    /// Everything that comes until this audio does, with it: it was sent behind what the test looks for.
    pub fn hear_until(&mut self, audio: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        let end = Instant::now() + SOON;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            all.extend(self.hear(left));
            let last = all.last().and_then(|heard| heard.payload.as_deref());
            if last == Some(audio) {
                return all;
            }
        }
        panic!(
            "waited {SOON:?} in vain for audio on port {}; {} packets came",
            self.port(),
            all.len()
        );
    }

    /// Sends new audio to Asterisk's `Echo`. `None`: it does not come back, or not so that it can be decrypted.
    pub fn echo(&mut self) -> Option<Heard> {
        let audio = self.audio();
        self.send(&audio);
        let heard = self.settle();
        heard
            .into_iter()
            .find(|heard| heard.payload.as_deref() == Some(&audio))
    }

    /// Waits until this audio comes.
    pub fn wait_for(&mut self, audio: &[u8]) -> Option<Heard> {
        self.wait_for_at_most(audio, SOON)
    }

    /// Waits a little for audio that may be lost, and is sent anew then.
    pub fn try_for(&mut self, audio: &[u8]) -> Option<Heard> {
        self.wait_for_at_most(audio, TRY)
    }

    fn wait_for_at_most(&mut self, audio: &[u8], limit: Duration) -> Option<Heard> {
        let end = Instant::now() + limit;
        loop {
            let left = end.checked_duration_since(Instant::now())?;
            let heard = self.hear(left)?;
            if heard.payload.as_deref() == Some(audio) {
                return Some(heard);
            }
        }
    }

    /// How many of `packets` come back.
    pub fn echoes(&mut self, packets: usize) -> usize {
        (0..packets).filter(|_| self.echo().is_some()).count()
    }

    /// Leaves out sequence numbers, as loss does, until both this side's and the echo's have wrapped. The core passes gaps
    /// of up to 100 on to the other side.
    pub fn echo_past_both_wraps(&mut self) {
        const STEP: u16 = 90;
        let (mut own, mut others) = (false, false);
        let mut before: Option<u16> = None;
        for _ in 0..3000 {
            if own && others {
                return;
            }
            let sent = self.sequence;
            let heard = self.echo().expect("an echo on the way to the wrap");
            others |= before.is_some_and(|before| heard.sequence < before);
            before = Some(heard.sequence);
            self.sequence = sent.wrapping_add(STEP);
            own |= self.sequence < sent;
        }
        panic!("the sequence numbers did not wrap (ours {own}, theirs {others})");
    }
}
