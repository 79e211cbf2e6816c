use super::*;

fn uri(text: &str) -> KeyUri {
    KeyUri::of(Path::new(text)).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn files_and_uris() {
    for file in [
        "/etc/asterisk/keys/privkey.pem",
        "pkcs11.pem",
        "keys/pkcs11:x",
        "PKCS11:token=x",
        "",
    ] {
        assert_eq!(KeyUri::of(Path::new(file)), None, "{file}");
    }
    assert_eq!(uri("pkcs11:token=x").provider(), PKCS11);
    assert_eq!(uri("handle:0x81000001").provider(), TPM2);
}

#[test]
fn a_token_is_named() {
    for good in [
        "pkcs11:token=x",
        "pkcs11:object=k;serial=1",
        "pkcs11:slot-id=3?pin-value=1",
        "handle:0x81000001",
    ] {
        assert_eq!(uri(good).problem(), None, "{good}");
    }
    for (bad, why) in [
        ("pkcs11:", "names no token"),
        ("pkcs11:object=k;type=private?pin-value=1", "names no token"),
        (
            "pkcs11:token=x?pin-source=|/bin/pin",
            "pin-source= names a program",
        ),
    ] {
        let problem = uri(bad).problem().unwrap_or_else(|| panic!("{bad}"));
        assert!(problem.contains(why), "{bad}: {problem}");
    }
}

#[test]
fn the_file_of_the_pin() {
    for (text, file) in [
        ("pkcs11:token=x?pin-source=file:/etc/pin", Some("/etc/pin")),
        (
            "pkcs11:token=x?pin-source=file:///etc/pin",
            Some("/etc/pin"),
        ),
        (
            "pkcs11:token=x;pin-source=/etc/a%20b;object=y",
            Some("/etc/a b"),
        ),
        (
            "pkcs11:token=x?module-name=a&pin-source=/100%",
            Some("/100%"),
        ),
        ("pkcs11:token=pin-source?pin-value=1", None),
    ] {
        assert_eq!(uri(text).pin_file(), file.map(PathBuf::from), "{text}");
    }
}

#[test]
fn the_same_login() {
    let own = uri("pkcs11:token=a%20b;serial=1;object=x?pin-value=1");
    for same in [
        "pkcs11:serial=1;object=y;token=a b;type=private?pin-value=1",
        "pkcs11:token=a%20b;serial=1?module-name=m&pin-value=%31",
    ] {
        assert!(own.has_login_of(&uri(same)), "{same}");
    }
    for other in [
        "pkcs11:token=a%20b;serial=2;object=x?pin-value=1",
        "pkcs11:token=a%20b;object=x?pin-value=1",
        "pkcs11:token=a%20b;serial=1;object=x?pin-value=2",
        "pkcs11:token=a%20b;serial=1;object=x?pin-source=1",
        "pkcs11:token=a%20b;serial=1;object=x",
    ] {
        assert!(!own.has_login_of(&uri(other)), "{other}");
    }
    let key = uri("handle:0x81000001");
    assert!(!key.has_login_of(&key));
}

#[test]
fn a_pin_is_not_shown() {
    for (text, told) in [
        (
            "pkcs11:token=x?pin-value=1234",
            "pkcs11:token=x?pin-value=...",
        ),
        (
            "pkcs11:token=x;pin-value=1234;object=y",
            "pkcs11:token=x;pin-value=...;object=y",
        ),
        (
            "pkcs11:token=x?pin-value=12&max=1, pkcs11:token=y?pin-value=34, k.pem",
            "pkcs11:token=x?pin-value=...&max=1, pkcs11:token=y?pin-value=..., k.pem",
        ),
    ] {
        assert_eq!(without_pins(text), told);
    }
    // Alone it ends at no comma: a PIN may have one.
    let secret = uri("pkcs11:token=x?pin-value=12,34&max=1");
    assert_eq!(secret.to_string(), "pkcs11:token=x?pin-value=...&max=1");
    let secret = uri("pkcs11:token=x?pin-value=1234");
    assert!(!format!("{secret} {secret:?}").contains("1234"));
    assert_eq!(without_pin("/etc/key.pem"), "/etc/key.pem");
    // What is no URI by its first letter alone is shown as carefully.
    let slip = Path::new("Pkcs11:token=x?pin-value=12,34");
    assert_eq!(shown(slip), Path::new("Pkcs11:token=x?pin-value=..."));
}

#[test]
fn private_keys_alone() {
    for (text, opened) in [
        ("pkcs11:token=x", "pkcs11:token=x;type=private"),
        (
            "pkcs11:token=x?pin-value=1",
            "pkcs11:token=x;type=private?pin-value=1",
        ),
        ("pkcs11:type=private;token=x", "pkcs11:type=private;token=x"),
        ("handle:0x81000001", "handle:0x81000001"),
    ] {
        assert_eq!(uri(text).of_private_keys(), opened);
    }
}

#[test]
fn the_token_alone() {
    assert_eq!(
        uri("pkcs11:token=x;model=m;object=y;id=%01;type=private?pin-value=1").of_token(),
        Some("pkcs11:token=x;model=m".to_owned())
    );
    assert_eq!(uri("handle:0x81000001").of_token(), None);
}

#[test]
fn uris_in_files() {
    let text = b"pkcs11:token=x";
    let content = [
        &[0x1a, 2][..],
        b"v1",
        &[0x0c, u8::try_from(text.len()).expect("short")],
        text,
    ];
    let content = content.concat();
    let length = u8::try_from(content.len()).expect("short");
    let short = [&[0x30, length][..], &content].concat();
    let long = [&[0x30, 0x82, 0, length][..], &content].concat();
    assert_eq!(in_der(&short), Some(uri("pkcs11:token=x")));
    assert_eq!(in_der(&long), Some(uri("pkcs11:token=x")));
    for end in 0..short.len() {
        assert_eq!(in_der(&short[..end]), None, "{end}");
    }
    assert_eq!(in_der(&[&short[..], b"x"].concat()), None);
    let file = [&[0x30, 9, 0x1a, 2][..], b"v1", &[0x0c, 3], b"abc"].concat();
    assert_eq!(in_der(&file), None);
}
