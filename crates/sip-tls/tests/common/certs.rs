//! Certificates made at test time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Extension, X509Name, X509NameBuilder};

/// A directory that is gone when dropped.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "sip-tls-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a certificate is to be. The default is good for `sip.example.com`.
#[derive(Clone)]
pub struct Spec {
    pub cn: &'static str,
    pub dns: &'static [&'static str],
    pub uri: &'static [&'static str],
    pub ip: &'static [&'static str],
    pub server_only: bool,
    pub from_days: i64,
    pub to_days: i64,
    pub v1: bool,
    pub ca: bool,
    /// Of a CA: how many CAs may be below it.
    pub path_length: Option<u32>,
    pub rsa: bool,
    /// Of an RSA key.
    pub bits: u32,
    /// Signed with SHA-1.
    pub sha1: bool,
    pub client_only: bool,
    /// Octets of an extension that means nothing, to make it long.
    pub ballast: usize,
    /// Further extensions, as OpenSSL's configuration files have them: name and value.
    pub extensions: &'static [(&'static str, &'static str)],
    /// The alternative names in DER, for what no configuration file can say.
    pub alt_names_der: &'static [u8],
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            cn: "sip.example.com",
            dns: &["sip.example.com"],
            uri: &[],
            ip: &[],
            server_only: false,
            from_days: -1,
            to_days: 30,
            v1: false,
            ca: false,
            path_length: None,
            rsa: false,
            bits: 2048,
            sha1: false,
            client_only: false,
            ballast: 0,
            extensions: &[],
            alt_names_der: &[],
        }
    }
}

#[derive(Clone)]
pub struct Cert {
    pub x509: X509,
    pub key: PKey<Private>,
}

fn name(cn: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "Test")
        .unwrap();
    if !cn.is_empty() {
        name.append_entry_by_nid(Nid::COMMONNAME, cn).unwrap();
    }
    name.build()
}

/// An IA5String of this length in DER.
fn ia5(length: usize) -> Vec<u8> {
    let size = u16::try_from(length).unwrap().to_be_bytes();
    let mut der = vec![0x16, 0x82, size[0], size[1]];
    der.resize(4 + length, b'x');
    der
}

impl Cert {
    pub fn make(spec: &Spec, issuer: Option<&Cert>) -> Cert {
        let key = if spec.rsa {
            PKey::from_rsa(Rsa::generate(spec.bits).unwrap()).unwrap()
        } else {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        let mut builder = X509::builder().unwrap();
        builder.set_version(if spec.v1 { 0 } else { 2 }).unwrap();
        let mut serial = BigNum::new().unwrap();
        serial
            .rand(127, openssl::bn::MsbOption::MAYBE_ZERO, false)
            .unwrap();
        builder
            .set_serial_number(&serial.to_asn1_integer().unwrap())
            .unwrap();
        builder.set_subject_name(&name(spec.cn)).unwrap();
        let own = name(spec.cn);
        builder
            .set_issuer_name(issuer.map_or(&*own, |issuer| issuer.x509.subject_name()))
            .unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs() as i64;
        let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
        builder.set_not_before(&at(spec.from_days)).unwrap();
        builder.set_not_after(&at(spec.to_days)).unwrap();
        builder.set_pubkey(&key).unwrap();
        if !spec.v1 {
            let mut constraints = BasicConstraints::new();
            if spec.ca {
                constraints.ca();
            }
            if let Some(length) = spec.path_length {
                constraints.pathlen(length);
            }
            builder
                .append_extension(constraints.critical().build().unwrap())
                .unwrap();
            if spec.client_only {
                builder
                    .append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap())
                    .unwrap();
            }
            if spec.server_only {
                builder
                    .append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap())
                    .unwrap();
            }
            let mut alt = SubjectAlternativeName::new();
            spec.dns.iter().for_each(|dns| _ = alt.dns(dns));
            spec.uri.iter().for_each(|uri| _ = alt.uri(uri));
            spec.ip.iter().for_each(|ip| _ = alt.ip(ip));
            if spec.dns.len() + spec.uri.len() + spec.ip.len() > 0 {
                let alt = alt.build(&builder.x509v3_context(None, None)).unwrap();
                builder.append_extension(alt).unwrap();
            }
        }
        for (name, value) in spec.extensions {
            #[allow(deprecated)] // Its successors know no name constraints and no e-mail address.
            let extension = {
                let issuer = issuer.map(|issuer| &*issuer.x509);
                X509Extension::new(
                    None,
                    Some(&builder.x509v3_context(issuer, None)),
                    name,
                    value,
                )
            };
            builder.append_extension(extension.unwrap()).unwrap();
        }
        if !spec.alt_names_der.is_empty() {
            let names = Asn1OctetString::new_from_bytes(spec.alt_names_der).unwrap();
            let oid = Asn1Object::from_str("2.5.29.17").unwrap();
            let names = X509Extension::new_from_der(&oid, false, &names).unwrap();
            builder.append_extension(names).unwrap();
        }
        if spec.ballast > 0 {
            // netscape-comment, an IA5String
            let text = Asn1OctetString::new_from_bytes(&ia5(spec.ballast)).unwrap();
            let oid = Asn1Object::from_str("2.16.840.1.113730.1.13").unwrap();
            let comment = X509Extension::new_from_der(&oid, false, &text).unwrap();
            builder.append_extension(comment).unwrap();
        }
        let digest = if spec.sha1 {
            MessageDigest::sha1()
        } else {
            MessageDigest::sha256()
        };
        builder
            .sign(issuer.map_or(&key, |issuer| &issuer.key), digest)
            .unwrap();
        Cert {
            x509: builder.build(),
            key,
        }
    }

    pub fn ca(cn: &'static str) -> Cert {
        Cert::make(
            &Spec {
                cn,
                dns: &[],
                ca: true,
                ..Spec::default()
            },
            None,
        )
    }

    pub fn pem(&self) -> Vec<u8> {
        self.x509.to_pem().unwrap()
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    pub fn encrypted_key_pem(&self, password: &str) -> Vec<u8> {
        self.key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes())
            .unwrap()
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub fn write(&self, dir: &Dir, name: &str) -> (PathBuf, PathBuf) {
        (
            dir.write(&format!("{name}.pem"), &self.pem()),
            dir.write(&format!("{name}.key"), &self.key_pem()),
        )
    }
}

/// A directory of CAs as `ca_list_path` wants it.
pub fn hashed_dir(ca: &Cert) -> Dir {
    let dir = Dir::new();
    dir.write("ca.pem", &ca.pem());
    assert!(
        Command::new("openssl")
            .arg("rehash")
            .arg(dir.path())
            .status()
            .unwrap()
            .success()
    );
    dir
}
