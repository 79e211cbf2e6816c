//! What is demanded, how it adds up, and what each connection and media line is judged to be.

use super::*;

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
