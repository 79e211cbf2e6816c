//! SIP over UDP, as far as one call needs it: calls, is called, and changes the call.

mod dialogs;
mod early;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::lab::Lab;
use crate::wait::SOON;

/// Payload type of digits.
pub const DIGITS: u8 = 101;

/// What a phone says about its one stream.
#[derive(Debug, Clone)]
pub struct Description {
    /// Port of the media.
    pub port: u16,
    /// `a=crypto` values. None: plain RTP.
    pub crypto: Vec<String>,
    /// The profile, where it is not the one that goes with the keys.
    pub profile: Option<&'static str>,
    /// Payload type of the one codec: 0 is PCMU, 3 GSM, 8 PCMA.
    pub codec: u8,
    /// Digits come as RFC 4733 has them ([`super::Media::press`]).
    pub digits: bool,
    /// `a=` line of the audio's direction: `sendonly`. None: both.
    pub direction: Option<&'static str>,
    /// Port of a second stream, of video (VP8, payload type 96), with the same keys.
    pub video: Option<u16>,
    /// As a browser has it: both streams on one port, with DTLS-SRTP.
    pub bundle: Option<Bundle>,
}

/// What a browser's description says of its one transport (RFC 8843, RFC 5763), whose DTLS client it is.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its certificate's.
    pub fingerprint: String,
    /// The SSRCs of audio and video.
    pub ssrcs: [u32; 2],
    /// Whether the video's packets may say when they were sent, in a header extension.
    pub abs_send_time: bool,
}

impl Bundle {
    /// The lines of the session.
    fn of_session(&self) -> String {
        format!(
            "a=group:BUNDLE 0 1\r\na=setup:active\r\na=fingerprint:{}\r\n",
            self.fingerprint
        )
    }

    /// The lines of the `n`th stream.
    fn of_stream(&self, n: usize) -> String {
        let extension = match (n, self.abs_send_time) {
            (1, true) => {
                "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
            }
            _ => "",
        };
        format!(
            "a=mid:{n}\r\na=rtcp-mux\r\na=ssrc:{} cname:phone\r\n{extension}",
            self.ssrcs[n]
        )
    }
}

impl Description {
    /// PCMU in both directions.
    pub fn new(port: u16, crypto: &[String]) -> Self {
        Self {
            port,
            crypto: crypto.to_vec(),
            profile: None,
            codec: 0,
            digits: false,
            direction: None,
            video: None,
            bundle: None,
        }
    }
}

/// What the other side said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The description.
    pub sdp: String,
}

impl Answer {
    /// Its `a=crypto` values.
    pub fn crypto(&self) -> Vec<String> {
        let lines = self.sdp.lines();
        lines
            .filter_map(|line| line.strip_prefix("a=crypto:"))
            .map(str::to_owned)
            .collect()
    }

    /// Where its audio comes from, and goes to.
    pub fn media(&self) -> SocketAddr {
        self.stream("audio")
    }

    /// The same of another stream.
    pub fn stream(&self, kind: &str) -> SocketAddr {
        let find = |prefix: &str| {
            let line = self.sdp.lines().find_map(|line| line.strip_prefix(prefix));
            line.unwrap_or_else(|| panic!("no {prefix} in\n{}", self.sdp))
        };
        let port = find(&format!("m={kind} "))
            .split(' ')
            .next()
            .expect("a port");
        format!("{}:{port}", find("c=IN IP4 "))
            .parse()
            .expect("an address")
    }
}

pub use early::{Early, End, Ringing};

/// A SIP message.
#[derive(Debug, Clone)]
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            first,
            headers,
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(is, _)| is.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// Its status; `None`: it is a request.
    fn status(&self) -> Option<u16> {
        let rest = self.first.strip_prefix("SIP/2.0 ")?;
        rest.split(' ').next()?.parse().ok()
    }

    /// What a request and its retransmissions have alike, and no other request.
    fn transaction(&self) -> String {
        format!("{} {}", self.header("Via"), self.header("CSeq"))
    }

    fn uri_of_contact(&self) -> String {
        let contact = self.header("Contact");
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        uri.to_owned()
    }
}

/// A phone in at most one call.
#[derive(Debug)]
pub struct Phone {
    socket: UdpSocket,
    host: String,
    asterisk: SocketAddr,
    /// The call's `Call-ID`.
    pub call_id: String,
    ours: String,
    theirs: String,
    target: String,
    cseq: u32,
    version: u32,
    /// Its descriptions are a part of a `multipart/mixed` body (RFC 5621).
    pub is_multipart: bool,
    /// What a PRACK says of the reliable response that it is for.
    rack: String,
    /// The last response to each request that came: a retransmission gets it again (RFC 3261 section 17.2).
    responses: Vec<(String, String)>,
}

/// A number that no other call or transaction of this process has.
fn unique() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Phone {
    /// A phone at `host`, port 5060, beside the Asterisk at `asterisk`.
    pub fn new(lab: &Lab, host: &str, asterisk: &str) -> Self {
        Self {
            socket: lab.udp(&format!("{host}:5060")),
            host: host.to_owned(),
            asterisk: format!("{asterisk}:5060").parse().expect("an address"),
            call_id: String::new(),
            ours: String::new(),
            theirs: String::new(),
            target: String::new(),
            cseq: 0,
            version: 0,
            is_multipart: false,
            rack: String::new(),
            responses: Vec::new(),
        }
    }

    /// Calls an extension of Asterisk's.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn call(&mut self, extension: &str, offer: &Description) -> Result<Answer, u16> {
        self.begin_call(extension);
        self.invite(offer)
    }

    fn begin_call(&mut self, extension: &str) {
        let n = unique();
        self.call_id = format!("call-{n}@{}", self.host);
        self.ours = format!("<sip:phone@{}>;tag=t{n}", self.host);
        self.target = format!("sip:{extension}@{}", self.asterisk);
        self.theirs = format!("<{}>", self.target);
    }

    /// Offers another description in the call.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn reinvite(&mut self, offer: &Description) -> Result<Answer, u16> {
        assert!(!self.call_id.is_empty(), "there is no call");
        self.invite(offer)
    }

    /// [`Phone::reinvite`] with a description that is another's word for word.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn reinvite_with_sdp(&mut self, sdp: &str) -> Result<Answer, u16> {
        assert!(!self.call_id.is_empty(), "there is no call");
        self.invite_with_sdp(sdp)
    }

    /// Sends such a re-INVITE, whatever is said to it.
    pub fn send_reinvite_with_sdp(&mut self, sdp: &str) {
        self.cseq += 1;
        self.send(&self.request("INVITE", unique(), sdp));
    }

    /// [`Phone::call`] with a description that is another's word for word.
    ///
    /// # Errors
    ///
    /// The status that refused it.
    pub fn call_with_sdp(&mut self, extension: &str, sdp: &str) -> Result<Answer, u16> {
        self.begin_call(extension);
        self.invite_with_sdp(sdp)
    }

    fn invite(&mut self, offer: &Description) -> Result<Answer, u16> {
        let sdp = self.describe(offer);
        self.invite_with_sdp(&sdp)
    }

    fn invite_with_sdp(&mut self, sdp: &str) -> Result<Answer, u16> {
        self.cseq += 1;
        let branch = unique();
        self.send(&self.request("INVITE", branch, sdp));
        let answer = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        let status = answer.status().expect("a response");
        if status < 300 {
            self.theirs = answer.header("To").to_owned();
            self.target = answer.uri_of_contact();
            self.send(&self.request("ACK", unique(), ""));
            return Ok(Answer { sdp: answer.body });
        }
        let mut ack = self.request("ACK", branch, "");
        // The refusal's tag, which is not the dialog's when there is none yet.
        ack = ack.replace(
            &format!("To: {}\r\n", self.theirs),
            &format!("To: {}\r\n", answer.header("To")),
        );
        self.send(&ack);
        Err(status)
    }

    /// Waits for an INVITE, or a re-INVITE, and answers it with 200. What it offered.
    pub fn answer(&mut self, answer: impl FnOnce(&Answer) -> Description) -> Answer {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.accept(&invite, answer)
    }

    /// Waits for an INVITE. One phone behind a proxy gives early media, and another one answers.
    pub fn answer_forked(&mut self, early: &Description, answer: &Description) -> Answer {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.ours = format!("{};tag=early", invite.header("To"));
        let sdp = self.describe(early);
        self.respond(&invite, "183 Session Progress", &sdp);
        self.accept(&invite, |_| answer.clone())
    }

    /// Waits for a re-INVITE and refuses it, as if it had crossed one of ours.
    pub fn refuse(&mut self) {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.respond(&invite, "491 Request Pending", "");
        self.wait(|message| message.first.starts_with("ACK "));
    }

    /// [`Phone::answer`] with a description that is another's word for word.
    pub fn answer_with_sdp(&mut self, sdp: &str) -> Answer {
        let invite = self.wait(|message| message.first.starts_with("INVITE "));
        self.accept_with_sdp(&invite, sdp)
    }

    fn accept(&mut self, invite: &Message, answer: impl FnOnce(&Answer) -> Description) -> Answer {
        let offer = Answer {
            sdp: invite.body.clone(),
        };
        let sdp = self.describe(&answer(&offer));
        self.accept_with_sdp(invite, &sdp)
    }

    fn accept_with_sdp(&mut self, invite: &Message, sdp: &str) -> Answer {
        let offer = Answer {
            sdp: invite.body.clone(),
        };
        self.call_id = invite.header("Call-ID").to_owned();
        self.theirs = invite.header("From").to_owned();
        self.target = invite.uri_of_contact();
        self.ours = invite.header("To").to_owned();
        if !self.ours.contains(";tag=") {
            self.ours += ";tag=answered";
        }
        self.respond(invite, "200 OK", sdp);
        self.wait(|message| message.first.starts_with("ACK "));
        offer
    }

    /// Answers whatever comes, until Asterisk ends the call.
    pub fn wait_for_hang_up(&mut self) {
        let bye = self.wait(|message| message.first.starts_with("BYE "));
        self.respond(&bye, "200 OK", "");
        self.call_id.clear();
    }

    /// Ends the call.
    pub fn hang_up(&mut self) {
        self.cseq += 1;
        self.send(&self.request("BYE", unique(), ""));
        self.wait(|message| message.status().is_some_and(|status| status >= 200));
        self.call_id.clear();
    }

    /// Has Asterisk transfer its other side to an extension; with `replaces`, to the call of that phone instead (RFC 3891), by
    /// whose number it is. Waits until Asterisk says that it is done.
    pub fn transfer(&mut self, extension: &str, replaces: Option<&Phone>) {
        let done = self.try_transfer(extension, replaces);
        assert!(done.starts_with("SIP/2.0 200"), "{done}");
    }

    /// [`Phone::transfer`]; what Asterisk says became of it.
    pub fn try_transfer(&mut self, extension: &str, replaces: Option<&Phone>) -> String {
        let tag = |side: &str| {
            side.split_once(";tag=")
                .expect("a dialog's tag")
                .1
                .to_owned()
        };
        let replaces = replaces.map_or_else(String::new, |call| {
            let (to, from) = (tag(&call.theirs), tag(&call.ours));
            let id = call.call_id.replace('@', "%40");
            format!("?Replaces={id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}")
        });
        self.cseq += 1;
        let refer = self.request("REFER", unique(), "").replace(
            "Content-Length:",
            &format!(
                "Refer-To: <sip:{extension}@{}{replaces}>\r\nContent-Length:",
                self.asterisk
            ),
        );
        self.send(&refer);
        let answer = self.wait(|message| message.status().is_some_and(|status| status >= 200));
        assert_eq!(answer.status(), Some(202), "{}", answer.first);
        let done = self.wait(|message| {
            message.first.starts_with("NOTIFY ") && !message.body.starts_with("SIP/2.0 1")
        });
        self.respond(&done, "200 OK", "");
        done.body
    }

    fn describe(&mut self, what: &Description) -> String {
        self.version += 1;
        let (host, version) = (&self.host, self.version);
        let profile = what
            .profile
            .unwrap_or(match (&what.bundle, what.crypto.is_empty()) {
                (Some(_), _) => "UDP/TLS/RTP/SAVPF",
                (None, true) => "RTP/AVP",
                (None, false) => "RTP/SAVP",
            });
        let (of_session, [of_audio, of_video]) = match &what.bundle {
            Some(bundle) => (bundle.of_session(), [0, 1].map(|n| bundle.of_stream(n))),
            None => Default::default(),
        };
        let codec = match what.codec {
            0 => "0 PCMU/8000",
            3 => "3 GSM/8000",
            8 => "8 PCMA/8000",
            other => panic!("codec {other}"),
        };
        let digits = if what.digits {
            format!(" {DIGITS}")
        } else {
            String::new()
        };
        let mut sdp = format!(
            "v=0\r\no=- 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n{of_session}\
             m=audio {} {profile} {}{digits}\r\na=rtpmap:{codec}\r\n{of_audio}",
            what.port, what.codec
        );
        if what.digits {
            sdp += &format!("a=rtpmap:{DIGITS} telephone-event/8000\r\na=fmtp:{DIGITS} 0-16\r\n");
        }
        if let Some(direction) = what.direction {
            sdp += &format!("a={direction}\r\n");
        }
        for line in &what.crypto {
            sdp += &format!("a=crypto:{line}\r\n");
        }
        if let Some(port) = what.video {
            sdp += &format!("m=video {port} {profile} 96\r\na=rtpmap:96 VP8/90000\r\n{of_video}");
            for line in &what.crypto {
                sdp += &format!("a=crypto:{line}\r\n");
            }
        }
        sdp
    }

    fn request(&self, method: &str, branch: u32, sdp: &str) -> String {
        let Self {
            host,
            call_id,
            ours,
            theirs,
            target,
            cseq,
            ..
        } = self;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: {ours}\r\nTo: {theirs}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:phone@{host}:5060>\r\n{}",
            self.body(sdp)
        )
    }

    fn body(&self, sdp: &str) -> String {
        if self.is_multipart && !sdp.is_empty() {
            return multipart(sdp);
        }
        body(sdp)
    }

    fn response(&self, to: &Message, status: &str, sdp: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &to.headers {
            if ["via", "from", "call-id", "cseq", "record-route"]
                .contains(&name.to_ascii_lowercase().as_str())
            {
                text += &format!("{name}: {value}\r\n");
            }
        }
        format!(
            "{text}To: {}\r\nContact: <sip:phone@{}:5060>\r\n{}",
            self.ours,
            self.host,
            self.body(sdp)
        )
    }

    fn respond(&mut self, to: &Message, status: &str, sdp: &str) {
        let response = self.response(to, status, sdp);
        self.send(&response);
        let transaction = to.transaction();
        self.responses.retain(|(other, _)| *other != transaction);
        self.responses.push((transaction, response));
    }

    fn send(&self, message: &str) {
        self.socket
            .send_to(message.as_bytes(), self.asterisk)
            .expect("loopback takes it");
    }

    /// Waits for a message, and answers requests of another kind.
    fn wait(&mut self, is_it: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + SOON;
        let mut seen = Vec::new();
        let mut buffer = [0; 16_384];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited {SOON:?} in vain for a SIP message to {}; came: {seen:?}",
                self.host
            );
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let Ok(length) = self.socket.recv(&mut buffer) else {
                continue;
            };
            let message = Message::parse(&String::from_utf8_lossy(&buffer[..length]));
            seen.push(message.first.clone());
            let again = self
                .responses
                .iter()
                .find(|(transaction, _)| *transaction == message.transaction());
            if let Some((_, response)) = again
                && message.status().is_none()
            {
                self.send(response);
                continue;
            }
            // A late answer to an earlier request is not the one.
            let current = message.status().is_none()
                || message
                    .header("CSeq")
                    .starts_with(&format!("{} ", self.cseq));
            // Nor is the end of a call that another phone had here, which Asterisk sends behind the end of its channel.
            let of_another = message.first.starts_with("BYE ")
                && !self.call_id.is_empty()
                && message.header("Call-ID") != self.call_id;
            if current && !of_another && is_it(&message) {
                return message;
            }
            if message.status().is_none() && !message.first.starts_with("ACK ") {
                self.respond(&message, "200 OK", "");
            }
        }
    }
}

fn multipart(sdp: &str) -> String {
    let parts = format!(
        "--part\r\nContent-Type: text/plain\r\n\r\nhello\r\n--part\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--part--\r\n"
    );
    format!(
        "Content-Type: multipart/mixed;boundary=part\r\nContent-Length: {}\r\n\r\n{parts}",
        parts.len()
    )
}

fn body(sdp: &str) -> String {
    if sdp.is_empty() {
        return "Content-Length: 0\r\n\r\n".to_owned();
    }
    format!(
        "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}
