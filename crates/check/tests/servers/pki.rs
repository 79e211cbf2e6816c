//! Certificates made at test time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};

/// The name that the tests ask for.
pub const NAME: &str = "sip.example.com";

/// A directory that is gone when dropped.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("ciphertrunk-check-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Dir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, octets).expect("a file");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a certificate is to be. The default is good for [`NAME`], as server and client.
#[derive(Clone)]
pub struct Spec {
    pub organisation: &'static str,
    pub cn: &'static str,
    pub dns: &'static [&'static str],
    pub uri: &'static [&'static str],
    pub ip: &'static [&'static str],
    pub from_days: i64,
    pub to_days: i64,
    pub ca: bool,
    /// RSA with so many bits; 0 is P-256.
    pub rsa: u32,
    pub sha1: bool,
    /// Of an elliptic key.
    pub curve: &'static str,
    /// A CA may have so many below it.
    pub below: Option<u32>,
    /// A CA that may sign for this domain alone (RFC 5280 4.2.1.10).
    pub domain: Option<&'static str>,
    /// OCSP must be stapled (RFC 7633).
    pub staple: bool,
    pub server: bool,
    pub client: bool,
    /// Octets of an extension that means nothing, to make it long.
    pub ballast: usize,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            organisation: "Carrier",
            cn: NAME,
            dns: &[NAME],
            uri: &[],
            ip: &[],
            from_days: -10,
            to_days: 300,
            ca: false,
            rsa: 0,
            sha1: false,
            curve: "prime256v1",
            below: None,
            domain: None,
            staple: false,
            server: true,
            client: true,
            ballast: 0,
        }
    }
}

/// A short value.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("it is short");
    assert!(length < 128, "the short form");
    [&[tag, length], content].concat()
}

fn append(builder: &mut X509Builder, oid: &str, der: &[u8]) {
    let octets = Asn1OctetString::new_from_bytes(der).expect("octets");
    let oid = Asn1Object::from_str(oid).expect("an OID");
    let extension = X509Extension::new_from_der(&oid, false, &octets).expect("an extension");
    builder.append_extension(extension).expect("an extension");
}

#[derive(Clone)]
pub struct Cert {
    pub x509: X509,
    pub key: PKey<Private>,
}

impl Cert {
    pub fn make(spec: &Spec, issuer: Option<&Cert>) -> Cert {
        let key = match spec.rsa {
            0 => PKey::ec_gen(spec.curve).expect("a key"),
            bits => PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key"),
        };
        let mut name = X509NameBuilder::new().expect("a name");
        name.append_entry_by_nid(Nid::ORGANIZATIONNAME, spec.organisation)
            .expect("a name");
        name.append_entry_by_nid(Nid::COMMONNAME, spec.cn)
            .expect("a name");
        let name = name.build();
        let mut builder = X509::builder().expect("a certificate");
        builder.set_version(2).expect("version 3");
        let mut serial = BigNum::new().expect("a number");
        serial
            .rand(127, MsbOption::MAYBE_ZERO, false)
            .expect("a number");
        builder
            .set_serial_number(&serial.to_asn1_integer().expect("a number"))
            .expect("a serial");
        builder.set_subject_name(&name).expect("a subject");
        builder
            .set_issuer_name(issuer.map_or(&*name, |issuer| issuer.x509.subject_name()))
            .expect("an issuer");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs() as i64;
        let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).expect("a time");
        builder.set_not_before(&at(spec.from_days)).expect("a time");
        builder.set_not_after(&at(spec.to_days)).expect("a time");
        builder.set_pubkey(&key).expect("a key");
        let mut constraints = BasicConstraints::new();
        if spec.ca {
            constraints.ca();
        }
        spec.below
            .iter()
            .for_each(|below| _ = constraints.pathlen(*below));
        builder
            .append_extension(constraints.critical().build().expect("an extension"))
            .expect("an extension");
        if !spec.ca && (spec.server || spec.client) {
            let mut usage = ExtendedKeyUsage::new();
            if spec.server {
                usage.server_auth();
            }
            if spec.client {
                usage.client_auth();
            }
            builder
                .append_extension(usage.build().expect("an extension"))
                .expect("an extension");
        }
        let mut alt = SubjectAlternativeName::new();
        spec.dns.iter().for_each(|dns| _ = alt.dns(dns));
        spec.uri.iter().for_each(|uri| _ = alt.uri(uri));
        spec.ip.iter().for_each(|ip| _ = alt.ip(ip));
        if spec.dns.len() + spec.uri.len() + spec.ip.len() > 0 && !spec.ca {
            let alt = alt
                .build(&builder.x509v3_context(None, None))
                .expect("an extension");
            builder.append_extension(alt).expect("an extension");
        }
        if let Some(domain) = spec.domain {
            // NameConstraints: permittedSubtrees [0], a GeneralSubtree each, dNSName [2]
            let name = der(0x82, domain.as_bytes());
            let constraints = der(0x30, &der(0xa0, &der(0x30, &name)));
            append(&mut builder, "2.5.29.30", &constraints);
        }
        if spec.staple {
            // Features: status_request (5)
            append(&mut builder, "1.3.6.1.5.5.7.1.24", &der(0x30, &[2, 1, 5]));
        }
        if spec.ballast > 0 {
            // netscape-comment, an IA5String
            let size = u16::try_from(spec.ballast)
                .expect("two octets")
                .to_be_bytes();
            let mut der = vec![0x16, 0x82, size[0], size[1]];
            der.resize(4 + spec.ballast, b'x');
            append(&mut builder, "2.16.840.1.113730.1.13", &der);
        }
        let digest = if spec.sha1 {
            MessageDigest::sha1()
        } else {
            MessageDigest::sha256()
        };
        builder
            .sign(issuer.map_or(&key, |issuer| &issuer.key), digest)
            .expect("a signature");
        Cert {
            x509: builder.build(),
            key,
        }
    }

    pub fn ca(
        organisation: &'static str,
        cn: &'static str,
        to_days: i64,
        issuer: Option<&Cert>,
    ) -> Cert {
        let spec = Spec {
            organisation,
            cn,
            to_days,
            ca: true,
            ..Spec::default()
        };
        Cert::make(&spec, issuer)
    }

    pub fn pem(&self) -> Vec<u8> {
        self.x509.to_pem().expect("PEM")
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("PEM")
    }
}

/// A root that is trusted, intermediates below it, and a root that is not trusted.
pub struct Pki {
    pub dir: Dir,
    pub root: Cert,
    pub intermediate: Cert,
    pub expired: Cert,
    pub stranger: Cert,
    /// The trusted root's file.
    pub ca: PathBuf,
}

impl Pki {
    pub fn new() -> Pki {
        let dir = Dir::new();
        let root = Cert::ca("Carrier", "Carrier Root", 3000, None);
        let intermediate = Cert::ca("Carrier", "Carrier TLS 2", 1000, Some(&root));
        let expired = Cert::ca("Carrier", "Carrier TLS 1", -2, Some(&root));
        let stranger = Cert::ca("Stranger", "Private Authority", 3000, None);
        let ca = dir.write("ca.pem", &root.pem());
        Pki {
            dir,
            root,
            intermediate,
            expired,
            stranger,
            ca,
        }
    }

    /// A leaf of the root.
    pub fn leaf(&self, spec: &Spec) -> Cert {
        Cert::make(spec, Some(&self.root))
    }

    /// `NAME.pem` with the whole chain, and `NAME.key`.
    pub fn files(&self, name: &str, chain: &[&Cert]) -> (PathBuf, PathBuf) {
        let pem: Vec<u8> = chain.iter().flat_map(|cert| cert.pem()).collect();
        (
            self.dir.write(&format!("{name}.pem"), &pem),
            self.dir.write(&format!("{name}.key"), &chain[0].key_pem()),
        )
    }
}
