//! What the SRTP tests share: an Asterisk, and a call to it whose keys and packets the test chooses.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::sip::Answer;
use host_harness::peer::{Description, Key, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

pub const PBX: &str = "127.0.0.10";
/// Its endpoint `sdes` requires SDES.
pub const SDES: &str = "127.0.0.20";
/// Its endpoint `plain` has none.
pub const PLAIN: &str = "127.0.0.30";
/// Port of the media.
pub const PORT: u16 = 7000;

/// Who is sent here gets a re-INVITE of Asterisk's own, with one codec more, and hears itself again.
const REFRESH: &str = "exten => refresh,1,Set(PJSIP_MEDIA_OFFER(audio)=ulaw,alaw)\n \
                       same => n,Set(PJSIP_SEND_SESSION_REFRESH()=invite)\n same => n,Echo()\n";

/// Our Asterisk with the endpoints of these tests.
pub fn ours(lab: &Lab) -> Asterisk<'_> {
    Asterisk::start(lab, &with_endpoints(Setup::ours("pbx", PBX)))
}

/// Stock's.
pub fn stock(lab: &Lab) -> Asterisk<'_> {
    Asterisk::start(lab, &with_endpoints(Setup::stock("pbx", PBX)))
}

pub fn with_endpoints(setup: Setup) -> Setup {
    setup
        .pjsip(UDP)
        .pjsip(
            &pjsip::trunk("sdes", SDES, Encryption::Sdes)
                .replace("allow = ulaw\n", "allow = ulaw,alaw\n"),
        )
        .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
        .dialplan(pjsip::ECHO)
        .dialplan(REFRESH)
        .dialplan("exten => sdes,1,Dial(PJSIP/sdes)\n")
}

/// A phone at [`SDES`] with its media.
pub struct Call {
    pub phone: Phone,
    pub media: Media,
    /// The key that Asterisk sends with.
    pub theirs: Option<Key>,
}

impl Call {
    pub fn new(lab: &Lab) -> Self {
        Self {
            phone: Phone::new(lab, SDES, PBX),
            media: Media::new(lab, &format!("{SDES}:{PORT}")),
            theirs: None,
        }
    }

    /// Calls `extension` with a key.
    pub fn dial(&mut self, extension: &str, key: &Key) {
        self.dial_with(extension, key, &key.line(1, ""))
            .unwrap_or_else(|status| panic!("{extension} was refused: {status}"));
    }

    /// Calls `extension`, which echoes, with this crypto line, which has `key`. Gives Asterisk's.
    pub fn dial_with(&mut self, extension: &str, key: &Key, line: &str) -> Result<String, u16> {
        let offer = Description::new(PORT, &[line.to_owned()]);
        let answer = self.phone.call(extension, &offer)?;
        self.media.send_to(answer.media());
        self.media.send_with(key, 0);
        let lines = answer.crypto();
        let [line] = &lines[..] else {
            panic!("an answer has one crypto line\n{}", answer.sdp)
        };
        let theirs = Key::of_line(line);
        self.media.receive_with(&theirs);
        self.theirs = Some(theirs);
        // Asterisk takes media when it has seen the ACK, and echoes it when it is in the dialplan's `Echo`.
        wait::until(
            &format!("the first echo of {extension}"),
            wait::SOON,
            || self.media.echo(),
            || answer.sdp.clone(),
        );
        Ok(line.clone())
    }

    /// The phone moves to another port, and takes a new key there (RFC 4568 section 7.1.4: its counter begins anew).
    pub fn move_to(&mut self, lab: &Lab, port: u16, key: &Key) {
        let offer = Description::new(port, &[key.line(1, "")]);
        let answer = self.phone.reinvite(&offer).expect("accepted");
        let theirs = answer.crypto();
        assert!(self.take(&theirs[0]), "Asterisk has not moved");
        self.media.move_to(lab, &format!("{SDES}:{port}"));
        self.media.send_to(answer.media());
        self.media.send_with(key, 0);
    }

    /// Offers this crypto line in the call. Whether Asterisk still sends with the key that it had, if it accepts; a new
    /// one is put in force here.
    pub fn reoffer(&mut self, line: &str) -> Result<bool, u16> {
        let offer = Description::new(PORT, &[line.to_owned()]);
        let answer = self.phone.reinvite(&offer)?;
        Ok(self.take(&answer.crypto()[0]))
    }

    /// Asterisk's line in a later description.
    pub fn take(&mut self, line: &str) -> bool {
        let now = Key::of_line(line);
        let before = self.theirs.as_ref().expect("a call");
        let same = before.key_salt == now.key_salt && before.suite.name == now.suite.name;
        if !same {
            self.media.receive_with(&now);
        }
        self.theirs = Some(now);
        same
    }

    /// Sends the channel of this call, the only one, to the dialplan's `refresh`.
    pub fn make_refresh(pbx: &Asterisk<'_>) {
        let channels = pbx.cli("core show channels concise");
        let name = channels.split('!').next().expect("a channel");
        pbx.cli(&format!("channel redirect {name} default,refresh,1"));
    }

    pub fn hang_up(&mut self) {
        self.phone.hang_up();
    }
}

/// Sends until half a second of audio has arrived; what comes before the call is up may be lost.
fn flow(way: &str, from: &mut Media, to: &mut Media) {
    let mut arrived = 0;
    wait::until(
        &format!("audio {way} the phone with SDES"),
        wait::SOON,
        || {
            let audio = from.audio();
            from.send(&audio);
            arrived += usize::from(to.try_for(&audio).is_some());
            (arrived >= 25).then_some(())
        },
        String::new,
    );
}

/// A call from a plain phone through Asterisk to a phone with SDES.
pub struct Bridged {
    pub plain: Media,
    pub sdes: Media,
    _phones: [Phone; 2],
}

impl Bridged {
    pub fn new(lab: &Lab, key: &Key) -> Self {
        let line = key.line(1, "");
        Self::answered(lab, key, |called| {
            called.answer(|_| Description::new(PORT, &[line]))
        })
    }

    /// A call that the phone with SDES takes by `answer`, in the end with `key`.
    pub fn answered(
        lab: &Lab,
        key: &Key,
        answer: impl FnOnce(&mut Phone) -> Answer + Send,
    ) -> Self {
        let mut caller = Phone::new(lab, PLAIN, PBX);
        let mut called = Phone::new(lab, SDES, PBX);
        let mut plain = Media::new(lab, &format!("{PLAIN}:{PORT}"));
        let mut sdes = Media::new(lab, &format!("{SDES}:{PORT}"));
        let (answer, offer) = std::thread::scope(|scope| {
            let offer = scope.spawn(|| answer(&mut called));
            let answer = caller.call("sdes", &Description::new(PORT, &[]));
            (answer.expect("accepted"), offer.join().expect("called"))
        });
        plain.send_to(answer.media());
        sdes.send_to(offer.media());
        sdes.send_with(key, 0);
        sdes.receive_with(&Key::of_line(&offer.crypto()[0]));
        Self {
            plain,
            sdes,
            _phones: [caller, called],
        }
    }

    /// Sends audio from the plain phone. Whether it arrives at the other one.
    pub fn pass(&mut self) -> bool {
        let audio = self.plain.audio();
        self.plain.send(&audio);
        self.sdes.wait_for(&audio).is_some()
    }

    /// Until audio passes, and the core knows which sequence numbers to expect.
    pub fn warm_up(&mut self) {
        flow("to", &mut self.plain, &mut self.sdes);
    }

    /// The same in the other direction.
    pub fn warm_up_back(&mut self) {
        flow("from", &mut self.sdes, &mut self.plain);
    }
}
