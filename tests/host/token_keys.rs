//! Keys that are in no file: in a PKCS#11 token (SoftHSM) by pkcs11-provider, and in a TPM (swtpm) by tpm2-openssl. The other ends are
//! baresip and `openssl s_client`.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::certificates::Authority;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::pjsip::{self, Encryption, TLS_PORT};

use crate::tls_world::is_ours;
use crate::world::{OUR_TONE, OURS, PHONE, PHONE_TONE, assert_served_by_us};

const PIN: &str = "86420975";
const OTHER_PIN: &str = "24681357";
const WRONG: &str = "11112222";
const TPM_PORT: u16 = 5063;
/// Where baresip's connections come from.
const LOCAL: &str = "127.0.0.1";

/// Where OpenSSL and the libraries find what they need.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("OPENSSL_CONF", "/srv/keys/openssl.cnf"),
    ("SOFTHSM2_CONF", "/srv/keys/softhsm2.conf"),
    ("TPM2OPENSSL_TCTI", "swtpm:path=/srv/tpm/sock"),
];

const OPENSSL_CNF: &str = "openssl_conf = init\n[init]\nproviders = providers\n\
     [providers]\ndefault = default_sect\npkcs11 = pkcs11_sect\ntpm2 = tpm2_sect\n\
     [default_sect]\nactivate = 1\n[tpm2_sect]\nactivate = 1\n\
     [pkcs11_sect]\nmodule = pkcs11.so\npkcs11-module-path = /usr/lib/softhsm/libsofthsm2.so\n\
     pkcs11-module-encode-provider-uri-to-pem = true\nactivate = 1\n";

/// Two tokens, `trunk` with the keys `ec` and `rsa`, and `other` with `third`; a key of the TPM; a certificate for each. The keys are made
/// where they stay. `ec.key` and `tpm.key` stand for theirs.
const MAKE: &str = r#"set -e
cd /srv/keys
softhsm2-util --init-token --free --label trunk --pin $PIN --so-pin 13579
softhsm2-util --init-token --free --label other --pin $OTHER_PIN --so-pin 13579
printf %s $PIN >pin
printf %s $OTHER_PIN >other-pin
make_key() {
    openssl genpkey -propquery provider=pkcs11 -algorithm $3 -pkeyopt $4 \
        -pkeyopt "pkcs11_uri:pkcs11:token=$1;object=$2?pin-source=file:/srv/keys/$5" -out $2.key
    certify $2 "pkcs11:token=$1;object=$2;type=private?pin-source=file:/srv/keys/$5"
}
certify() {
    openssl req -x509 -new -key "$2" -CA /srv/tls/authority.pem -CAkey /srv/tls/authority.key -days 60 -subj /CN=$1 \
        -addext subjectAltName=DNS:ours.example,IP:$OURS -addext basicConstraints=critical,CA:FALSE -out $1.pem
}
make_key trunk ec EC ec_paramgen_curve:P-256 pin
make_key trunk rsa RSA rsa_keygen_bits:2048 pin
make_key other third EC ec_paramgen_curve:P-256 other-pin
openssl genpkey -propquery '?provider=tpm2' -algorithm EC -pkeyopt group:P-256 -out tpm.key
certify tpm tpm.key
# The provider has the key, and the file alone is none.
openssl pkey -in ec.key -passin pass:$PIN -pubout -out ec.pub
! OPENSSL_CONF=/dev/null openssl pkey -in ec.key -passin pass:$PIN -pubout -out ec.pub 2>none
"#;

/// The tokens, the keys and the TPM, which runs until the lab ends. `false`: the root has no programs for them.
fn make(lab: &Lab) -> bool {
    let needed = ["usr/bin/softhsm2-util", "usr/bin/swtpm"];
    if !lab.host().is_of_this_machine() && needed.iter().all(|it| lab.root().join(it).exists()) {
        Authority::new(lab, "authority");
        lab.write("keys/openssl.cnf", OPENSSL_CNF);
        lab.write(
            "keys/softhsm2.conf",
            "directories.tokendir = /srv/keys/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
        );
        lab.write("keys/tokens/.made", "");
        lab.write("tpm/.made", "");
        let state = "--tpm2 --tpmstate dir=/srv/tpm --server type=unixio,path=/srv/tpm/sock --ctrl type=unixio,path=/srv/tpm/sock.ctrl \
                     --flags not-need-init,startup-clear --daemon";
        let args: Vec<&str> = ["socket"].into_iter().chain(state.split(' ')).collect();
        // Its command ends when it listens; who comes before is never answered.
        lab.must_run("swtpm", &args);
        in_shell(lab, MAKE);
        return true;
    }
    host::skip(
        "token_keys::calls_over_keys_in_tokens",
        "this root has no SoftHSM, or no TPM of software",
    );
    false
}

fn in_shell(lab: &Lab, commands: &str) -> String {
    let set: Vec<String> = [("PIN", PIN), ("OTHER_PIN", OTHER_PIN), ("OURS", OURS)]
        .iter()
        .chain(&ENVIRONMENT)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut args: Vec<&str> = set.iter().map(String::as_str).collect();
    args.extend(["sh", "-c", commands]);
    lab.must_run("env", &args)
}

/// The subject of the certificate that `openssl s_client` gets and verifies, from this address.
fn subject(lab: &Lab, from: &str, port: u16) -> String {
    let command = format!(
        "openssl s_client -connect {OURS}:{port} -bind {from}:0 -CAfile {}/tls/authority.pem -verify_return_error -verify_ip {OURS} \
         </dev/null",
        lab::FOLDER
    );
    let output = lab.run("sh", &["-c", &command]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{from}: {text}");
    let line = text.lines().find_map(|it| it.strip_prefix("subject=CN="));
    line.unwrap_or_else(|| panic!("{text}")).trim().to_owned()
}

/// The profile of the phone's.
fn profile(certificate: &str, key: &str) -> String {
    let key = key.replace(';', "\\;");
    format!(
        "[phones]\ntype = tls\nmatch = {LOCAL}\ncert_file = /srv/keys/{certificate}.pem\npriv_key_file = {key}\n"
    )
}

fn transport(name: &str, port: u16, certificate: &str, key: &str) -> String {
    format!(
        "[{name}]\ntype = transport\nprotocol = tls\nbind = {{address}}:{port}\ncert_file = /srv/keys/{certificate}.pem\n\
         priv_key_file = {key}\nmethod = tlsv1_2\n"
    )
}

const GOOD: &str = "pkcs11:token=trunk;object=rsa;type=private?pin-source=file:/srv/keys/pin";

#[test]
fn calls_over_keys_in_tokens() {
    let lab = Lab::new("tls/token_keys");
    if !make(&lab) {
        return;
    }
    let of_file = transport("tls", TLS_PORT, "ec", "/srv/keys/ec.key");
    let mut setup = Setup::ours("ours", OURS)
        .pjsip(&format!("{of_file}password = {PIN}\n"))
        .pjsip(&transport("tpm", TPM_PORT, "tpm", "/srv/keys/tpm.key"))
        .pjsip(&transport("uri", 5065, "ec", "pkcs11:token=trunk"))
        .pjsip(&pjsip::phone(
            "alice",
            "correct-horse",
            "tls",
            Encryption::Sdes,
        ))
        .dialplan(&pjsip::say(OUR_TONE))
        .file("ciphertrunk.conf", &profile("rsa", GOOD));
    for (name, value) in ENVIRONMENT {
        setup = setup.environment(name, value);
    }
    let ours = Asterisk::start(&lab, &setup);
    // Asterisk takes files alone; a profile takes a URI.
    ours.wait_for_log("priv_key_file pkcs11:token=trunk is either missing or not readable");
    for name in ["tls", "tpm"] {
        assert!(is_ours(&ours, name), "{name}: {}", ours.log());
    }
    assert_eq!(subject(&lab, OURS, TLS_PORT), "ec");
    assert_eq!(subject(&lab, OURS, TPM_PORT), "tpm");
    assert_eq!(subject(&lab, LOCAL, TLS_PORT), "rsa");
    call(&lab, &ours);
    refused(&lab, &ours);
    renewed(&lab, &ours);
    given_back(&lab, &ours);
    let log = ours.log();
    assert!(log.contains("pin-value=..."), "{log}");
    for pin in [PIN, OTHER_PIN, WRONG] {
        assert!(!log.contains(pin), "{log}");
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A call of a phone that verifies the certificate.
fn call(lab: &Lab, ours: &Asterisk<'_>) {
    let mut phone = Baresip::start(
        lab,
        &Phone {
            name: "alice".to_owned(),
            address: PHONE.to_owned(),
            server: (format!("{OURS}:{TLS_PORT}"), "tls".to_owned()),
            password: Some("correct-horse".to_owned()),
            media: Media::Sdes,
            tone: PHONE_TONE,
            authority: Some(format!("{}/tls/authority.pem", lab::FOLDER)),
        },
    );
    phone.call(&format!("sip:say@{OURS}:{TLS_PORT};transport=tls"));
    phone.wait_for_tone(OUR_TONE, 10);
    ours.wait_for_tone(PHONE_TONE, 10);
    assert_served_by_us(ours);
    let shown = ours.cli("ciphertrunk show connections");
    assert!(shown.contains("Profile: phones"), "{shown}");
    phone.hang_up();
    ours.wait_for_channels(0);
}

/// What cannot be had is one line, and the key from before stays.
fn refused(lab: &Lab, ours: &Asterisk<'_>) {
    let wrong = format!("pkcs11:token=other;object=third?pin-value={WRONG}");
    for (key, why) in [
        ("pkcs11:token=nosuch;object=rsa", "no token fits it"),
        (
            "pkcs11:token=trunk;object=nosuch",
            "the token has no private key that fits it",
        ),
        (
            "pkcs11:token=trunk;object=ec",
            "no private key that fits it belongs to the certificate",
        ),
        (
            "pkcs11:token=trunk",
            "no private key that fits it belongs to the certificate",
        ),
        (
            "pkcs11:token=other;object=third",
            // On the transport that has no password.
            "the token asks for a PIN and there is none",
        ),
        (&wrong, "the token does not take the PIN"),
        (
            "pkcs11:token=other?pin-source=file:/srv/keys/none-such",
            "its PIN, in '/srv/keys/none-such', cannot be read: No such file",
        ),
        ("pkcs11:object=rsa", "it names no token"),
        (
            "handle:0x81000007",
            "the token has no private key that fits it",
        ),
        ("/srv/keys/tpm.key", "the private key does not belong"),
    ] {
        // The token knows both keys and neither is the TPM's.
        let certificate = if key == "pkcs11:token=trunk" {
            "tpm"
        } else {
            "rsa"
        };
        ours.configure("ciphertrunk.conf", &profile(certificate, key));
        ours.cli("module reload res_ciphertrunk.so");
        let shown = key.replace(WRONG, "...");
        let line = format!("profile 'phones' of ciphertrunk.conf: priv_key_file '{shown}': {why}");
        ours.wait_for_log(&line);
        assert_eq!(subject(lab, LOCAL, TLS_PORT), "rsa", "{line}");
    }
}

/// pjproject reads the file that stands for a key in a token, too.
fn given_back(lab: &Lab, ours: &Asterisk<'_>) {
    ours.cli("ciphertrunk drain");
    ours.wait_until("the end of our listeners", |ours| {
        (!is_ours(ours, "tls")).then_some(())
    });
    assert_eq!(subject(lab, LOCAL, TLS_PORT), "ec");
}

/// A PIN that is put right is tried without a word.
fn renewed(lab: &Lab, ours: &Asterisk<'_>) {
    lab.write("keys/pin2", WRONG);
    let key = "pkcs11:token=other;object=third?pin-source=file:/srv/keys/pin2";
    ours.configure("ciphertrunk.conf", &profile("third", key));
    ours.cli("module reload res_ciphertrunk.so");
    ours.wait_for_log(&format!(
        "priv_key_file '{key}': the token does not take the PIN"
    ));
    assert_eq!(subject(lab, LOCAL, TLS_PORT), "rsa");
    lab.write("keys/pin2", format!("{OTHER_PIN}\n"));
    ours.wait_for_log("transport 'tls': its files have changed and are in force");
    assert_eq!(subject(lab, LOCAL, TLS_PORT), "third");
    // A reload opens the tokens anew.
    ours.cli("module reload res_ciphertrunk.so");
    assert_eq!(subject(lab, LOCAL, TLS_PORT), "third");
    assert_eq!(subject(lab, OURS, TLS_PORT), "ec");
}
