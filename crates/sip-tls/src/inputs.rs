//! What a profile is made of: its options, and what is in the files that they name.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use openssl::sha::{Sha256, sha256};

use crate::key_uri::KeyUri;
use crate::own::KeyPair;
use crate::profile_config::ProfileConfig;

/// A digest of a profile's options and of what their files hold. Two that are equal make the same profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs([u8; 32]);

impl Inputs {
    /// Reads the files. There are several where some of a transport's peers have options of their own. `and` is what else makes a profile
    /// another one for the caller.
    #[must_use]
    pub fn of(configs: &[ProfileConfig], and: &[u8]) -> Inputs {
        let mut digest = Sha256::new();
        put(&mut digest, and);
        for config in configs {
            put(&mut digest, format!("{config:?}").as_bytes());
            let password = config.password.as_ref().map(|it| it.as_bytes());
            put(&mut digest, password.unwrap_or_default());
            // With the PINs, which are not shown.
            for key in config.keys() {
                put(&mut digest, key.as_os_str().as_bytes());
            }
            for file in config.files() {
                put_file(&mut digest, &file, Folder::ByTime);
            }
        }
        Inputs(digest.finish())
    }
}

impl ProfileConfig {
    fn pairs(&self) -> impl Iterator<Item = &KeyPair> {
        let more = self.more_certificates.iter();
        more.chain(&self.client_certificate)
    }

    /// The keys that it names, as they are written: files and URIs.
    fn keys(&self) -> impl Iterator<Item = &PathBuf> {
        let more = self.pairs().filter_map(|pair| pair.priv_key_file.as_ref());
        self.priv_key_file.iter().chain(more)
    }

    /// The files and directories that it names. Of a key in a token it is the one with the PIN.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let keys = self.keys().filter_map(|key| match KeyUri::of(key) {
            Some(uri) => uri.pin_file(),
            None => Some(key.clone()),
        });
        let certificates = self.pairs().map(|pair| pair.cert_file.clone());
        let named = [
            &self.cert_file,
            &self.ca_list_file,
            &self.ca_list_path,
            &self.crl_file,
            &self.ticket_keys,
        ];
        let named = named.into_iter().flatten().cloned();
        named.chain(keys).chain(certificates).collect()
    }

    /// What decides which clients are trusted and how they are spoken with, as a digest: a session that was begun under another is not to
    /// be resumed. It is the same on nodes that have a transport of the same name with the same options and CAs, wherever their files are.
    pub(crate) fn trust(&self) -> [u8; 32] {
        let words = ProfileConfig {
            cert_file: None,
            priv_key_file: None,
            more_certificates: Vec::new(),
            client_certificate: None,
            password: None,
            ca_list_file: None,
            ca_list_path: None,
            crl_file: None,
            ticket_keys: None,
            key_log: None,
            ..self.clone()
        };
        let mut digest = Sha256::new();
        put(&mut digest, format!("{words:?}").as_bytes());
        for file in [&self.ca_list_file, &self.ca_list_path, &self.crl_file] {
            match file {
                Some(file) => put_file(&mut digest, file, Folder::ByContent),
                None => put(&mut digest, b""),
            }
        }
        digest.finish()
    }
}

/// Puts in octets, and how many they are.
fn put(digest: &mut Sha256, octets: &[u8]) {
    digest.update(&octets.len().to_be_bytes());
    digest.update(octets);
}

/// How the files of a directory are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folder {
    ByTime,
    /// Two machines have the same.
    ByContent,
}

/// Of a file what is in it. Of a directory what is there: OpenSSL reads it during handshakes.
fn put_file(digest: &mut Sha256, path: &Path, folder: Folder) {
    let Ok(entries) = fs::read_dir(path) else {
        let content = fs::read(path).map(zeroize::Zeroizing::new);
        return match content {
            Ok(content) => put(digest, &content),
            Err(error) => put(digest, error.to_string().as_bytes()),
        };
    };
    let mut lines: Vec<String> = entries
        .flatten()
        .map(|entry| {
            if folder == Folder::ByContent {
                let content = fs::read(entry.path()).unwrap_or_default();
                return format!("{:?} {:?}", entry.file_name(), sha256(&content));
            }
            // Of what a link points to: the file's own times.
            let is = fs::metadata(entry.path()).map(|it| {
                format!(
                    "{} {} {}.{}",
                    it.ino(),
                    it.len(),
                    it.mtime(),
                    it.mtime_nsec()
                )
            });
            format!("{:?} {is:?}", entry.file_name())
        })
        .collect();
    lines.sort();
    put(digest, lines.join("\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each file makes another profile when it changes, and where it decides who is trusted, other sessions too. What has not changed, or
    /// stands elsewhere, makes neither.
    #[test]
    fn each_file_counts() {
        let dir = std::env::temp_dir().join(format!("sip-tls-inputs-{}", std::process::id()));
        let folder = |name: &str| {
            let folder = dir.join(name);
            fs::create_dir_all(folder.join("cas")).expect("a folder");
            for file in [
                "cert", "key", "cert2", "key2", "cert3", "key3", "ca", "cas/a.0", "crl", "tickets",
            ] {
                fs::write(folder.join(file), "one").expect("a file");
            }
            folder
        };
        let config = |folder: &Path| ProfileConfig {
            cert_file: Some(folder.join("cert")),
            priv_key_file: Some(folder.join("key")),
            more_certificates: vec![KeyPair {
                cert_file: folder.join("cert2"),
                priv_key_file: Some(folder.join("key2")),
            }],
            client_certificate: Some(KeyPair {
                cert_file: folder.join("cert3"),
                priv_key_file: Some(folder.join("key3")),
            }),
            ca_list_file: Some(folder.join("ca")),
            ca_list_path: Some(folder.join("cas")),
            crl_file: Some(folder.join("crl")),
            ticket_keys: Some(folder.join("tickets")),
            ..ProfileConfig::default()
        };
        let (here, there) = (folder("here"), folder("there"));
        let config_here = config(&here);
        let inputs = || Inputs::of(std::slice::from_ref(&config_here), b"");
        assert_eq!(inputs(), inputs());
        assert_eq!(config_here.trust(), config(&there).trust(), "another node");
        for (file, trust) in [
            ("cert", false),
            ("key", false),
            ("cert2", false),
            ("key2", false),
            ("cert3", false),
            ("key3", false),
            ("ca", true),
            ("cas/a.0", true),
            ("cas/b.0", true),
            ("crl", true),
            ("tickets", false),
        ] {
            let before = (inputs(), config_here.trust());
            // Of another length: the clock of a file system may be coarse.
            fs::write(here.join(file), format!("two of {file}")).expect("a file");
            assert_ne!(before.0, inputs(), "{file}");
            assert_eq!(before.1 != config_here.trust(), trust, "{file}");
        }
        let all = [config_here.clone(), config_here.clone()];
        assert_ne!(Inputs::of(&all, b""), inputs());
        assert_ne!(Inputs::of(&all[..1], b"a key log"), inputs());
        fs::remove_dir_all(&dir).expect("it is there");
    }

    /// Of a key in a token nothing is read but the file of its PIN, and another URI makes another profile, of which no PIN is shown.
    #[test]
    fn keys_in_tokens() {
        let with = |uri: &str| ProfileConfig {
            cert_file: Some("cert".into()),
            priv_key_file: Some(uri.into()),
            more_certificates: vec![KeyPair {
                cert_file: "cert2".into(),
                priv_key_file: Some("pkcs11:token=y?pin-value=1234".into()),
            }],
            ..ProfileConfig::default()
        };
        let config = with("pkcs11:token=x?pin-source=file:/etc/pin");
        assert_eq!(
            config.files(),
            ["cert", "/etc/pin", "cert2"].map(PathBuf::from)
        );
        assert!(!format!("{config:?}").contains("1234"), "{config:?}");
        let inputs = |uri: &str| Inputs::of(&[with(uri)], b"");
        let pin = |pin: &str| format!("pkcs11:token=x?pin-value={pin}");
        assert_eq!(inputs(&pin("1")), inputs(&pin("1")));
        assert_ne!(inputs(&pin("1")), inputs(&pin("2")));
        assert_ne!(inputs("handle:0x81000001"), inputs("handle:0x81000002"));
    }

    /// Each word decides how clients are spoken with.
    #[test]
    fn each_word_counts() {
        let base = ProfileConfig::default();
        let with = |change: &dyn Fn(&mut ProfileConfig)| {
            let mut config = base.clone();
            change(&mut config);
            config.trust()
        };
        assert_eq!(
            base.trust(),
            with(&|it| it.password = Some("x".to_owned().into()))
        );
        assert_ne!(base.trust(), with(&|it| it.transport = "x".to_owned()));
        assert_ne!(base.trust(), with(&|it| it.name = Some("x".into())));
        assert_ne!(base.trust(), with(&|it| it.verify_client = true));
        assert_ne!(base.trust(), with(&|it| it.any_eku = true));
        assert_ne!(base.trust(), with(&|it| it.cipher = Some("x".to_owned())));
    }
}
