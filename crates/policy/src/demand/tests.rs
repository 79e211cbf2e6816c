//! What is demanded, how it adds up, and what each connection and media line is judged to be.

use super::identity::{Binding, Presented};
use super::*;
use crate::facts::Certificate;

fn of(words: &[(&str, &str)]) -> Demand {
    let mut demand = Demand::default();
    for (word, value) in words {
        let more = Demand::parse(word, value).expect("a good demand");
        demand.add(&more).expect("that can be met");
    }
    demand
}

fn line(transport: &str, suites: &[Suite], has_fingerprint: bool) -> DescribedMedia {
    DescribedMedia {
        kind: "audio".to_owned(),
        port: 4000,
        transport: transport.to_owned(),
        suites: suites.iter().copied().map(Some).collect(),
        has_fingerprint,
    }
}

fn ours(version: TlsVersion, verified: Option<&[&str]>) -> Link {
    Link::Ours {
        version,
        verified: verified.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        presented: Presented::Nothing,
        exchange: Exchange::Done(Some("X25519".to_owned())),
    }
}

const CM: Suite = Suite::AesCm128HmacSha1_80;
const SHORT: Suite = Suite::AesCm128HmacSha1_32;
const GCM: Suite = Suite::AeadAes256Gcm;

#[test]
fn words_and_values() {
    for (word, value) in [
        ("signaling", "yes"),
        ("Signaling", "TLS1.3"),
        ("media", "on"),
        ("media", "sdes, AEAD_AES_256_GCM"),
        ("media", "dtls"),
        ("verified", "sip.example.net"),
        ("both_legs", "1"),
    ] {
        assert!(Demand::parse(word, value).is_ok(), "{word} = {value}");
    }
    for (word, value) in [
        ("signaling", "tls2"),
        ("signalling", "yes"),
        ("media", "no"),
        ("media", "AES"),
        ("media", "sdes,dtls"),
        ("media", ""),
        ("verified", "no"),
        ("both_legs", "maybe"),
        ("", "yes"),
    ] {
        assert!(Demand::parse(word, value).is_err(), "{word} = {value}");
    }
}

#[test]
fn demands_add_up_and_never_weaken() {
    let mut demand = of(&[("signaling", "tls1.3"), ("media", "AEAD_AES_256_GCM")]);
    let before = demand.clone();
    demand.add(&of(&[("signaling", "yes")])).expect("weaker");
    demand
        .add(&of(&[("media", "AES_CM_128_HMAC_SHA1_80")]))
        .expect("weaker");
    assert_eq!(demand, before);
    // Neither is the stronger: 256 bits of key, or 128 of tag.
    let other = of(&[("media", "AEAD_AES_128_GCM")]);
    let mut demand = of(&[("media", "AES_256_CM_HMAC_SHA1_80")]);
    assert!(demand.add(&other).is_err());
    let mut demand = of(&[("verified", "a.example")]);
    assert!(demand.add(&of(&[("verified", "b.example")])).is_err());
    assert!(demand.add(&of(&[("verified", "A.example")])).is_ok());
}

#[test]
fn media() {
    let demand = of(&[("media", "yes")]);
    let cases = [
        (line("RTP/SAVP", &[CM], false), None),
        // What Asterisk offers with media_encryption_optimistic and answers in AVP with a key is SRTP.
        (line("RTP/AVP", &[CM], false), None),
        (line("UDP/TLS/RTP/SAVPF", &[], true), None),
        (line("RTP/AVP", &[], false), Some("media-in-clear")),
        (line("RTP/SAVP", &[], false), Some("media-in-clear")),
        // A fingerprint beside a profile in clear does not encrypt.
        (line("RTP/AVP", &[], true), Some("media-in-clear")),
        (line("udptl", &[], false), Some("media-in-clear")),
    ];
    for (line, unmet) in cases {
        let found = demand.judge_media(&line).err().map(|unmet| unmet.code());
        assert_eq!(found, unmet, "{line:?}");
        // Without the demand, and switched off, each is good.
        assert_eq!(of(&[("signaling", "yes")]).judge_media(&line), Ok(()));
        let off = DescribedMedia { port: 0, ..line };
        assert_eq!(demand.judge_media(&off), Ok(()));
    }
}

/// `UNENCRYPTED_SRTP`, and a suite that nobody knows.
#[test]
fn a_line_that_protects_nothing_is_none() {
    let weak = DescribedMedia {
        suites: vec![None],
        ..line("RTP/SAVP", &[], false)
    };
    let among_others = DescribedMedia {
        suites: vec![None, Some(CM)],
        ..weak.clone()
    };
    for value in ["yes", "AES_CM_128_HMAC_SHA1_80", "sdes"] {
        let demand = of(&[("media", value)]);
        let unmet = demand.judge_media(&weak).map_err(|unmet| unmet.code());
        assert_eq!(unmet, Err("media-in-clear"), "{value}");
        assert_eq!(demand.judge_media(&among_others), Ok(()), "{value}");
    }
}

#[test]
fn suites_and_key_sources() {
    let demand = of(&[("media", "AES_CM_128_HMAC_SHA1_80")]);
    let judge = |suites: &[Suite]| {
        let unmet = demand.judge_media(&line("RTP/SAVP", suites, false)).err();
        unmet.map(|unmet| unmet.code())
    };
    assert_eq!(judge(&[CM]), None);
    assert_eq!(judge(&[GCM]), None);
    assert_eq!(judge(&[SHORT, GCM]), None);
    assert_eq!(judge(&[SHORT]), Some("media-suite"));
    assert!(demand.permits(GCM) && !demand.permits(SHORT));
    let sdes = of(&[("media", "sdes")]);
    assert_eq!(sdes.judge_media(&line("RTP/SAVP", &[CM], false)), Ok(()));
    assert_eq!(
        sdes.judge_media(&line("UDP/TLS/RTP/SAVP", &[], true))
            .map_err(|unmet| unmet.code()),
        Err("media-key-source")
    );
}

#[test]
fn signaling() {
    use TlsVersion::{V1_2, V1_3};
    let udp = Link::InClear("UDP".to_owned());
    let named: &[&str] = &["sip.example.net"];
    type Case = (
        &'static [(&'static str, &'static str)],
        Link,
        Option<&'static str>,
    );
    let cases: [Case; 11] = [
        (
            &[("signaling", "yes")],
            udp.clone(),
            Some("signaling-in-clear"),
        ),
        (&[("signaling", "yes")], Link::Foreign, None),
        (&[("signaling", "yes")], ours(V1_2, None), None),
        (
            &[("signaling", "tls1.3")],
            ours(V1_2, None),
            Some("signaling-version"),
        ),
        (&[("signaling", "tls1.3")], ours(V1_3, None), None),
        (
            &[("signaling", "tls1.3")],
            Link::Foreign,
            Some("signaling-unknown"),
        ),
        (
            &[("verified", "yes")],
            ours(V1_3, None),
            Some("not-verified"),
        ),
        (
            &[("verified", "yes")],
            udp.clone(),
            Some("signaling-in-clear"),
        ),
        (
            &[("verified", "SIP.example.net")],
            ours(V1_3, Some(named)),
            None,
        ),
        (
            &[("verified", "other.example")],
            ours(V1_3, Some(named)),
            Some("other-name"),
        ),
        (&[("media", "yes")], udp, None),
    ];
    for (words, link, unmet) in cases {
        let found = of(words).judge_signaling(&link).err();
        assert_eq!(found.map(|unmet| unmet.code()), unmet, "{words:?} {link:?}");
    }
}

/// The certificate of `sip:carrier.example`, of which every octet of the digest is 0xAB.
fn presented(is_verified: bool) -> Presented {
    Presented::Certificate {
        certificate: Certificate {
            subject: "/CN=carrier".to_owned(),
            issuer: "/CN=authority".to_owned(),
            alt_names: ["DNS:gw.Carrier.example", "URI:SIP:Carrier.example"]
                .map(str::to_owned)
                .to_vec(),
            serial: vec![1],
            sha256: [0xAB; 32],
            not_after: 0,
        },
        is_verified,
    }
}

const DIGEST: &str = "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB";

#[test]
fn what_binds_a_certificate() {
    let colons = format!("sha256:{}", ["ab"; 32].join(":"));
    let pin = format!("SHA256:{DIGEST}");
    for (value, printed) in [
        ("sip:Carrier.Example", "sip:carrier.example"),
        ("URI:sip:carrier.example", "sip:carrier.example"),
        ("sip:Alice@Carrier.example", "sip:Alice@carrier.example"),
        ("dns:GW.carrier.example", "DNS:gw.carrier.example"),
        ("DNS:*.carrier.example", "DNS:*.carrier.example"),
        (&colons, &pin),
        (&pin, &pin),
        (
            "sip:a.example , DNS:b.example",
            "sip:a.example or DNS:b.example",
        ),
    ] {
        let binding = Binding::parse(value).expect(value);
        assert_eq!(binding.to_string(), printed);
    }
    for value in [
        "",
        "sip:a.example,",
        "carrier.example",
        "sips:carrier.example",
        "sip:",
        "sip:@carrier.example",
        "sip:carrier.example:5061",
        "sip:carrier.example;transport=tls",
        "sip:a b",
        "IP:127.0.0.1",
        "DNS:",
        "DNS:*",
        "DNS:gw.*.example",
        "SHA256:",
        &pin[..pin.len() - 1],
        &format!("{pin}AB"),
        &pin.replace("ABAB", "A:BAB"),
        &pin.replace("AB", "+B"),
        "SHA1:ABAB",
        "sip:a.example, SIP:A.example",
        &format!("SHA256:{}", "ä".repeat(32)),
    ] {
        assert!(Binding::parse(value).is_err(), "{value}");
    }
}

#[test]
fn names_bind_where_they_are_verified_and_fingerprints_always() {
    let pin = format!("SHA256:{DIGEST}");
    let other = format!("SHA256:{}", DIGEST.replace("AB", "BA"));
    for (bound, verified, unverified) in [
        (
            "sip:carrier.example",
            None,
            Some("certificate-not-verified"),
        ),
        (
            "DNS:gw.carrier.example",
            None,
            Some("certificate-not-verified"),
        ),
        (&*pin, None, None),
        (
            "sip:other.example",
            Some("other-certificate"),
            Some("other-certificate"),
        ),
        // Names of one kind are none of the other, and no pattern.
        (
            "sip:gw.carrier.example",
            Some("other-certificate"),
            Some("other-certificate"),
        ),
        (
            "DNS:carrier.example",
            Some("other-certificate"),
            Some("other-certificate"),
        ),
        (
            "DNS:*.carrier.example",
            Some("other-certificate"),
            Some("other-certificate"),
        ),
        (
            "sip:alice@carrier.example",
            Some("other-certificate"),
            Some("other-certificate"),
        ),
        (&other, Some("other-certificate"), Some("other-certificate")),
        // Any one will do.
        (&format!("sip:other.example, {pin}"), None, None),
        (
            &format!("{other}, sip:carrier.example"),
            None,
            Some("certificate-not-verified"),
        ),
    ] {
        let demand = Demand::of_certificate(Binding::parse(bound).expect(bound));
        let judge = |presented| {
            let link = Link::Ours {
                version: TlsVersion::V1_3,
                verified: None,
                presented,
                exchange: Exchange::Awaited,
            };
            let unmet = demand.judge_signaling(&link).err()?;
            assert!(!unmet.is_of_media());
            Some(unmet.code())
        };
        assert_eq!(judge(presented(true)), verified, "{bound}");
        assert_eq!(judge(presented(false)), unverified, "{bound}");
        assert_eq!(judge(Presented::Nothing), Some("no-certificate"), "{bound}");
        assert_eq!(judge(Presented::Awaited), None, "{bound}");
    }
}

#[test]
fn a_certificate_is_of_tls_that_is_known() {
    let demand = Demand::of_certificate(Binding::parse("sip:carrier.example").expect("good"));
    assert!(!demand.is_nothing() && demand.is_of_signaling());
    let code = |link: &Link| demand.judge_signaling(link).map_err(|unmet| unmet.code());
    let udp = Link::InClear("UDP".to_owned());
    assert_eq!(code(&udp), Err("signaling-in-clear"));
    assert_eq!(code(&Link::Foreign), Err("signaling-unknown"));
    let both = of(&[("media", "yes")]).and(&demand);
    assert!(both.is_of_media() && both.is_of_handshake());
    let other = Demand::of_certificate(Binding::parse("sip:other.example").expect("good"));
    assert_eq!(both.clone().and(&demand), both);
    let unmet = both
        .and(&other)
        .judge_signaling(&udp)
        .expect_err("no peer is both");
    assert_eq!(unmet.code(), "bad-demand");
}

#[test]
fn what_was_presented_is_told() {
    let told = |bound: &str, presented: &Presented| {
        let binding = Binding::parse(bound).expect(bound);
        binding.judge(presented).expect_err("another").to_string()
    };
    let line = told("sip:other.example", &presented(true));
    for text in [
        "bound to the certificate sip:other.example,",
        "presented /CN=carrier DNS:gw.Carrier.example URI:SIP:Carrier.example SHA256:ABAB",
        ", verified",
    ] {
        assert!(line.contains(text), "{line}");
    }
    assert!(told("sip:carrier.example", &presented(false)).contains(", not verified"));
    assert!(told("sip:carrier.example", &Presented::Nothing).contains("presented none"));
    // A line stays a line, of a bounded length, whatever the peer has itself called.
    let Presented::Certificate {
        mut certificate,
        is_verified,
    } = presented(true)
    else {
        unreachable!("made above");
    };
    certificate.subject = "a\nb".repeat(10_000);
    let presented = Presented::Certificate {
        certificate,
        is_verified,
    };
    let line = told("sip:other.example", &presented);
    assert!(line.contains("a?ba?b") && !line.contains('\n'), "{line}");
    assert!(line.chars().count() < 800, "{line}");
}

#[test]
fn what_a_dtls_handshake_brought() {
    let code = |words: &[(&str, &str)], suite| {
        let unmet = of(words).judge_dtls(suite).err()?;
        assert!(unmet.is_of_media());
        Some(unmet.code())
    };
    for (value, of_80, of_32) in [
        ("yes", None, None),
        ("dtls", None, None),
        ("AES_CM_128_HMAC_SHA1_32", None, None),
        ("AES_CM_128_HMAC_SHA1_80, dtls", None, Some("media-suite")),
        ("AEAD_AES_256_GCM", Some("media-suite"), Some("media-suite")),
        ("sdes", Some("media-key-source"), Some("media-key-source")),
    ] {
        assert_eq!(code(&[("media", value)], CM), of_80, "{value}");
        assert_eq!(code(&[("media", value)], SHORT), of_32, "{value}");
    }
    assert_eq!(code(&[("signaling", "yes")], SHORT), None);
}

#[test]
fn a_technology_that_tells_nothing_has_what_is_plain_alone() {
    let code = |words: &[(&str, &str)]| Some(of(words).judge_technology("IAX2").err()?.code());
    for words in [
        &[][..],
        &[("signaling", "yes")],
        &[("signaling", "tls1.0"), ("media", "yes")],
        &[("media", "yes"), ("both_legs", "yes")],
    ] {
        assert_eq!(code(words), None, "{words:?}");
    }
    for word in [
        ("signaling", "tls1.1"),
        ("media", "AES_CM_128_HMAC_SHA1_32"),
        ("media", "sdes"),
        ("media", "dtls"),
        ("verified", "yes"),
        ("verified", "carrier.example"),
    ] {
        assert_eq!(code(&[word]), Some("other-technology"), "{word:?}");
        assert_eq!(
            code(&[("media", "yes"), word]),
            Some("other-technology"),
            "{word:?}"
        );
    }
    let binding = Binding::parse("sip:carrier.example").expect("one");
    let bound = Demand::of_certificate(binding).judge_technology("SIP");
    assert_eq!(bound.expect_err("not seen").code(), "other-technology");
    let lost = Demand::lost().judge_technology("SIP");
    assert_eq!(lost.expect_err("impossible").code(), "bad-demand");
}

#[test]
fn a_name_is_judged_when_the_handshake_has_shown_it() {
    let awaited = |verified: Option<&[&str]>| match ours(TlsVersion::V1_2, verified) {
        Link::Ours {
            version, verified, ..
        } => Link::Ours {
            version,
            verified,
            presented: Presented::Awaited,
            exchange: Exchange::Awaited,
        },
        other => other,
    };
    let demand = of(&[("verified", "b.example")]);
    assert!(demand.is_of_handshake() && !of(&[("verified", "yes")]).is_of_handshake());
    // The one that is asked for is another, and the certificate may have both.
    assert!(
        demand
            .judge_signaling(&awaited(Some(&["a.example"])))
            .is_ok()
    );
    let unmet = demand.judge_signaling(&awaited(None));
    assert_eq!(unmet.expect_err("never verified").code(), "not-verified");
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let code = |verified: Option<&[String]>| {
        Some(
            demand
                .judge_peer(verified, &Presented::Nothing)
                .err()?
                .code(),
        )
    };
    assert_eq!(code(Some(&names(&["a.example", "B.example"]))), None);
    assert_eq!(code(Some(&names(&["a.example"]))), Some("other-name"));
    assert_eq!(code(None), Some("not-verified"));
}

/// What the handshake shows is judged behind it, and a peer without a post-quantum group is told from one with.
#[test]
fn a_post_quantum_exchange() {
    let demand = Demand::parse("signaling", "PQ").expect("it is one");
    assert!(demand.is_of_signaling() && demand.is_of_handshake() && !demand.is_nothing());
    let link = |exchange| Link::Ours {
        version: TlsVersion::V1_2,
        verified: None,
        presented: Presented::Awaited,
        exchange,
    };
    let group = |name: &str| Exchange::Done(Some(name.to_owned()));
    for (exchange, unmet) in [
        (Exchange::Awaited, None),
        (group("X25519MLKEM768"), None),
        (group("secp256r1mlkem768"), None),
        (group("MLKEM768"), None),
        (group("X25519"), Some("not-post-quantum")),
        (group("prime256v1"), Some("not-post-quantum")),
        (Exchange::Done(None), Some("not-post-quantum")),
    ] {
        let found = demand.judge_signaling(&link(exchange.clone())).err();
        assert_eq!(found.as_ref().map(Unmet::code), unmet, "{exchange:?}");
        let found = demand.judge_exchange(&exchange).err();
        assert_eq!(found.as_ref().map(Unmet::code), unmet, "{exchange:?}");
        let yes = Demand::parse("signaling", "yes").expect("it is one");
        assert_eq!(yes.judge_signaling(&link(exchange)), Ok(()));
    }
    assert_eq!(demand.judge_signaling(&Link::Foreign), Err(Unmet::NotOurs));
    assert!(demand.judge_technology("SIP").is_err());
    // It adds up with a version.
    let both = demand.and(&Demand::parse("signaling", "tls1.3").expect("it is one"));
    let found = both.judge_signaling(&link(group("X25519MLKEM768"))).err();
    assert_eq!(found.as_ref().map(Unmet::code), Some("signaling-version"));
}
