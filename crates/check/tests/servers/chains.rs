//! Certificates that are wrong in a way that says whose side it is.

use crate::broken::{Table, today};
use crate::case::run;
use crate::pki::{Cert, Pki, Spec};
use crate::server::tls;
use crate::sip;

#[test]
fn whose_certificate_is_wrong() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let spec = Spec::default;
    let serve = |chain: &[&Cert]| tls(chain, today, sip::sound);
    let old = Cert::ca("Carrier", "Carrier Root of Old", -3, None);
    let old_file = pki.dir.write("old.pem", &old.pem());
    let of_old = Cert::make(&spec(), Some(&old));
    for (name, chain) in [
        ("the CA that is trusted here has expired", &[&of_old][..]),
        ("the same, and it is sent", &[&of_old, &old]),
    ] {
        table.add(name, serve(chain), &["own-ca-expired"], &[]);
        table.last().tls.ca_list_file = Some(old_file.clone());
    }
    // The twin: theirs alone.
    let expired = Cert::make(&spec(), Some(&pki.expired));
    table.add(
        "an intermediate of theirs has expired",
        serve(&[&expired, &pki.expired]),
        &["intermediate-expired"],
        &[],
    );
    let both = Cert::make(
        &Spec {
            to_days: -1,
            ..spec()
        },
        Some(&old),
    );
    table.add(
        "both have expired",
        serve(&[&both]),
        &["own-ca-expired", "cert-expired"],
        &[],
    );
    table.last().tls.ca_list_file = Some(old_file);
    let authority = |spec: Spec| {
        let spec = Spec {
            cn: "Carrier TLS 3",
            ca: true,
            ..spec
        };
        Cert::make(&spec, Some(&pki.root))
    };
    let elsewhere = authority(Spec {
        domain: Some("example.org"),
        ..spec()
    });
    table.add(
        "a CA for another domain",
        serve(&[&Cert::make(&spec(), Some(&elsewhere)), &elsewhere]),
        &["cert-invalid"],
        &[],
    );
    // The twin.
    let here = authority(Spec {
        domain: Some("example.com"),
        ..spec()
    });
    table.add(
        "a CA for this domain",
        serve(&[&Cert::make(&spec(), Some(&here)), &here]),
        &[],
        &[],
    );
    let coming = authority(Spec {
        from_days: 2,
        ..spec()
    });
    table.add(
        "an intermediate that is not valid yet",
        serve(&[&Cert::make(&spec(), Some(&coming)), &coming]),
        &["cert-not-yet-valid"],
        &[],
    );
    let no_ca = pki.leaf(&Spec {
        cn: "Carrier TLS 4",
        ..spec()
    });
    table.add(
        "signed by what is no CA",
        serve(&[&Cert::make(&spec(), Some(&no_ca)), &no_ca]),
        &["cert-purpose"],
        &[],
    );
    let last = authority(Spec {
        below: Some(0),
        ..spec()
    });
    let further = Cert::ca("Carrier", "Carrier TLS 5", 1000, Some(&last));
    table.add(
        "a CA below one that may have none",
        serve(&[&Cert::make(&spec(), Some(&further)), &further, &last]),
        &["cert-invalid"],
        &[],
    );
    table.add(
        "OCSP would have to be stapled",
        serve(&[&pki.leaf(&Spec {
            staple: true,
            ..spec()
        })]),
        &[],
        &[],
    );
    table.add(
        "the name in capitals",
        serve(&[&pki.leaf(&Spec {
            dns: &["SIP.Example.COM"],
            ..spec()
        })]),
        &[],
        &[],
    );
    table.add(
        "an address was asked for, and it has names",
        serve(&[&pki.leaf(&spec())]),
        &["cert-name"],
        &[],
    );
    table.last().name = None;
    table.add(
        "an address was asked for, and it has that",
        serve(&[&pki.leaf(&Spec {
            ip: &["127.0.0.1"],
            ..spec()
        })]),
        &[],
        &[],
    );
    table.last().name = None;
    table.add(
        "a wildcard, which the transport allows",
        serve(&[&pki.leaf(&Spec {
            cn: "x",
            dns: &["*.example.com"],
            ..spec()
        })]),
        &[],
        &[],
    );
    table.last().tls.allow_wildcard_certs = true;
    run("chains", table.cases);
}
