//! What becomes of a call by what the peer says of its keys: {who offers} x {when} x {what is said}, each a row with its
//! outcome. A call that must be encrypted is encrypted, with packets of libsrtp's heard both ways, or ends at once with a
//! cause and one line in the log that says why; a change that is refused leaves it as it was. None is up and silent.
//!
//! What cannot occur, and so has no row:
//!
//! - An offer of ours in UPDATE: Asterisk sends UPDATE for a connected line, without a description.
//! - An offer of ours in PRACK: there it sends none; the answer to one in its reliable 183 is a row.
//! - An offer of the peer's in a response of its own: Asterisk sends no INVITE without an offer.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_32, AES_80, GCM_128};
use host_harness::peer::{Description, Key, Media, Phone};
use host_harness::wait;

use crate::srtp_call::{self, PBX, PORT, SDES};

/// Asterisk plays nothing and does not answer; then it does.
const EARLY: &str = "exten => early,1,Progress()\n same => n,Echo()\n";

/// What the peer says of its key.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// A line as it should be.
    Good,
    /// The line's tag is this one instead of the one that was offered.
    Tag(u32),
    /// The key is in force already, and this is behind it.
    SameKey(&'static str),
    /// This is behind a new key.
    More(&'static str),
    /// A key of this suite.
    Suite(host_harness::peer::Suite),
    /// A good line but for this in place of that.
    With(&'static str, &'static str),
    /// A good line under this profile.
    Under(&'static str),
    /// No line, under this profile.
    NoLine(&'static str),
}

/// What is to become of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Up, and encrypted both ways.
    Up,
    /// The same, and the log warns.
    UpWith(&'static str),
    /// Ended by Asterisk with cause 58, and the log says why.
    Ends(&'static str),
    /// The offer gets 488 and the log this reason, or none where Asterisk did not come to the line. A call that was up stays
    /// as it was.
    Refused(&'static str),
    /// The answer is refused, and the call stays as it was, with this warning.
    Stays(&'static str),
}

use Outcome::{Ends, Refused, Stays, Up, UpWith};
use Says::{Good, More, NoLine, SameKey, Suite, Tag, Under, With};

const SAVP: &str = "RTP/SAVP";
const AVP: &str = "RTP/AVP";

/// One call.
struct Row<'a, 'lab> {
    pbx: &'a Asterisk<'lab>,
    name: String,
    phone: Phone,
    media: Media,
    /// The one in force.
    key: Key,
    says: Says,
}

impl<'a, 'lab> Row<'a, 'lab> {
    fn new(lab: &'lab Lab, pbx: &'a Asterisk<'lab>, when: &str, says: Says) -> Self {
        Self {
            pbx,
            name: format!("{when}, {says:?}"),
            phone: Phone::new(lab, SDES, PBX),
            media: Media::new(lab, &format!("{SDES}:{PORT}")),
            key: Key::new(AES_80, 1),
            says,
        }
    }

    /// What the peer says in this row, with the key that it goes by from then on.
    fn said(&mut self, tag: u32) -> Description {
        let next = Key::new(AES_80, 2);
        let (key, line) = match self.says {
            Good | Under(_) => (next.clone(), next.line(tag, "")),
            Tag(other) => (next.clone(), next.line(other, "")),
            SameKey(more) => (self.key.clone(), self.key.line(tag, more)),
            More(more) => (next.clone(), next.line(tag, more)),
            Suite(suite) => {
                let key = Key::new(suite, 2);
                (key.clone(), key.line(tag, ""))
            }
            With(what, instead) => (next.clone(), next.line(tag, "").replace(what, instead)),
            NoLine(_) => (next, String::new()),
        };
        self.key = key;
        let mut description = good(&line);
        description.profile = match self.says {
            Under(profile) => Some(profile),
            NoLine(profile) => {
                description.crypto.clear();
                Some(profile)
            }
            _ => None,
        };
        description
    }

    /// Takes Asterisk's description: where its media is, and its key for line `tag` or its one line.
    fn take(&mut self, theirs: &host_harness::peer::sip::Answer) {
        let lines = theirs.crypto();
        let suite = self.key.suite.name;
        let line = lines
            .iter()
            .find(|line| line.split(' ').nth(1) == Some(suite))
            .or(lines.first());
        self.media.send_to(theirs.media());
        self.media.send_with(&self.key, 0);
        if let Some(line) = line {
            let mut theirs = Key::of_line(line);
            // Stock goes on with its key under a suite that it has not offered.
            if theirs.key_salt.len() == self.key.key_salt.len() {
                theirs = theirs.under(self.key.suite);
            }
            self.media.receive_with(&theirs);
        }
    }

    /// That the call is up, and what the peer sends comes back.
    fn hears_itself(&mut self) {
        let name = self.name.clone();
        wait::until(
            &format!("an echo ({name})"),
            wait::SOON,
            || self.media.echo(),
            || self.pbx.log(),
        );
        assert_eq!(self.media.echoes(10), 10, "{name}");
    }

    /// A call of Asterisk's to the phone.
    fn originate(&self) {
        self.pbx
            .cli("channel originate PJSIP/sdes application Echo");
    }

    /// A call of the phone's that is up.
    fn dial(&mut self) {
        let answer = self.phone.call("echo", &good(&self.key.line(1, "")));
        self.take(&answer.expect("a good offer"));
        self.hears_itself();
    }

    /// What is in the log about this call: at most one line, and the right one.
    fn assert_told(&self, what: Option<&str>) {
        let about = self.pbx.all_log_lines(&self.phone.call_id);
        let ours: Vec<_> = about
            .iter()
            .filter(|line| line.contains("reason ") || line.contains("a=crypto line"))
            // The phone speaks UDP, which is told once.
            .filter(|line| !line.contains("keys-in-clear"))
            .collect();
        match (what, &ours[..]) {
            (None | Some(""), []) => {}
            (Some(what), [line]) if !what.is_empty() => {
                assert!(line.contains(what), "{}: not {what:?} in {line}", self.name);
                for part in ["endpoint 'sdes'", SDES] {
                    assert!(line.contains(part), "{}: {line}", self.name);
                }
                let key = self.key.line(1, "");
                let secret = key.split("inline:").nth(1).expect("a key");
                assert!(!line.contains(&secret[..12]), "{}: {line}", self.name);
            }
            _ => panic!(
                "{}: {what:?} is not what the log says: {about:#?}",
                self.name
            ),
        }
    }

    /// Why an offer in the call was refused is told behind the refusal.
    fn wait_for_reason(&self, reason: &str) {
        self.pbx.wait_until(reason, |pbx| {
            pbx.log_lines(&self.phone.call_id)
                .iter()
                .any(|line| line.contains(&format!("reason {reason}: ")))
                .then_some(())
        });
    }

    /// The end of a row in which the peer answered.
    fn assert_answered(mut self, outcome: Outcome) {
        match outcome {
            Up | UpWith(_) | Stays(_) => {
                self.hears_itself();
                let told = match outcome {
                    UpWith(what) | Stays(what) => Some(what),
                    _ => None,
                };
                self.assert_told(told);
                self.phone.hang_up();
            }
            Ends(reason) => {
                let end = self.phone.ended();
                self.assert_ended(Some(&end.reason), reason);
            }
            Refused(_) => unreachable!("an answer gets no response"),
        }
        self.pbx.wait_for_channels(0);
    }

    /// `header`: the `Reason` of the BYE or CANCEL; a refused INVITE has its status for that.
    fn assert_ended(&self, header: Option<&str>, reason: &str) {
        assert!(
            header.is_none_or(|header| header.contains("cause=58")),
            "{}: Reason: {header:?}",
            self.name
        );
        self.assert_told(Some(&format!("reason {reason}: ")));
        let line = &self.pbx.all_log_lines(&format!("reason {reason}: "))[0];
        assert!(
            line.contains("The call ends with hangup cause 58"),
            "{}: {line}",
            self.name
        );
    }

    /// The end of a row in which the peer offered in a call that was up.
    fn assert_offered(
        mut self,
        response: Result<host_harness::peer::sip::Answer, u16>,
        before: &Key,
        outcome: Outcome,
    ) {
        match (response, outcome) {
            (Ok(answer), Up) => {
                self.take(&answer);
                self.hears_itself();
                self.assert_told(None);
            }
            (Err(488), Refused(reason)) => {
                self.media.send_with(before, 0);
                self.hears_itself();
                // The call goes on as it was. What is not a line's fault pjsip refuses before anybody of Asterisk's sees it.
                self.wait_for_reason(reason);
                self.assert_told(Some(&format!("reason {reason}: ")));
            }
            (response, _) => panic!("{}: {outcome:?}, but {response:?}", self.name),
        }
        self.phone.hang_up();
        self.pbx.wait_for_channels(0);
    }
}

fn good(line: &str) -> Description {
    Description::new(PORT, &[line.to_owned()])
}

fn run(name: &str, rows: &[(Says, Outcome)], row: impl Fn(Row<'_, '_>, Outcome)) {
    let lab = Lab::new(name);
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).dialplan(EARLY);
    let pbx = Asterisk::start(&lab, &setup);
    for (says, outcome) in rows {
        row(Row::new(&lab, &pbx, name, *says), *outcome);
    }
    assert_eq!(pbx.count("Panics caught"), 0);
}

/// Every way in which a first answer can be wrong.
#[test]
fn our_offer_answered_in_200() {
    let rows = [
        (Good, Up),
        (
            Tag(0),
            UpWith("it has tag 0, and our offer has its crypto suite under tag 1"),
        ),
        (
            Tag(2),
            UpWith("it has tag 2, and our offer has its crypto suite under tag 1"),
        ),
        (Under(AVP), Up),
        (With("inline:", "inline: "), Up),
        (More("=="), Up),
        (More("|2^31|1:4"), Up),
        (More("|2^10"), Ends("lifetime-too-short")),
        (More("|2^49"), Ends("lifetime-too-long")),
        (More("AAAA"), Ends("key-length")),
        (More("*"), Ends("key-encoding")),
        (More("|7:4"), Ends("mki-not-accepted")),
        (More(" UNENCRYPTED_SRTP"), Ends("param-unencrypted-srtp")),
        (
            More(" WSH=64,UNENCRYPTED_SRTP"),
            Ends("param-unencrypted-srtp"),
        ),
        (More(" KDR=1"), Ends("param-kdr")),
        (With("_80", "_81"), Ends("suite-unknown")),
        (Suite(GCM_128), Ends("not-offered")),
        (Suite(AES_32), Ends("not-offered")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(SAVP), Ends("answered-in-clear")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-200", &rows, |mut row, outcome| {
        row.originate();
        let said = row.said(1);
        let offer = row.phone.answer(|_| said);
        row.take(&offer);
        row.assert_answered(outcome);
    });
}

#[test]
fn our_offer_answered_in_183() {
    let rows = [
        (Good, Up),
        (
            Tag(7),
            UpWith("it has tag 7, and our offer has its crypto suite under tag 1"),
        ),
        (Under(AVP), Up),
        (More("|2^10"), Ends("lifetime-too-short")),
        (With("_80", "_81"), Ends("suite-unknown")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(SAVP), Ends("answered-in-clear")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-183", &rows, |mut row, outcome| {
        row.originate();
        let said = row.said(1);
        let ringing = row.phone.ring(&said, "early");
        row.take(&ringing.offer());
        if let Ends(reason) = outcome {
            let end = row.phone.ended();
            assert_eq!(end.method, "CANCEL", "{}", row.name);
            row.phone.give_up(&ringing);
            row.assert_ended(Some(&end.reason), reason);
            row.pbx.wait_for_channels(0);
        } else {
            row.phone.take(&ringing);
            row.assert_answered(outcome);
        }
    });
}

/// One phone gives early media, and another one answers.
#[test]
fn our_offer_answered_by_a_fork() {
    let rows = [
        (Good, Up),
        (Tag(0), UpWith("it has tag 0")),
        (More("|2^10"), Ends("lifetime-too-short")),
        (Suite(GCM_128), Ends("not-offered")),
        (Suite(AES_32), Ends("not-offered")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-fork", &rows, |mut row, outcome| {
        row.originate();
        let ringing = row.phone.ring(&good(&row.key.line(1, "")), "early");
        let said = row.said(1);
        row.take(&ringing.offer());
        row.phone.take_forked(&ringing, &said);
        row.assert_answered(outcome);
    });
}

#[test]
fn our_new_offer_answered() {
    let stays = "its key is the one in force, with which the call goes on";
    let rows = [
        (Good, Up),
        (
            Tag(4),
            UpWith("it has tag 4, and our offer has its crypto suite under tag 1"),
        ),
        (SameKey(""), Up),
        (SameKey("|2^10"), Stays(stays)),
        (SameKey("|2^49"), Stays(stays)),
        (More("|2^10"), Ends("lifetime-too-short")),
        (SameKey(" UNENCRYPTED_SRTP"), Ends("param-unencrypted-srtp")),
        (Suite(AES_32), Ends("not-offered")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(SAVP), Ends("answered-in-clear")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-reinvite", &rows, |mut row, outcome| {
        row.dial();
        srtp_call::Call::make_refresh(row.pbx);
        let (before, said) = (row.key.key_salt.clone(), row.said(1));
        row.phone.answer(|_| said);
        if row.key.key_salt != before {
            row.media.send_with(&row.key, 0);
        }
        row.assert_answered(outcome);
    });
}

/// The INVITE had no offer: Asterisk's is in the 200.
#[test]
fn our_offer_answered_in_the_ack() {
    let rows = [
        (Good, Up),
        (
            Tag(3),
            UpWith("it has tag 3, and our offer has its crypto suite under tag 1"),
        ),
        (More("|2^10"), Ends("lifetime-too-short")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-ack", &rows, |mut row, outcome| {
        let said = row.said(1);
        let offer = row.phone.invite_without_offer(Some("echo"), |_| said);
        row.take(&offer);
        row.assert_answered(outcome);
    });
}

/// The same in a call that is up.
#[test]
fn our_new_offer_answered_in_the_ack() {
    let rows = [
        (Good, Up),
        (More("|2^10"), Ends("lifetime-too-short")),
        (Suite(GCM_128), Ends("not-offered")),
        // Nothing tells of these but a look every two seconds.
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-reinvite-ack", &rows, |mut row, outcome| {
        row.dial();
        let said = row.said(1);
        row.phone.invite_without_offer(None, |_| said);
        row.media.send_with(&row.key, 0);
        row.assert_answered(outcome);
    });
}

/// The INVITE had no offer: Asterisk's is in a reliable 183.
#[test]
fn our_offer_answered_in_the_prack() {
    let rows = [
        (Good, Up),
        (More("|2^10"), Ends("lifetime-too-short")),
        (Under("RTP/SAVPF"), Ends("answered-profile")),
        (NoLine(AVP), Ends("answered-in-clear")),
    ];
    run("answer-prack", &rows, |mut row, outcome| {
        let early = row.phone.call_early("early", None).expect("a 183");
        let said = row.said(1);
        row.phone.prack(Some(&said));
        row.take(&early.described);
        finish_early(row, &early, outcome);
    });
}

/// The end of a row in which the phone's call has early media: it hears itself there, and when it is answered too.
fn finish_early(mut row: Row<'_, '_>, early: &host_harness::peer::sip::Early, outcome: Outcome) {
    if let Ends(reason) = outcome {
        assert_eq!(row.phone.until_answered(early), Err(488), "{}", row.name);
        row.assert_ended(None, reason);
        row.pbx.wait_for_channels(0);
        return;
    }
    row.hears_itself();
    let channels = row.pbx.cli("core show channels concise");
    let name = channels.split('!').next().expect("a channel");
    row.pbx
        .cli(&format!("channel redirect {name} default,echo,1"));
    row.phone.until_answered(early).expect("answered");
    row.assert_answered(outcome);
}

/// The twins of the answers: a line that an answer is ended for is refused in an offer.
const OFFERS: [(Says, Outcome); 7] = [
    (Good, Up),
    (Suite(GCM_128), Up),
    (Under(AVP), Up),
    (More("|2^10"), Refused("lifetime-too-short")),
    (More(" UNENCRYPTED_SRTP"), Refused("param-unencrypted-srtp")),
    // Asterisk does not come to the lines.
    (Under("RTP/SAVPF"), Refused("offer-profile")),
    (NoLine(AVP), Refused("offer-in-clear")),
];

#[test]
fn their_offer_in_the_invite() {
    run("offer-invite", &OFFERS, |mut row, outcome| {
        let said = row.said(1);
        match (row.phone.call("echo", &said), outcome) {
            (Ok(answer), Up) => {
                row.take(&answer);
                row.assert_answered(Up);
            }
            (Err(488), Refused(reason)) => {
                let told = format!("reason {reason}: ");
                row.assert_told((!reason.is_empty()).then_some(told.as_str()));
                row.pbx.wait_for_channels(0);
            }
            (response, _) => panic!("{}: {outcome:?}, but {response:?}", row.name),
        }
    });
}

/// Answered in a reliable 183.
#[test]
fn their_offer_answered_early() {
    run("offer-early", &OFFERS, |mut row, outcome| {
        let said = row.said(1);
        match (row.phone.call_early("early", Some(&said)), outcome) {
            (Ok(early), Up) => {
                row.phone.prack(None);
                row.take(&early.described);
                finish_early(row, &early, Up);
            }
            (Err(488), Refused(reason)) => {
                let told = format!("reason {reason}: ");
                row.assert_told((!reason.is_empty()).then_some(told.as_str()));
                row.pbx.wait_for_channels(0);
            }
            (response, _) => panic!("{}: {outcome:?}, but {response:?}", row.name),
        }
    });
}

#[test]
fn their_new_offer() {
    run("offer-reinvite", &OFFERS, |mut row, outcome| {
        row.dial();
        let (before, said) = (row.key.clone(), row.said(1));
        let response = row.phone.reinvite(&said);
        row.assert_offered(response, &before, outcome);
    });
}

#[test]
fn their_offer_in_an_update() {
    run("offer-update", &OFFERS, |mut row, outcome| {
        row.dial();
        let (before, said) = (row.key.clone(), row.said(1));
        let response = row.phone.update(&said);
        row.assert_offered(response, &before, outcome);
    });
}

/// A PRACK has no refusal: what cannot be taken ends the call (RFC 6337 section 2.3).
#[test]
fn their_offer_in_the_prack() {
    if host::pjproject().is_some_and(|version| version < (2, 14)) {
        return host::skip(
            "answers::their_offer_in_the_prack",
            "this pjproject does not answer an offer in a PRACK",
        );
    }
    let rows = [
        (Good, Up),
        (More("|2^10"), Refused("lifetime-too-short")),
        (NoLine(AVP), Refused("")),
    ];
    run("offer-prack", &rows, |mut row, outcome| {
        let first = good(&row.key.line(1, ""));
        let early = row.phone.call_early("early", Some(&first)).expect("a 183");
        row.take(&early.described);
        let said = row.said(1);
        let answer = row.phone.prack(Some(&said));
        match outcome {
            Up => {
                row.take(&answer);
                finish_early(row, &early, Up);
            }
            Refused(reason) => {
                assert_eq!(row.phone.until_answered(&early), Err(488), "{}", row.name);
                let told = format!("reason {reason}: ");
                row.assert_told((!reason.is_empty()).then_some(told.as_str()));
                row.pbx.wait_for_channels(0);
            }
            other => unreachable!("{other:?}"),
        }
    });
}

/// What a call is under stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stock {
    /// Up, and encrypted both ways.
    Heard,
    /// Up until somebody hangs up, and not heard.
    Silent,
}

/// The same answers, to stock.
const STOCK: [(Says, Stock); 14] = [
    (Good, Stock::Heard),
    (Tag(0), Stock::Heard),
    (Tag(2), Stock::Heard),
    (Under(AVP), Stock::Heard),
    (Suite(AES_32), Stock::Heard),
    (More("=="), Stock::Heard),
    (More("|2^49"), Stock::Heard),
    (More("|2^10"), Stock::Silent),
    (More("AAAA"), Stock::Silent),
    (With("_80", "_81"), Stock::Silent),
    (More(" UNENCRYPTED_SRTP"), Stock::Silent),
    (Under("RTP/SAVPF"), Stock::Silent),
    (NoLine(SAVP), Stock::Silent),
    (NoLine(AVP), Stock::Silent),
];

impl Row<'_, '_> {
    /// Whether the call is up, and something of what is sent comes back. A call that is silent is so for as long as a row
    /// that is heard needs many times over.
    fn in_stock(mut self) -> Stock {
        self.pbx.wait_until("an answered call", |pbx| {
            pbx.cli("core show channels").contains(" Up ").then_some(())
        });
        let heard = (0..12).any(|_| {
            let audio = self.media.audio();
            self.media.send(&audio);
            self.media.try_for(&audio).is_some()
        });
        let channels = self.pbx.cli("core show channels");
        assert!(channels.contains(" Up "), "{}: {channels}", self.name);
        self.phone.hang_up();
        self.pbx.wait_for_channels(0);
        if heard { Stock::Heard } else { Stock::Silent }
    }
}

fn run_in_stock(name: &str, rows: &[(Says, Stock)], row: impl Fn(Row<'_, '_>) -> Stock) {
    let lab = Lab::new(name);
    let pbx = srtp_call::stock(&lab);
    let wrong: Vec<_> = rows
        .iter()
        .map(|(says, expected)| (says, expected, row(Row::new(&lab, &pbx, name, *says))))
        .filter(|(_, expected, is)| *expected != is)
        .collect();
    assert!(wrong.is_empty(), "what is said, expected, is: {wrong:#?}");
}

#[test]
fn in_stock_many_a_call_is_up_and_silent() {
    run_in_stock("answer-200-stock", &STOCK, |mut row| {
        row.originate();
        let said = row.said(1);
        let offer = row.phone.answer(|_| said);
        row.take(&offer);
        row.in_stock()
    });
}

#[test]
fn in_stock_after_early_media_too() {
    let rows = [
        (Good, Stock::Heard),
        (More("|2^10"), Stock::Silent),
        (Under("RTP/SAVPF"), Stock::Silent),
        (NoLine(AVP), Stock::Silent),
    ];
    run_in_stock("answer-183-stock", &rows, |mut row| {
        row.originate();
        let said = row.said(1);
        let ringing = row.phone.ring(&said, "early");
        row.take(&ringing.offer());
        row.phone.take(&ringing);
        row.in_stock()
    });
    run_in_stock("answer-ack-stock", &rows, |mut row| {
        let said = row.said(1);
        let offer = row.phone.invite_without_offer(Some("echo"), |_| said);
        row.take(&offer);
        row.in_stock()
    });
}
