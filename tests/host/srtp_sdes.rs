//! What SDES lines may say (RFC 4568), per endpoint; and that each refusal is one line in the log.

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_32, AES_80, GCM_256};
use host_harness::peer::{Description, Key, Srtp, srtp};
use host_harness::wait;

use crate::srtp_call::{self, Call, PBX};

const CONF: &str = "ciphertrunk.conf";

fn ours_with<'lab>(lab: &'lab Lab, conf: &str) -> Asterisk<'lab> {
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).file(CONF, conf);
    Asterisk::start(lab, &setup)
}

/// A call with this line: how many of ten packets come back, or the status that refused it.
fn call_with(lab: &Lab, key: &Key, line: &str) -> Result<usize, u16> {
    let mut call = Call::new(lab);
    call.dial_with("echo", key, line)?;
    let echoes = call.media.echoes(10);
    call.hang_up();
    Ok(echoes)
}

/// [`call_with`] of the key's line with `more` behind the key.
fn call_saying(lab: &Lab, key: &Key, more: &str) -> Result<usize, u16> {
    call_with(lab, key, &key.line(1, more))
}

/// That a call is refused, with one line in the log that says for whom and why.
fn assert_refused(lab: &Lab, pbx: &Asterisk<'_>, line: &str, reason: &str) {
    let mut call = Call::new(lab);
    let key = Key::new(AES_80, 1);
    assert_eq!(call.dial_with("echo", &key, line), Err(488), "{line}");
    let about = pbx.all_log_lines(&call.phone.call_id);
    let [told] = &about[..] else {
        panic!("{line}: not one line in the log but\n{about:#?}")
    };
    assert!(
        told.contains(reason) && told.contains("endpoint 'sdes'"),
        "{line}: {told}"
    );
    let secret = line.split("inline:").nth(1).expect("a key");
    assert!(
        !told.contains(&secret[..8]),
        "the key is in the log: {told}"
    );
}

#[test]
fn lines_are_taken_or_refused_with_a_reason() {
    let lab = Lab::new("srtp-lines");
    let pbx = srtp_call::ours(&lab);
    let key = Key::new(AES_80, 1);
    let one = key.clone().with_mki(&[1]);
    let long_one = key.clone().with_mki(&[0, 0, 0, 1]);
    for (key, more) in [
        (&one, "|1:1"),
        (&long_one, "|1:4"),
        (&long_one, "|2^20|1:4"),
        // Announced, and left out of the packets.
        (&key, "|1:4"),
        (&key, "|2^20"),
        (&key, "|1048576"),
        (&key, "|2^48"),
        (&key, " WSH=64"),
        (&key, " -unknown=1"),
        (&Key::new(AES_32, 1), ""),
        (&Key::new(GCM_256, 1), ""),
    ] {
        assert_eq!(call_saying(&lab, key, more), Ok(10), "{more:?}");
    }
    assert_eq!(pbx.count("Authentication failures"), 0);
    for (more, reason) in [
        ("|2:1", "an MKI value other than 1"),
        ("|2^19", "shorter than 2^20"),
        ("|1048575", "shorter than 2^20"),
        (" UNENCRYPTED_SRTP", "UNENCRYPTED_SRTP is not allowed"),
        (" UNENCRYPTED_SRTCP", "UNENCRYPTED_SRTCP is not allowed"),
        (
            " UNAUTHENTICATED_SRTP",
            "UNAUTHENTICATED_SRTP is not allowed",
        ),
        (" KDR=1", "KDR is not supported"),
        (
            " FEC_ORDER=FEC_SRTP",
            "FEC_ORDER and FEC_KEY are not supported",
        ),
        (" unknown=1", "unknown and not optional"),
    ] {
        assert_refused(&lab, &pbx, &key.line(1, more), reason);
    }
    let draft = Key::new(GCM_256, 1).line(1, "").replace("GCM", "GCM_8");
    assert_refused(&lab, &pbx, &draft, "AEAD_AES_256_GCM_8 is not accepted");
}

/// Why a line was refused is recorded, the newest first, and stays when the call is over.
#[test]
fn a_refused_line_is_recorded() {
    let lab = Lab::new("srtp-refusals");
    let pbx = srtp_call::ours(&lab);
    let lines = || -> Vec<String> {
        let text = pbx.cli("ciphertrunk show refusals");
        // This phone speaks UDP, which is told as well.
        let lines = text
            .lines()
            .filter(|line| line.contains("Call-ID: ") && !line.contains("keys-in-clear"));
        lines.map(str::to_owned).collect()
    };
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    call.dial("echo", &key);
    assert_eq!(call.reoffer(&key.line(1, "|2^20")), Ok(true));
    assert_eq!(lines(), [] as [&str; 0]);
    for (more, code, count) in [
        ("|2^19", "lifetime-too-short", 1),
        (" KDR=1", "param-kdr", 2),
        // Told once.
        ("|2^19", "param-kdr", 2),
    ] {
        assert_eq!(call.reoffer(&key.line(1, more)), Err(488), "{more}");
        let call_id = &call.phone.call_id;
        let lines = lines();
        assert_eq!(lines.len(), count, "{lines:?}");
        for part in [
            &format!(" {code} "),
            " Endpoint: sdes ",
            &format!(" Call-ID: {call_id} "),
        ] {
            assert!(lines[0].contains(part), "{part} is not in {lines:?}");
        }
    }
    assert_eq!(pbx.count("Refused lifetime-too-short"), 1);
    assert_eq!(pbx.count("Refused param-kdr"), 1);
    call.hang_up();
    pbx.wait_for_channels(0);
    assert_eq!(lines().len(), 2);
    let explained = pbx.cli("ciphertrunk explain param-kdr");
    assert!(explained.contains("To change: there\n"), "{explained}");
    assert!(explained.contains("Since load: 1\n"), "{explained}");
}

/// The answer to Asterisk's own offer must be to one of its lines; its twin is `the_answer_to_asterisks_own_offer_stands`.
#[test]
fn an_answer_to_what_was_not_offered_is_refused() {
    let lab = Lab::new("srtp-not-offered");
    let pbx = srtp_call::ours(&lab);
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    Call::make_refresh(&pbx);
    let other = Key::new(AES_32, 2).line(1, "");
    call.phone
        .answer(|_| Description::new(srtp_call::PORT, &[other]));
    pbx.wait_for_log("endpoint 'sdes' refused, reason not-offered: ");
    assert_eq!(pbx.count("Refused not-offered"), 1);
}

/// A session that a panic broke takes no keys; the offer before it is the twin that is accepted.
#[test]
fn keys_that_cannot_be_put_in_force_are_refused() {
    let lab = Lab::new("srtp-not-in-force");
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).module(TEST_MODULE);
    let pbx = Asterisk::start(&lab, &setup);
    let line = |n| Key::new(AES_80, n).line(1, "");
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    assert_eq!(call.reoffer(&line(2)), Ok(true));
    pbx.cli("ciphertrunk test panic unprotect");
    assert_eq!(call.media.echoes(1), 0);
    assert_eq!(pbx.count("Panics caught"), 1);
    assert_eq!(call.reoffer(&line(3)), Err(488));
    pbx.wait_for_log("endpoint 'sdes' refused, reason not-in-force: ");
    assert_eq!(pbx.count("Refused not-in-force"), 1);
    call.hang_up();
    drop(call);
    assert_eq!(call_saying(&lab, &Key::new(AES_80, 4), ""), Ok(10));
}

/// Stock: an MKI of value 1 is a call without audio, a harmless parameter is no call.
#[test]
fn in_stock_harmless_lines_are_not() {
    let lab = Lab::new("srtp-lines-stock");
    let _pbx = srtp_call::stock(&lab);
    let key = Key::new(AES_80, 1);
    assert_eq!(call_saying(&lab, &key, ""), Ok(10));
    let mut call = Call::new(&lab);
    call.dial_with("echo", &key, &key.line(1, "|1:4"))
        .expect("accepted");
    assert_eq!(call.media.echoes(10), 10, "without the MKI");
    call.media.send_with(&key.with_mki(&[0, 0, 0, 1]), 0);
    assert_eq!(call.media.echoes(10), 0, "with it");
    call.hang_up();
    drop(call);
    let key = Key::new(AES_80, 1);
    assert_eq!(call_saying(&lab, &key, " WSH=64"), Err(488));
    assert_eq!(call_saying(&lab, &key, "|2^19"), Err(488));
}

#[test]
fn an_endpoint_has_rules_of_its_own() {
    let lab = Lab::new("srtp-endpoint");
    let pbx = ours_with(
        &lab,
        "[srtp]\naccept = AES_CM_128_HMAC_SHA1_80\n\n\
         [sdes]\ntype = endpoint\nmki = yes\nallow = UNENCRYPTED_SRTCP\naccept = AES_CM_128_HMAC_SHA1_32, AEAD_AES_256_GCM\n",
    );
    let short = Key::new(AES_32, 1);
    assert_eq!(
        call_saying(&lab, &short.clone().with_mki(&[0, 77]), "|77:2"),
        Ok(10)
    );
    assert_eq!(call_saying(&lab, &short, " UNENCRYPTED_SRTCP"), Ok(10));
    assert_eq!(call_saying(&lab, &Key::new(GCM_256, 1), ""), Ok(10));
    assert_refused(
        &lab,
        &pbx,
        &short.line(1, " UNENCRYPTED_SRTP"),
        "is not allowed",
    );
    assert_refused(
        &lab,
        &pbx,
        &Key::new(AES_80, 1).line(1, ""),
        "is not accepted",
    );

    // A reload is for new calls: one that stands goes on by the rules of its begin.
    let mut standing = Call::new(&lab);
    standing.dial("echo", &short);
    pbx.configure(
        CONF,
        "[sdes]\ntype = endpoint\naccept = AES_CM_128_HMAC_SHA1_80\n",
    );
    pbx.cli("module reload res_ciphertrunk.so");
    let next = Key::new(AES_32, 2);
    assert_eq!(standing.reoffer(&next.line(1, "")), Ok(true));
    standing.media.send_with(&next, 0);
    assert_eq!(standing.media.echoes(10), 10, "the call that stood");
    standing.hang_up();
    drop(standing);
    assert_refused(&lab, &pbx, &short.line(1, ""), "is not accepted");
    assert_eq!(call_saying(&lab, &Key::new(AES_80, 1), ""), Ok(10));
}

/// SRTCP under an `_32` suite: how long the tag of what comes from Asterisk is, and which it takes.
fn tag_of_report(lab: &Lab, send: &[srtp::Suite]) -> usize {
    let mut call = Call::new(lab);
    let key = Key::new(AES_32, 1);
    call.dial("echo", &key);
    for (n, suite) in send.iter().enumerate() {
        // Each from another source: two senders would count the same indexes.
        call.media.ssrc = n as u32 + 1;
        let mut sender = Srtp::sender(&key.clone().under(*suite), call.media.ssrc, 0);
        call.media.send_report(&mut sender);
    }
    // Asterisk sends one every five seconds.
    let report = call.media.hear_report(wait::SOON).expect("a report");
    let theirs = call.theirs.expect("a call");
    let long = Srtp::receiver(&theirs).unprotect_rtcp(&report).is_ok();
    let short = Srtp::receiver(&theirs.under(srtp::AES_32_SHORT_RTCP))
        .unprotect_rtcp(&report)
        .is_ok();
    assert!(long != short, "one of them opens it");
    if long { 10 } else { 4 }
}

#[test]
fn reports_have_the_long_tag_and_may_have_the_short_one() {
    let lab = Lab::new("srtp-reports");
    let pbx = srtp_call::ours(&lab);
    let tag = tag_of_report(&lab, &[AES_32, srtp::AES_32_SHORT_RTCP]);
    assert_eq!(tag, 10);
    assert_eq!(pbx.count("RTCP unprotected"), 2);
    assert_eq!(pbx.count("Authentication failures"), 0);
}

#[test]
fn stocks_reports_have_the_short_tag() {
    let lab = Lab::new("srtp-reports-stock");
    let _pbx = srtp_call::stock(&lab);
    assert_eq!(tag_of_report(&lab, &[]), 4);
}
