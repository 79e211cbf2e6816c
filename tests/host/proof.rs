//! What `CIPHERTRUNK(field)` says of a call, beside what is true of it: encrypted calls and their plain twins, with peers that link
//! none of our crates.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::certificates::{Authority, Certificate};
use host_harness::lab::Lab;
use host_harness::names::Names;
use host_harness::pjsip::{self, Encryption, TLS_PORT, UDP};

use crate::world::{CARRIER, CARRIER_TONE, OUR_TONE, OURS, PHONE, PHONE_TONE, is_documented};

pub const PASSWORD: &str = "correct-horse";
/// What the carrier's certificate is for.
pub const CARRIER_NAME: &str = "carrier.example";
/// Each field, so that none is left out.
pub const FIELDS: &[&str] = &[
    "word",
    "summary",
    "transport",
    "tls_version",
    "tls_cipher",
    "tls_group",
    "tls_resumed",
    "verified",
    "verified_name",
    "cert_subject",
    "cert_san",
    "cert_issuer",
    "cert_serial",
    "cert_sha256",
    "cert_not_after",
    "key_source",
    "suite_out",
    "suite_in",
    "packets_out",
    "packets_in",
    "lost",
    "replays",
    "failures",
    "roc_out",
    "roc_in",
    "rekeys",
    "in_clear",
];

/// Modules that the tests of proof have besides.
pub const MODULES: &[&str] = &[
    "app_stack",
    "cdr_custom",
    "cel_custom",
    "func_cdr",
    "func_strings",
    "res_cdrel_custom",
    "res_pjsip_refer",
];

/// `CIPHERTRUNK(field,channel)`, from the console.
pub fn ask(asterisk: &Asterisk<'_>, field: &str, channel: &str) -> String {
    let answer = asterisk.cli(&format!(
        "dialplan eval function CIPHERTRUNK({field},{channel})"
    ));
    assert!(
        answer.contains("Return Value: Success"),
        "{field}: {answer}"
    );
    let result = answer.lines().find_map(|line| line.strip_prefix("Result:"));
    result
        .unwrap_or_else(|| panic!("no result: {answer}"))
        .trim()
        .to_owned()
}

/// The one channel whose name begins so.
pub fn channel(asterisk: &Asterisk<'_>, prefix: &str) -> String {
    let text = asterisk.cli("core show channels concise");
    let found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split('!').next())
        .filter(|name| name.starts_with(prefix))
        .collect();
    match found[..] {
        [one] => one.to_owned(),
        _ => panic!("channels {prefix}*:\n{text}"),
    }
}

/// Asks field by field; `wanted` says what each is, `!` that it is known, whatever it is, and the empty text that it is not known,
/// with a reason.
pub fn assert_fields(asterisk: &Asterisk<'_>, channel: &str, wanted: &[(&str, &str)]) {
    for field in FIELDS {
        let (value, why) = (
            ask(asterisk, field, channel),
            ask(asterisk, &format!("why.{field}"), channel),
        );
        let wanted = wanted.iter().find(|(name, _)| name == field);
        let (_, wanted) = wanted.unwrap_or_else(|| panic!("nothing is wanted of {field}"));
        match *wanted {
            "!" => assert!(!value.is_empty(), "{field} is not known: {why}"),
            wanted => assert_eq!(value, wanted, "{field} ({why})"),
        }
        assert_eq!(
            value.is_empty(),
            !why.is_empty(),
            "{field}: '{value}', '{why}'"
        );
    }
}

/// What OpenSSL says of a certificate.
fn openssl(lab: &Lab, certificate: &Certificate, options: &[&str]) -> String {
    let mut args = vec!["x509", "-noout", "-in", &certificate.certificate];
    args.extend(options);
    let text = lab.must_run("openssl", &args);
    let (_, value) = text.trim().split_once('=').expect("name=value");
    value.to_owned()
}

/// An Asterisk without our module that is reached by TLS under its name, and says its tone.
pub fn tls_carrier<'lab>(
    lab: &'lab Lab,
    certificate: &Certificate,
    authority: &str,
) -> Asterisk<'lab> {
    Asterisk::start(
        lab,
        &Setup::stock("carrier", CARRIER)
            .pjsip(&pjsip::tls(certificate, authority))
            .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
            .dialplan(&pjsip::say(CARRIER_TONE)),
    )
}

#[test]
fn each_field_of_a_verified_call_and_of_its_plain_twin() {
    let lab = Lab::new("proof/fields");
    let _names = Names::serve(&lab, &[(CARRIER_NAME, CARRIER)]);
    let authority = Authority::new(&lab, "authority");
    let own = authority.issue("ours", "ours.example", OURS);
    let theirs = authority.issue("carrier", CARRIER_NAME, CARRIER);
    let _carrier = tls_carrier(&lab, &theirs, &authority.file());
    let _plain = Asterisk::start(
        &lab,
        &Setup::stock("plain", "127.0.0.21")
            .pjsip(UDP)
            .pjsip(&pjsip::trunk("ours", OURS, Encryption::Plain))
            .dialplan(&pjsip::say(CARRIER_TONE)),
    );
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .also_modules(MODULES)
            .pjsip(UDP)
            .pjsip(&(pjsip::tls(&own, &authority.file()) + "verify_server = yes\n"))
            .pjsip(&pjsip::tls_trunk("carrier", CARRIER_NAME, Encryption::Sdes))
            .pjsip(&pjsip::trunk("plain", "127.0.0.21", Encryption::Plain))
            .dialplan(&pjsip::say(OUR_TONE)),
    );

    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    let not_after = openssl(&lab, &theirs, &["-enddate", "-dateopt", "iso_8601"]);
    let encrypted = [
        ("word", "encrypted"),
        ("summary", "!"),
        ("transport", "TLS"),
        ("tls_version", "TLSv1.2"),
        ("tls_cipher", "!"),
        ("tls_group", "!"),
        ("tls_resumed", "no"),
        ("verified", "yes"),
        ("verified_name", CARRIER_NAME),
        ("cert_subject", "/CN=carrier.example"),
        ("cert_san", "DNS:carrier.example IP:127.0.0.20"),
        ("cert_issuer", "/CN=authority"),
        ("cert_serial", &openssl(&lab, &theirs, &["-serial"])),
        (
            "cert_sha256",
            &openssl(&lab, &theirs, &["-fingerprint", "-sha256"]).replace(':', ""),
        ),
        ("cert_not_after", &not_after.replace(' ', "T")),
        ("key_source", "SDES"),
        ("suite_out", "AES_CM_128_HMAC_SHA1_80"),
        ("suite_in", "AES_CM_128_HMAC_SHA1_80"),
        ("packets_out", "!"),
        ("packets_in", "!"),
        ("lost", "!"),
        ("replays", "0"),
        ("failures", "0"),
        ("roc_out", "0"),
        ("roc_in", "0"),
        ("rekeys", "0"),
        ("in_clear", "no"),
    ];
    let leg = channel(&ours, "PJSIP/carrier-");
    assert_fields(&ours, &leg, &encrypted);
    for field in ["packets_out", "packets_in"] {
        let count: u64 = ask(&ours, field, &leg).parse().expect("a number");
        assert!(count > 20, "{field}: {count}");
    }
    assert!(ask(&ours, "summary", &leg).ends_with(" never-in-clear"));
    assert_eq!(
        ask(&ours, "why.video.suite_in", &leg),
        "the call has no such stream"
    );
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);

    ours.cli("channel originate PJSIP/say@plain extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    let plain = FIELDS.iter().map(|field| {
        let wanted = match *field {
            "word" => "plain",
            "transport" => "UDP",
            "in_clear" => "yes",
            "summary" | "packets_out" | "packets_in" | "lost" => "!",
            _ => "",
        };
        (*field, wanted)
    });
    let leg = channel(&ours, "PJSIP/plain-");
    assert_fields(&ours, &leg, &plain.collect::<Vec<_>>());
}

/// A phone that is registered, and our Asterisk.
pub fn with_phone<'lab>(
    lab: &'lab Lab,
    transport: &str,
    encryption: Encryption,
    media: Media,
    more: impl FnOnce(Setup) -> Setup,
) -> (Asterisk<'lab>, Baresip) {
    let authority = Authority::new(lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let setup = Setup::ours("ours", OURS)
        .also_modules(MODULES)
        .pjsip(UDP)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&pjsip::phone("alice", PASSWORD, transport, encryption))
        .dialplan(&pjsip::say(OUR_TONE));
    let ours = Asterisk::start(lab, &more(setup));
    let port = if transport == "tls" { TLS_PORT } else { 5060 };
    let phone = Baresip::start(
        lab,
        &Phone {
            name: "alice".to_owned(),
            address: PHONE.to_owned(),
            server: (format!("{OURS}:{port}"), transport.to_owned()),
            password: Some(PASSWORD.to_owned()),
            media,
            tone: PHONE_TONE,
            authority: Some(authority.file()),
        },
    );
    (ours, phone)
}

#[test]
fn dtls_srtp() {
    let lab = Lab::new("proof/dtls");
    let (ours, phone) = with_phone(&lab, "tls", Encryption::Dtls, Media::Dtls, |setup| setup);
    ours.cli("channel originate PJSIP/alice extension say@default");
    phone.wait_for_tone(OUR_TONE, 10);
    ours.wait_for_tone(PHONE_TONE, 10);
    let leg = channel(&ours, "PJSIP/alice-");
    for (field, wanted) in [
        ("key_source", "DTLS-SRTP"),
        ("suite_out", "AES_CM_128_HMAC_SHA1_80"),
        ("suite_in", "AES_CM_128_HMAC_SHA1_80"),
        // The phone connected to us, and has no certificate.
        ("verified", "no"),
        ("why.cert_subject", "the peer sent no certificate"),
    ] {
        assert_eq!(ask(&ours, field, &leg), wanted, "{field}");
    }
    // baresip does not wait for the end of the handshake with its first packet, and Asterisk takes it: that is told.
    let told = (ask(&ours, "word", &leg), ask(&ours, "in_clear", &leg));
    println!("a DTLS call with baresip: {told:?}");
    assert!(
        [("encrypted", "no"), ("signaling-only", "yes")].contains(&(&*told.0, &*told.1)),
        "{told:?}"
    );
}

#[test]
fn signalling_and_media_are_told_apart() {
    let lab = Lab::new("proof/words");
    let (ours, mut phone) = with_phone(&lab, "tls", Encryption::Plain, Media::Plain, |setup| setup);
    phone.call(&format!("sip:say@{OURS}:{TLS_PORT};transport=tls"));
    ours.wait_for_tone(PHONE_TONE, 10);
    let leg = channel(&ours, "PJSIP/alice-");
    assert_eq!(ask(&ours, "word", &leg), "signaling-only");
    assert_eq!(ask(&ours, "in_clear", &leg), "yes");
    assert_eq!(ask(&ours, "why.suite_in", &leg), "the stream has no SRTP");

    let lab = Lab::new("proof/words-udp");
    let (ours, mut phone) = with_phone(&lab, "udp", Encryption::Sdes, Media::Sdes, |setup| setup);
    phone.call(&format!("sip:say@{OURS}"));
    ours.wait_for_tone(PHONE_TONE, 10);
    let leg = channel(&ours, "PJSIP/alice-");
    assert_eq!(ask(&ours, "word", &leg), "media-only");
    assert_eq!(ask(&ours, "in_clear", &leg), "no");
    assert_eq!(
        ask(&ours, "why.tls_version", &leg),
        "the transport is not TLS"
    );
}

#[test]
fn what_is_refused() {
    let lab = Lab::new("proof/refused");
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .pjsip(UDP)
            .dialplan("exten => set,1,Set(CIPHERTRUNK(word)=encrypted)\n same => n,Wait(1)\n"),
    );
    let fails = |call: &str, reason: &str| {
        let answer = ours.cli(&format!("dialplan eval function {call}"));
        assert!(answer.contains("Return Value: Failure"), "{answer}");
        let lines = ours.all_log_lines(reason);
        assert!(
            lines
                .iter()
                .any(|line| line.contains("ERROR") && line.contains(call)),
            "{call}: {lines:?}\n{}",
            ours.log()
        );
    };
    fails(
        "CIPHERTRUNK(words)",
        "there is no such field; there are: word, ",
    );
    fails("CIPHERTRUNK(peer.word)", "there is no such field");
    fails(
        "CIPHERTRUNK(word,PJSIP/nobody-1)",
        "there is no such channel",
    );
    // The accepted twin: a channel without a call.
    let answer = ours.cli("dialplan eval function CIPHERTRUNK(why.transport)");
    assert!(answer.contains("the channel is not PJSIP's"), "{answer}");
    ours.cli("channel originate Local/set@default application Wait 1");
    ours.wait_for_log("CIPHERTRUNK(word) on Local/set@default");
    ours.wait_for_log("it says what is, and cannot be set");
    if !is_documented(&ours, "proof::what_is_refused (the function's documents)") {
        return;
    }
    let documents = ours.cli("core show function CIPHERTRUNK");
    for text in [
        "Tells how a call is encrypted",
        "cert_not_after",
        "CDR(ciphertrunk_peer)",
    ] {
        assert!(documents.contains(text), "{documents}");
    }
}
