//! A name server of our own, and what is found by way of it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use ciphertrunk_check::Options;
use simple_dns::rdata::{A, AAAA, CNAME, NAPTR, RData, SRV};
use simple_dns::{CLASS, CharacterString, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord};

use crate::broken::today;
use crate::case::{Case, PATIENCE, SILENCE, run};
use crate::pki::{NAME, Pki, Spec};
use crate::server::{context, serve, tcp_at, tls};
use crate::sip;

/// A record: owner, and what it says.
type Record = (&'static str, RData<'static>);

fn name(text: &'static str) -> Name<'static> {
    Name::new(text).expect("a name")
}

fn srv(priority: u16, port: u16, target: &'static str) -> RData<'static> {
    RData::SRV(SRV {
        priority,
        weight: 0,
        port,
        target: name(target),
    })
}

fn v4(address: [u8; 4]) -> RData<'static> {
    RData::A(A {
        address: u32::from(Ipv4Addr::from(address)),
    })
}

fn v6(address: Ipv6Addr) -> RData<'static> {
    RData::AAAA(AAAA {
        address: address.into(),
    })
}

fn naptr(service: &'static str, replacement: &'static str) -> RData<'static> {
    let text = |text| CharacterString::new(text).expect("short");
    RData::NAPTR(NAPTR {
        order: 10,
        preference: 10,
        flags: text(b"s"),
        services: text(service.as_bytes()),
        regexp: text(b""),
        replacement: name(replacement),
    })
}

/// A name server of these records; every other name does not exist. `code`: what it answers instead.
fn server(records: Vec<Record>, code: Option<RCODE>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((count, client)) = socket.recv_from(&mut buffer) {
            let Ok(query) = Packet::parse(&buffer[..count]) else {
                continue;
            };
            let mut reply = Packet::new_reply(query.id());
            reply.set_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_AVAILABLE);
            let Some(question) = query.questions.first() else {
                continue;
            };
            let mut wanted = question.qname.to_string();
            let mut known = false;
            // Aliases stand before what they lead to.
            for (owner, data) in &records {
                if owner.eq_ignore_ascii_case(&wanted) {
                    known = true;
                    let alias = match data {
                        RData::CNAME(alias) => Some(alias.0.to_string()),
                        _ => None,
                    };
                    if question.qtype == QTYPE::TYPE(data.type_code()) || alias.is_some() {
                        reply.answers.push(ResourceRecord::new(
                            name(owner),
                            CLASS::IN,
                            60,
                            data.clone(),
                        ));
                    }
                    if let Some(alias) = alias {
                        wanted = alias;
                    }
                }
            }
            *reply.rcode_mut() = match code {
                Some(code) => code,
                None if known => RCODE::NoError,
                None => RCODE::NameError,
            };
            reply.questions.push(question.clone());
            let _ = socket.send_to(&reply.build_bytes_vec().expect("a reply"), client);
        }
    });
    address
}

fn case(
    pki: &Pki,
    name: &'static str,
    target: &str,
    dns: SocketAddr,
    faults: &'static [&'static str],
    warnings: &'static [&'static str],
) -> Case {
    let mut options = Options {
        timeout: PATIENCE,
        dns: Some(dns),
        ..Options::new(target).expect("a target")
    };
    options.tls.ca_list_file = Some(pki.ca.clone());
    Case {
        name,
        options,
        faults,
        warnings,
    }
}

#[test]
fn names_lead_to_servers_or_not() {
    let pki = Pki::new();
    let good = pki.leaf(&Spec::default());
    let alive = tls(&[&good], today, sip::sound);
    let dead = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let local = [127, 0, 0, 1];
    let service = "_sips._tcp.sip.example.com";
    let target = "edge.example.net";
    let here = || ("edge.example.net", v4(local));
    let mut cases = vec![
        case(
            &pki,
            "an SRV record",
            NAME,
            server(vec![(service, srv(1, alive.port(), target)), here()], None),
            &[],
            &[],
        ),
        case(
            &pki,
            "NAPTR and SRV",
            NAME,
            server(
                vec![
                    (NAME, naptr("SIPS+D2T", "_sips._tcp.net.example.net")),
                    ("_sips._tcp.net.example.net", srv(1, alive.port(), target)),
                    here(),
                ],
                None,
            ),
            &[],
            &[],
        ),
        case(
            &pki,
            "NAPTR without TLS",
            NAME,
            server(
                vec![
                    (NAME, naptr("SIP+D2U", "_sip._udp.sip.example.com")),
                    (service, srv(1, alive.port(), target)),
                    here(),
                ],
                None,
            ),
            &[],
            &["naptr-without-tls"],
        ),
        case(
            &pki,
            "the first server of SRV is dead",
            NAME,
            server(
                vec![
                    (service, srv(1, dead.port(), target)),
                    (service, srv(2, alive.port(), "other.example.net")),
                    here(),
                    ("other.example.net", v4([127, 0, 0, 1])),
                ],
                None,
            ),
            &[],
            &["dead-srv-target"],
        ),
        case(
            &pki,
            "a server of SRV has no address",
            NAME,
            server(
                vec![
                    (service, srv(1, 5061, "gone.example.net")),
                    (service, srv(2, alive.port(), target)),
                    here(),
                ],
                None,
            ),
            &[],
            &["srv-target-unknown"],
        ),
        case(
            &pki,
            "no server of SRV has an address",
            NAME,
            server(vec![(service, srv(1, 5061, "gone.example.net"))], None),
            &["srv-targets-unknown"],
            &[],
        ),
        case(
            &pki,
            "SRV denies",
            NAME,
            server(vec![(service, srv(0, 0, "."))], None),
            &["srv-denied"],
            &[],
        ),
        case(
            &pki,
            "the name does not exist",
            "nowhere.example.com",
            server(vec![], None),
            &["dns-name-unknown"],
            &[],
        ),
        case(
            &pki,
            "the name has no address",
            NAME,
            server(vec![(NAME, naptr("SIP+D2U", "x.example.com"))], None),
            &["dns-no-address"],
            &["naptr-without-tls"],
        ),
        case(
            &pki,
            "the name server fails",
            NAME,
            server(vec![], Some(RCODE::ServerFailure)),
            &["dns-failed"],
            &[],
        ),
    ];
    let alias = |to| RData::CNAME(CNAME(name(to)));
    let aliased = format!("{NAME}:{}", alive.port());
    cases.push(case(
        &pki,
        "aliases",
        &aliased,
        server(
            vec![
                (NAME, alias("a.example.net")),
                ("a.example.net", alias("b.example.net")),
                ("b.example.net", alias(target)),
                here(),
            ],
            None,
        ),
        &[],
        &[],
    ));
    cases.push(case(
        &pki,
        "NAPTR leads to nothing, and there is an address",
        NAME,
        server(
            vec![
                (NAME, naptr("SIPS+D2T", "_sips._tcp.gone.example.net")),
                (service, srv(1, alive.port(), target)),
                here(),
            ],
            None,
        ),
        &["dns-no-address"],
        &[],
    ));
    cases.push(case(
        &pki,
        "the name server refuses",
        NAME,
        server(vec![], Some(RCODE::Refused)),
        &["dns-failed"],
        &[],
    ));
    cases.push(case(
        &pki,
        "an alias that leads to itself",
        NAME,
        server(vec![(NAME, alias(NAME))], None),
        &["dns-no-address"],
        &[],
    ));
    // The same port on both loopbacks, of which the one of IPv6 has nobody.
    let with_port = format!("{NAME}:{}", alive.port());
    let both = server(
        vec![(NAME, v6(Ipv6Addr::LOCALHOST)), (NAME, v4(local))],
        None,
    );
    cases.push(case(
        &pki,
        "IPv6 is dead",
        &with_port,
        both,
        &[],
        &["dead-ipv6"],
    ));
    let mute = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut silent = case(
        &pki,
        "the name server is mute",
        NAME,
        mute.local_addr().expect("it is bound"),
        &["dns-no-answer"],
        &[],
    );
    silent.options.timeout = SILENCE;
    cases.push(silent);
    // Two addresses, of which one shows a certificate that has expired.
    let old = context(
        &[&pki.leaf(&Spec {
            to_days: -1,
            ..Spec::default()
        })],
        |_| {},
    );
    let second = tcp_at(&format!("127.0.0.2:{}", alive.port()), move |tcp| {
        serve(&old, tcp, sip::sound)
    });
    let two = server(vec![(NAME, v4(local)), (NAME, v4([127, 0, 0, 2]))], None);
    assert_eq!(second.port(), alive.port());
    cases.push(case(
        &pki,
        "one of two servers has an expired certificate",
        &with_port,
        two,
        &["cert-expired"],
        &[],
    ));
    run("DNS", cases);
}
