//! What the tests of bridged calls share: phones whose keys and packets the test chooses, which way their packets go through Asterisk, and
//! whether a key was used twice for one index.

use std::collections::HashMap;
use std::thread;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::sip::Answer;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Bundle, Description, Heard, Identity, Key, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

use crate::world::OURS;

/// Port of every phone's media.
pub const PORT: u16 = 7000;

/// Which way the packets of a bridge go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From leg to leg inside `res_rtp_asterisk`: with the SSRC and the sequence numbers that their sender gave them.
    Native,
    /// Through Asterisk's core, which sends with an SSRC of its own.
    Core,
}

impl Way {
    fn technology(self) -> &'static str {
        match self {
            Self::Native => "native_rtp",
            Self::Core => "simple_bridge",
        }
    }
}

/// Who is in a call. Each is an endpoint of its own, which requires SDES, and another one in clear: `right`, `plain-right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Left = 1,
    Right,
    Third,
    /// The second call of who transfers.
    Second,
}

const PLACES: [(Place, &str); 4] = [
    (Place::Left, "left"),
    (Place::Right, "right"),
    (Place::Third, "third"),
    (Place::Second, "second"),
];

fn name(place: Place, encrypted: bool) -> String {
    let (_, name) = PLACES
        .into_iter()
        .find(|(is, _)| *is == place)
        .expect("each has a name");
    format!("{}{name}", if encrypted { "" } else { "plain-" })
}

pub fn address(place: Place, encrypted: bool) -> String {
    format!("127.0.0.{}{}", if encrypted { 2 } else { 3 }, place as u8)
}

/// An Asterisk with these endpoints; each is an extension that dials it, and `with-features-` before its name lets both sides hang up by `*0`.
pub fn with_endpoints(setup: Setup) -> Setup {
    let mut setup = setup
        .pjsip(UDP)
        .also_modules(&[
            "app_chanspy",
            "app_senddtmf",
            "bridge_builtin_features",
            "res_pjsip_refer",
            "res_pjsip_dtmf_info",
        ])
        .dialplan("exten => spy,1,Answer()\n same => n,ChanSpy(PJSIP/,q)")
        .dialplan("exten => idle,1,Answer()\n same => n,Wait(600)")
        .file("features.conf", "[featuremap]\ndisconnect = *0\n");
    for (place, _) in PLACES {
        for encrypted in [true, false] {
            let encryption = if encrypted {
                Encryption::Sdes
            } else {
                Encryption::Plain
            };
            let name = name(place, encrypted);
            // The left and the right phone speak; the others may have video, and the second one gives up who says nothing.
            let more = match place {
                Place::Left | Place::Right => "allow = ulaw,alaw\n",
                Place::Third => "allow = ulaw,vp8\n",
                Place::Second => "allow = ulaw,vp8\nrtp_timeout = 2\n",
            };
            let endpoint = pjsip::trunk(&name, &address(place, encrypted), encryption)
                .replace("allow = ulaw\n", more);
            setup = setup.pjsip(&endpoint).dialplan(&format!(
                "exten => {name},1,Dial(PJSIP/{name})\n\
                 exten => with-features-{name},1,Dial(PJSIP/{name},,HhTt)"
            ));
        }
    }
    setup
}

/// The technology of each bridge of two that there is.
pub fn technologies(asterisk: &Asterisk<'_>) -> Vec<String> {
    let shown = asterisk.cli("bridge show all");
    let rows = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|row| {
        // The columns before it have more words in some versions.
        let of_two = row.windows(3).find(|three| three[..2] == ["2", "basic"])?;
        Some(of_two[2].to_owned())
    })
    .collect()
}

/// Waits until there are so many bridges of two, all of which go this way.
pub fn wait_for_bridges(asterisk: &Asterisk<'_>, count: usize, way: Way) {
    let wanted = vec![way.technology().to_owned(); count];
    let mut last = Vec::new();
    asterisk.wait_until(&format!("the bridges {wanted:?}"), |asterisk| {
        let now = technologies(asterisk);
        if now != last {
            println!("bridges: {now:?}, wanted {wanted:?}");
            last.clone_from(&now);
        }
        (now == wanted).then_some(())
    });
}

/// What a key made of its indexes: the first octets of each packet's keystream, and the packet.
#[derive(Debug, Default)]
pub struct Keystreams(HashMap<Vec<u8>, Vec<u8>>);

impl Keystreams {
    /// Notes a packet that must be encrypted by `key`.
    ///
    /// # Errors
    ///
    /// It is not, or another one had the same keystream: both have one index.
    pub fn note(&mut self, key: &Key, heard: &Heard) -> Result<(), String> {
        const OCTETS: usize = 16;
        let plain = heard.payload.clone().or_else(|| heard.opened_anew(key));
        let (ssrc, sequence) = (heard.ssrc(), heard.sequence);
        let Some(plain) = plain else {
            return Err(format!(
                "packet {sequence} of SSRC {ssrc:08x} does not open: {:02x?}",
                heard.wire
            ));
        };
        let sealed = &heard.wire[heard.header().len()..];
        if sealed.starts_with(&plain) {
            return Err(format!("packet {sequence} of SSRC {ssrc:08x} is in clear"));
        }
        let stream = plain.iter().zip(sealed).map(|(a, b)| a ^ b).take(OCTETS);
        match self.0.insert(stream.collect(), heard.wire.clone()) {
            Some(before) if before != heard.wire => Err(format!(
                "packet {sequence} of SSRC {ssrc:08x} has the index of another: {:02x?} and {before:02x?}",
                heard.wire
            )),
            _ => Ok(()),
        }
    }
}

/// A phone, its media, and what it got.
pub struct Leg {
    /// Its endpoint, and extension.
    pub name: String,
    address: String,
    pub phone: Phone,
    pub media: Media,
    /// What it says of itself, without a key.
    pub says: Description,
    /// What it sends with; `None`: in clear, or by `identity`.
    pub key: Option<Key>,
    /// Of who has DTLS-SRTP. It calls, and is the handshake's client.
    pub identity: Option<Identity>,
    /// What Asterisk sends with.
    pub theirs: Option<Key>,
    keystreams: Keystreams,
    /// Packets whose payload was not audio of the test's: digits.
    pub others: Vec<Heard>,
}

impl Leg {
    /// Without a call.
    pub fn new(lab: &Lab, place: Place, encrypted: bool) -> Self {
        let key = encrypted.then(|| Key::new(AES_80, place as u8));
        let address = address(place, encrypted);
        let mut leg = Self::at(lab, &name(place, encrypted), &address, key);
        leg.media.ssrc = 0x0100_0000 * place as u32;
        leg
    }

    /// The same of another endpoint.
    pub fn at(lab: &Lab, name: &str, address: &str, key: Option<Key>) -> Self {
        Self::beside(lab, OURS, name, address, key)
    }

    /// The same beside another address of Asterisk's.
    pub fn beside(lab: &Lab, asterisk: &str, name: &str, address: &str, key: Option<Key>) -> Self {
        Self {
            name: name.to_owned(),
            phone: Phone::new(lab, address, asterisk),
            media: Media::new(lab, &format!("{address}:{PORT}")),
            says: Description::new(PORT, &[]),
            key,
            identity: None,
            theirs: None,
            keystreams: Keystreams::default(),
            others: Vec::new(),
            address: address.to_owned(),
        }
    }

    fn description(&self) -> Description {
        let line = |key: &Key| match &key.mki {
            Some(mki) => {
                let number = mki.iter().fold(0, |n, octet| n << 8 | u64::from(*octet));
                key.line(1, &format!("|{number}:{}", mki.len()))
            }
            None => key.line(1, ""),
        };
        let bundle = self.identity.as_ref().map(|identity| Bundle {
            fingerprint: identity.fingerprint(),
            ssrcs: [self.media.ssrc, 0],
            abs_send_time: false,
        });
        Description {
            crypto: self.key.iter().map(line).collect(),
            bundle,
            ..self.says.clone()
        }
    }

    /// Begins to send and to receive as was agreed. Asterisk's key lives as long as the call.
    fn connect(&mut self, other: &Answer) {
        self.media.send_to(other.media());
        if let Some(identity) = &self.identity {
            self.theirs = Some(self.media.shake_hands(identity));
        }
        let Some(key) = &self.key else { return };
        self.media.send_with(key, 0);
        let theirs = Key::of_line(&other.crypto()[0]);
        if self
            .theirs
            .as_ref()
            .is_none_or(|before| before.key_salt != theirs.key_salt)
        {
            self.media.receive_with(&theirs);
            self.keystreams = Keystreams::default();
        }
        self.theirs = Some(theirs);
    }

    /// Calls `called` by an extension that ends with its name.
    pub fn call(&mut self, called: &mut Self, before: &str) {
        let offer = self.description();
        let extension = format!("{before}{}", called.name);
        let says = called.description();
        let phone = &mut called.phone;
        let (answer, offer) = thread::scope(|scope| {
            let takes = scope.spawn(|| phone.answer(|_| says));
            let answer = self.phone.call(&extension, &offer);
            let answer =
                answer.unwrap_or_else(|status| panic!("{extension} was refused: {status}"));
            (answer, takes.join().expect("an answer"))
        });
        self.connect(&answer);
        called.connect(&offer);
    }

    /// Calls `called`, which is heard before it takes the call.
    pub fn call_early(&mut self, called: &mut Self) {
        let offer = self.description();
        let extension = called.name.clone();
        let answer = thread::scope(|scope| {
            let calls = scope.spawn(|| self.phone.call(&extension, &offer));
            let says = called.description();
            let ringing = called.phone.ring(&says, "rings");
            called.connect(&ringing.offer());
            // Nobody tells the caller's key before the answer.
            for _ in 0..10 {
                let audio = called.media.audio();
                called.media.send(&audio);
            }
            called.media.settle();
            called.phone.take(&ringing);
            calls.join().expect("an answer")
        });
        let answer = answer.unwrap_or_else(|status| panic!("{extension} was refused: {status}"));
        self.connect(&answer);
    }

    /// Takes a call that `happens`.
    pub fn take_call(&mut self, happens: impl FnOnce()) {
        let says = self.description();
        let phone = &mut self.phone;
        let offer = thread::scope(|scope| {
            let takes = scope.spawn(|| phone.answer(|_| says));
            happens();
            takes.join().expect("an answer")
        });
        self.connect(&offer);
    }

    /// Offers what it says now in the call. Whether Asterisk's key stays.
    pub fn reinvite(&mut self) -> bool {
        let offer = self.description();
        let answer = self.phone.reinvite(&offer);
        let answer = answer.unwrap_or_else(|status| panic!("a re-INVITE was refused: {status}"));
        let before = self.theirs.take();
        // With the same key it goes on where it was.
        self.media.send_to(answer.media());
        if let Some(line) = answer.crypto().first() {
            self.theirs = Some(Key::of_line(line));
        }
        match (before, &self.theirs) {
            (Some(before), Some(now)) => before.key_salt == now.key_salt,
            (None, None) => true,
            _ => false,
        }
    }

    /// Offers a new key of the same kind in the call and sends with it, from this sequence number on.
    pub fn rekey(&mut self, number: u8) {
        let before = self.key.as_ref().expect("a leg with SDES");
        let key = Key {
            mki: before.mki.clone(),
            ..Key::new(before.suite, number)
        };
        self.key = Some(key.clone());
        assert!(self.reinvite(), "Asterisk's key lives as long as the call");
        self.media.send_with(&key, 0);
    }

    /// Goes on from another SSRC.
    pub fn become_ssrc(&mut self, ssrc: u32) {
        self.media.ssrc = ssrc;
        if let Some(key) = &self.key {
            self.media.send_with(key, 0);
        }
    }

    /// Moves to another port, with a new key.
    pub fn move_to(&mut self, lab: &Lab, port: u16, number: u8) {
        self.says.port = port;
        self.key = self.key.is_some().then(|| Key::new(AES_80, number));
        self.reinvite();
        self.media.move_to(lab, &format!("{}:{port}", self.address));
        if let Some(key) = &self.key {
            self.media.send_with(key, 0);
        }
    }

    /// The next packet. On an encrypted leg it is encrypted, and under an index of its own.
    pub fn hear(&mut self) -> Option<Heard> {
        let heard = self.media.hear(wait::TRY)?;
        if let Some(key) = &self.theirs {
            self.keystreams
                .note(key, &heard)
                .unwrap_or_else(|fault| panic!("{}: {fault}", self.name));
        }
        Some(heard)
    }

    /// Sends audio until some of it arrives at `to` in this way.
    pub fn reach(&mut self, to: &mut Self, way: Way) {
        let what = format!("audio from {} to {}: {way:?}", self.name, to.name);
        let (mut last, mut came) = (Vec::new(), 0);
        wait::until(
            &what,
            wait::SOON,
            || {
                last = self.media.audio();
                self.media.send(&last);
                while let Some(heard) = to.hear() {
                    came += 1;
                    if heard.payload.as_ref() == Some(&last) {
                        return self.went(&heard, way).then_some(());
                    }
                    to.others.push(heard);
                }
                None
            },
            || format!("packets that came: see {what}"),
        );
    }

    /// Whether a packet of this phone's went this way.
    fn went(&self, heard: &Heard, way: Way) -> bool {
        let is = if heard.ssrc() == self.media.ssrc {
            Way::Native
        } else {
            Way::Core
        };
        is == way
    }

    /// Sends so many packets, each of which arrives at `to`, in this way.
    pub fn pass(&mut self, to: &mut Self, count: usize, way: Way) {
        for n in 0..count {
            let heard = self.pass_one(to);
            assert!(
                self.went(&heard, way),
                "packet {n} of {} from {} to {} did not go {way:?}: its SSRC is {:08x}, and it was sent as {:08x}",
                count,
                self.name,
                to.name,
                heard.ssrc(),
                self.media.ssrc
            );
        }
    }

    /// Sends audio until something that `is_it` arrives at `to`.
    pub fn until(&mut self, to: &mut Self, what: &str, is_it: impl Fn(&Heard) -> bool) -> Heard {
        wait::until(
            &format!("{what} from {} at {}", self.name, to.name),
            wait::SOON,
            || {
                let audio = self.media.audio();
                self.media.send(&audio);
                std::iter::from_fn(|| to.hear()).find(|heard| is_it(heard))
            },
            String::new,
        )
    }

    /// Sends a packet, which arrives at `to`, by whatever way.
    pub fn pass_one(&mut self, to: &mut Self) -> Heard {
        let audio = self.media.audio();
        self.media.send(&audio);
        wait::until(
            &format!("a packet from {} at {}", self.name, to.name),
            wait::SOON,
            || {
                let heard = to.hear()?;
                if heard.payload.as_ref() == Some(&audio) {
                    return Some(heard);
                }
                to.others.push(heard);
                None
            },
            String::new,
        )
    }
}

/// Both speak until all goes this way, of which Asterisk says the same of the one bridge; then no packet is lost any more.
pub fn talk(asterisk: &Asterisk<'_>, one: &mut Leg, other: &mut Leg, way: Way) {
    one.reach(other, way);
    other.reach(one, way);
    wait_for_bridges(asterisk, 1, way);
    one.pass(other, 10, way);
    other.pass(one, 10, way);
}

/// A call from left to right that is up, its packets going this way.
pub fn call(asterisk: &Asterisk<'_>, lab: &Lab, [left, right]: [bool; 2], way: Way) -> (Leg, Leg) {
    let mut left = Leg::new(lab, Place::Left, left);
    let mut right = Leg::new(lab, Place::Right, right);
    left.call(&mut right, "");
    talk(asterisk, &mut left, &mut right, way);
    (left, right)
}

/// Ends a call of these two, and waits until Asterisk has ended it.
pub fn hang_up(asterisk: &Asterisk<'_>, mut one: Leg, mut other: Leg) {
    one.phone.hang_up();
    other.phone.wait_for_hang_up();
    asterisk.wait_for_channels(0);
}
