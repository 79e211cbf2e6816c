//! `[general] fips = yes`: OpenSSL encrypts under a FIPS provider, or nobody does.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::peer::Key;
use host_harness::peer::srtp::{AES_80, GCM_256};

use crate::srtp_call::{Call, PBX, with_endpoints};
use crate::world::assert_served_by_us;

const YES: &str = "[general]\nfips = yes\n";
const NO_PROVIDER: &str = "OpenSSL's algorithms are not those of a FIPS provider";

/// OpenSSL's configuration with the provider as the default one; `None`: there is no provider here.
fn provider(lab: &Lab) -> Option<String> {
    if lab.host().is_of_this_machine() {
        host::skip(
            "fips::a_provider_encrypts",
            "this Asterisk's OpenSSL is this machine's, and the provider is that of the root",
        );
        return None;
    }
    let modules = lab.must_run("openssl", &["version", "-m"]);
    let folder = modules.split('"').nth(1).unwrap_or_default();
    let (module, installed) = (
        format!("{folder}/fips.so"),
        format!("{}/fipsmodule.cnf", lab::FOLDER),
    );
    if !lab.root().join(&module[1..]).exists() {
        host::skip(
            "fips::a_provider_encrypts",
            "OpenSSL has no FIPS provider here",
        );
        return None;
    }
    lab.must_run(
        "openssl",
        &["fipsinstall", "-module", &module, "-out", &installed],
    );
    Some(configuration(lab, &format!(".include {installed}\n")))
}

/// OpenSSL's configuration that has nothing but a FIPS provider, whose section `fips_sect` is in `included`.
fn configuration(lab: &Lab, included: &str) -> String {
    lab.write(
        "fips.cnf",
        format!(
            "openssl_conf = init\n{included}[init]\nproviders = providers\nalg_section = algorithms\n\
             [providers]\nfips = fips_sect\nbase = base_sect\n[base_sect]\nactivate = 1\n[algorithms]\ndefault_properties = fips=yes\n"
        ),
    );
    format!("{}/fips.cnf", lab::FOLDER)
}

#[test]
fn a_provider_encrypts() {
    let lab = Lab::new("fips/provider");
    let Some(conf) = provider(&lab) else { return };
    let setup = with_endpoints(Setup::ours("pbx", PBX))
        .file("ciphertrunk.conf", YES)
        .environment("OPENSSL_CONF", &conf);
    let pbx = Asterisk::start(&lab, &setup);
    assert_eq!(
        (pbx.status("FIPS"), pbx.status("Kernel")),
        ("yes".into(), "system".into())
    );
    let suites = [AES_80, GCM_256];
    for suite in suites {
        // The other end is RustCrypto's.
        let (mut call, key) = (Call::new(&lab), Key::new(suite, 1));
        call.dial("echo", &key);
        assert_eq!(call.media.echoes(20), 20, "{}", suite.name);
        assert_served_by_us(&pbx);
        call.hang_up();
        pbx.wait_for_channels(0);
    }
    // Another kernel is not put in force beside it.
    pbx.configure(
        "ciphertrunk.conf",
        "[general]\nfips = yes\nkernel = portable\n",
    );
    pbx.cli("module reload res_ciphertrunk.so");
    pbx.wait_for_log("and not by 'portable'");
    assert_eq!(pbx.status("Kernel"), "system");
    assert_eq!(pbx.count("Panics caught"), 0);
    assert!(pbx.stop().success());
}

/// Named in OpenSSL's configuration, and not there: nothing encrypts, which is said as plainly as that there is none. The twin is above.
#[test]
fn a_provider_that_is_missing_is_none() {
    let lab = Lab::new("fips/missing");
    let conf = configuration(
        &lab,
        "[default]\n[fips_sect]\nmodule = /nowhere/fips.so\nactivate = 1\n",
    );
    let setup = with_endpoints(Setup::ours("pbx", PBX))
        .file("ciphertrunk.conf", YES)
        .environment("OPENSSL_CONF", &conf);
    let failed = Asterisk::try_start(&lab, &setup).expect_err("it must not come up");
    assert!(failed.log.contains(NO_PROVIDER), "{}", failed.log);
    assert!(!failed.log.contains("panic at"), "{}", failed.log);
}

#[test]
fn without_one_nobody_does() {
    let lab = Lab::new("fips/none");
    // At a reload the last good state stays...
    let pbx = Asterisk::start(&lab, &with_endpoints(Setup::ours("pbx", PBX)));
    let kernel = pbx.status("Kernel");
    assert_eq!(pbx.status("FIPS"), "no");
    pbx.configure("ciphertrunk.conf", YES);
    pbx.cli("module reload res_ciphertrunk.so");
    pbx.wait_for_log(NO_PROVIDER);
    assert_eq!(pbx.status("Kernel"), kernel);
    // ... and at a start there is none.
    pbx.cli("module unload res_ciphertrunk.so");
    let answer = pbx.cli("module load res_ciphertrunk.so");
    assert!(!answer.contains("Loaded"), "{answer}");
    let answer = pbx.cli("core show help");
    assert!(!answer.contains("ciphertrunk"), "{answer}");
    assert_eq!(pbx.all_log_lines(NO_PROVIDER).len(), 2);
    // The twin.
    pbx.configure("ciphertrunk.conf", "[general]\nfips = no\n");
    let answer = pbx.cli("module load res_ciphertrunk.so");
    assert!(answer.contains("Loaded"), "{answer}");
    let (mut call, key) = (Call::new(&lab), Key::new(AES_80, 1));
    call.dial("echo", &key);
    assert!(pbx.stop().success());
}
