//! What real peers offer and answer (tests/peers, docs/peers.md), to our Asterisk and to a stock one. An offer goes to an
//! endpoint that requires SDES and to one that is optimistic about it; an answer comes from one that requires it. The phone's
//! SRTP is libsrtp's.

#[path = "../peers/case.rs"]
mod case;

use std::net::SocketAddr;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::sip::Answer;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Key, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

use case::{Case, Verdict, same};

const OURS: &str = "127.0.0.10";
const STOCK: &str = "127.0.0.11";
/// Its endpoint requires SDES.
const REQUIRED: &str = "127.0.0.20";
/// Its endpoint has `media_encryption_optimistic = yes`.
const OPTIMISTIC: &str = "127.0.0.21";
const PORT: u16 = 7000;
/// Of a second stream, which nobody uses.
const OTHER_PORT: u16 = 7100;
/// How often audio that does not come back is sent, once Asterisk is in the dialplan's `Echo`.
const TRIES: usize = 25;

#[test]
fn to_ours() {
    let lab = Lab::new("peers-ours");
    let ours = Asterisk::start(&lab, &endpoints(Setup::ours("ours", OURS)));
    let mut world = World::new(&lab, &ours, OURS, ["ours", "optimistic"]);
    let mut verdict = Verdict::default();
    world.offer_all(&mut verdict);
    world.answer_all(&mut verdict);
    verdict.end();
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert!(ours.count("RTP unprotected") > 50);
    assert_eq!(ours.count("Panics caught"), 0);
}

#[test]
fn to_stock() {
    let lab = Lab::new("peers-stock");
    let stock = Asterisk::start(&lab, &endpoints(Setup::stock("stock", STOCK)));
    let mut world = World::new(&lab, &stock, STOCK, ["stock", "stock-optimistic"]);
    let mut verdict = Verdict::default();
    world.offer_all(&mut verdict);
    world.answer_all(&mut verdict);
    verdict.end();
}

fn endpoints(setup: Setup) -> Setup {
    let endpoint = |name, host, more| {
        pjsip::trunk(name, host, Encryption::Sdes)
            .replace("allow = ulaw\n", "allow = ulaw,alaw\n")
            .replace(
                "media_encryption = sdes\n",
                &format!("media_encryption = sdes\n{more}"),
            )
    };
    setup
        .pjsip(UDP)
        .pjsip(&endpoint("required", REQUIRED, ""))
        .pjsip(&endpoint(
            "optimistic",
            OPTIMISTIC,
            "media_encryption_optimistic = yes\n",
        ))
        .dialplan(pjsip::ECHO)
}

/// A phone at each endpoint's address, and under which name the files have what is to come of a call.
struct World<'lab> {
    pbx: &'lab Asterisk<'lab>,
    phones: [(Phone, Media, &'static str); 2],
}

impl<'lab> World<'lab> {
    fn new(lab: &Lab, pbx: &'lab Asterisk<'lab>, address: &str, names: [&'static str; 2]) -> Self {
        let phone = |host, name| {
            (
                Phone::new(lab, host, address),
                Media::new(lab, &format!("{host}:{PORT}")),
                name,
            )
        };
        Self {
            pbx,
            phones: [phone(REQUIRED, names[0]), phone(OPTIMISTIC, names[1])],
        }
    }

    fn offer_all(&mut self, verdict: &mut Verdict) {
        for case in case::all("offers") {
            for ((phone, media, name), host) in self.phones.iter_mut().zip([REQUIRED, OPTIMISTIC]) {
                let expected = case.get(name);
                let got = offer(self.pbx, phone, media, &case, host, expected);
                let pending = case.find("pending").filter(|_| !name.starts_with("stock"));
                let outcome = match expected.strip_suffix(" *") {
                    // With whatever reason.
                    Some(status) if got.starts_with(status) => Ok(()),
                    _ => same(&got, expected),
                };
                verdict.judge(&format!("{} ({name})", case.name), pending, outcome);
            }
        }
    }

    fn answer_all(&mut self, verdict: &mut Verdict) {
        let pbx = self.pbx;
        let (phone, media, name) = &mut self.phones[0];
        for case in case::all("answers") {
            // To an offer as every endpoint has it, and with audio that can be heard.
            let Some(expected) = case.find(name) else {
                continue;
            };
            let pending = case.find("pending").or(case.find("pending-call"));
            let pending = pending.filter(|_| *name != "stock");
            let got = answer(pbx, phone, media, &case, expected, pending.is_none());
            verdict.judge(
                &format!("{} ({name})", case.name),
                pending,
                same(&got, expected),
            );
        }
    }
}

/// Asterisk calls, and the phone answers so. What comes of the call: `ended` by Asterisk; `encrypted`; `silent`, and up.
fn answer(
    pbx: &Asterisk<'_>,
    phone: &mut Phone,
    media: &mut Media,
    case: &Case,
    expected: &str,
    waits: bool,
) -> String {
    pbx.cli("channel originate PJSIP/required extension echo@default");
    let sdp = description(case, REQUIRED);
    let offer = phone.answer_with_sdp(&sdp);
    if expected == "ended" && waits {
        phone.wait_for_hang_up();
        pbx.wait_for_channels(0);
        return "ended".to_owned();
    }
    let lines = offer.crypto();
    let [line] = &lines[..] else {
        panic!("{}: one line is offered, not {lines:?}", case.name)
    };
    media.send_to(offer.media());
    media.receive_with(&Key::of_line(line));
    let own = sdp
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("a=crypto:"));
    let own = own.and_then(|own| own.split("inline:").nth(1));
    let own = own.map_or_else(Vec::new, |key| {
        base64(key.split(['|', ' ']).next().expect("a key"))
    });
    media.payload_type = Stream::of(&sdp).codec;
    media.send_with(
        &match own.len() {
            30 => Key {
                key_salt: own,
                ..Key::new(AES_80, 1)
            },
            _ => Key::new(AES_80, 1),
        },
        0,
    );
    let channels = || pbx.cli("core show channels concise");
    let in_echo = pbx.wait_until("the call in Echo, or its end", |_| match &channels()[..] {
        text if text.contains("!Up!Echo!") => Some(true),
        text if text.trim().is_empty() => Some(false),
        _ => None,
    });
    let hears = in_echo && expected != "ended";
    // A stream that nobody reads does not even answer STUN: this is no `Media::echo`.
    let mut comes_back = || {
        let audio = media.audio();
        media.send(&audio);
        media.try_for(&audio)
    };
    let heard = hears
        && match expected {
            "encrypted" if waits => wait::poll(wait::SOON, comes_back).is_some(),
            _ => (0..TRIES).any(|_| comes_back().is_some()),
        };
    let outcome = match () {
        () if heard => "encrypted",
        () if channels().trim().is_empty() => "ended",
        () => "silent",
    };
    if outcome != "ended" {
        pbx.cli("channel request hangup all");
    }
    phone.wait_for_hang_up();
    pbx.wait_for_channels(0);
    outcome.to_owned()
}

/// The file's description, as a phone at `host` sends it.
fn description(case: &Case, host: &str) -> String {
    let line = |line: &String| {
        line.replace("{host}", host)
            .replace("{port}", &PORT.to_string())
            .replace("{port2}", &OTHER_PORT.to_string())
            .replace("{rtcp}", &(PORT + 1).to_string())
            + "\r\n"
    };
    case.lines.iter().map(line).collect()
}

/// Calls `echo`. What comes of it: `488`, with the reason that the log gives, if it gives one; `200 clear`;
/// `200 encrypted`: audio that was encrypted by the phone's key comes back, encrypted by Asterisk's; `200 silent`: it does
/// not; `200 SUITE`: libsrtp has not this suite, or derives its keys wrongly (cisco/libsrtp#763). Behind it the profile of the
/// answer, if it has keys and is not RTP/SAVP.
fn offer(
    pbx: &Asterisk<'_>,
    phone: &mut Phone,
    media: &mut Media,
    case: &Case,
    host: &str,
    expected: &str,
) -> String {
    let answer = match phone.call_with_sdp("echo", &description(case, host)) {
        Ok(answer) => answer,
        Err(status) => return format!("{status}{}", reason(pbx, &phone.call_id)),
    };
    let lines = answer.crypto();
    let stream = Stream::of(&answer.sdp);
    let mut outcome = match &lines[..] {
        [] => "200 clear".to_owned(),
        [line] => match keys(case, line) {
            None => format!("200 {}", suite(line)),
            Some((own, theirs)) => {
                media.send_to(stream.from);
                media.payload_type = stream.codec;
                media.send_with(&own, 0);
                media.receive_with(&theirs);
                pbx.wait_until("the call in Echo", |pbx| {
                    let channels = pbx.cli("core show channels concise");
                    channels.contains("!Up!Echo!").then_some(())
                });
                let echo = match expected.starts_with("200 encrypted") {
                    true => wait::poll(wait::SOON, || media.echo()),
                    false => (0..TRIES).find_map(|_| media.echo()),
                };
                match echo {
                    Some(_) => "200 encrypted".to_owned(),
                    None => "200 silent".to_owned(),
                }
            }
        },
        lines => format!("200 with {} crypto lines", lines.len()),
    };
    if !lines.is_empty() && stream.transport != "RTP/SAVP" {
        outcome += &format!(" in {}", stream.transport);
    }
    phone.hang_up();
    pbx.wait_for_channels(0);
    outcome
}

/// The code of the log's last line about a call.
fn reason(pbx: &Asterisk<'_>, call_id: &str) -> String {
    let lines = pbx.all_log_lines(call_id);
    let code = lines
        .iter()
        .rev()
        .find_map(|line| line.split("refused, reason ").nth(1)?.split(':').next());
    code.map(|code| format!(" {code}")).unwrap_or_default()
}

fn suite(line: &str) -> &str {
    line.split(' ').nth(1).expect("a suite")
}

/// A description's audio: of several streams, the one that is not declined.
struct Stream {
    transport: String,
    codec: u8,
    from: SocketAddr,
}

impl Stream {
    fn of(sdp: &str) -> Self {
        let live = sdp.lines().filter(|line| !line.starts_with("m=audio 0 "));
        let live = live.collect::<Vec<_>>().join("\n");
        let line = live
            .lines()
            .find_map(|line| line.strip_prefix("m=audio "))
            .unwrap_or_else(|| panic!("no audio in\n{sdp}"));
        let words: Vec<&str> = line.split(' ').collect();
        Self {
            transport: words[1].to_owned(),
            codec: words[2].parse().expect("a payload type"),
            from: Answer { sdp: live.clone() }.media(),
        }
    }
}

/// The phone's key of the line that is answered, and Asterisk's.
fn keys(case: &Case, answered: &str) -> Option<(Key, Key)> {
    const UNKNOWN: &[&str] = &[
        "_192_",
        "AES_256_CM_HMAC_SHA1_32",
        "AES_CM_256_HMAC_SHA1_32",
    ];
    if UNKNOWN.iter().any(|part| suite(answered).contains(part)) {
        return None;
    }
    let theirs = Key::of_line(answered);
    let tag = answered.split(' ').next().expect("a tag");
    let offered = case
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("a=crypto:"))
        .find(|line| line.split(' ').next() == Some(tag))
        .unwrap_or_else(|| panic!("{}: {answered:?} answers no line", case.name));
    let inline = offered.split("inline:").nth(1).expect("a key");
    let mut fields = inline.split([' ', '\t']).next().expect("a key").split('|');
    let own = Key {
        key_salt: base64(fields.next().expect("a key")),
        ..theirs.clone()
    };
    assert_eq!(own.key_salt.len(), theirs.key_salt.len(), "{}", case.name);
    // A peer that announces an MKI puts it into its packets: VALUE:LENGTH.
    let mki = fields.find_map(|field| field.split_once(':'));
    let own = match mki {
        Some((value, length)) => {
            let value: u64 = value.parse().expect("a short MKI");
            let length: usize = length.parse().expect("a length");
            own.with_mki(&value.to_be_bytes()[8 - length..])
        }
        None => own,
    };
    Some((own, theirs))
}

/// With padding or without, whatever the spare bits are.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut octets) = (0_u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|&is| is == digit);
        bits = bits << 6 | value.expect("a digit of base64") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    octets
}
