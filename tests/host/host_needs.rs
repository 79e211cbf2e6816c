//! What `show status` says of what the host has to have, and the log of a key that Asterisk may not read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::host;
use host_harness::lab::Lab;

use crate::tls_world::{World, assert_serves, is_ours};
use crate::world::OURS;

#[test]
fn descriptors_are_counted() {
    let world = World::new("descriptors");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let status = || {
        let line = ours.status("Descriptors");
        let (used, limit) = line.split_once(" of ").expect("two numbers");
        let used: usize = used.parse().expect("a number");
        (used, limit.to_owned())
    };
    let seen = || {
        let folder = format!("/proc/{}/fd", ours.pid());
        fs::read_dir(folder).expect("it runs").count()
    };
    let (used, _) = status();
    // A console more or less.
    assert!(used.abs_diff(seen()) < 6, "{used} and {}", seen());
    let mut connections: Vec<_> = (0..20).map(|_| world.connect()).collect();
    for connection in &mut connections {
        assert_serves(&ours, connection);
    }
    let (more, _) = status();
    assert!(
        (used + 15..used + 30).contains(&more),
        "{used}, then {more}"
    );

    for limit in [1500, 2500] {
        let pid = ours.pid().to_string();
        let set = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--nofile={limit}:4096")])
            .status();
        assert!(set.expect("util-linux has it").success());
        assert_eq!(status().1, limit.to_string());
    }
}

#[test]
fn modules_conf_is_looked_into() {
    let said = |name: &str, conf: Option<&str>| {
        let lab = Lab::new(name);
        let mut setup = Setup::ours("ours", OURS);
        if let Some(conf) = conf {
            setup = setup.modules_conf(conf);
        }
        let ours = Asterisk::start(&lab, &setup);
        assert_eq!(ours.status("SRTP engine"), "ours");
        ours.status("modules.conf")
    };
    // As conf/modules.conf.sample has it.
    assert_eq!(
        said("modules-conf-sample", None),
        "require yes, noload res_srtp.so yes"
    );
    // The twins: in force all the same, and not for certain after the next restart.
    assert_eq!(
        said("modules-conf-none", Some("[modules]\nautoload = yes\n")),
        "require no, noload res_srtp.so no"
    );
    assert_eq!(
        said(
            "modules-conf-half",
            Some("[modules]\nautoload = yes\nnoload => res_srtp\n;require = res_ciphertrunk.so\n")
        ),
        "require no, noload res_srtp.so yes"
    );
}

/// As root, who may read everything, is the twin.
fn a_key_that_may_not_be_read(name: &str, user: User) {
    let world = World::new(name);
    if user == User::Asterisk && !world.lab.host().has_user("asterisk") {
        return host::skip(name, "this machine has no user asterisk");
    }
    let ours = Asterisk::start(&world.lab, &world.setup("").user(user));
    assert!(is_ours(&ours, "tls"), "{}", ours.log());
    let key = world.lab.folder().join("tls/ours.key");
    let reload_with = |mode| {
        chown(&key, Some(0), Some(0)).expect("root may do that");
        fs::set_permissions(&key, Permissions::from_mode(mode)).expect("root may do that");
        ours.cli("module reload res_ciphertrunk.so");
        // What it had is in force, or what it has read again.
        assert_serves(&ours, &mut world.connect());
    };
    let told = || ours.all_log_lines("cannot be read: Permission denied");
    reload_with(0o600);
    if user == User::Root {
        assert_eq!(told(), [] as [String; 0]);
        return;
    }
    let lines = ours.wait_until("the error", |_| Some(told()).filter(|it| !it.is_empty()));
    for part in [
        &format!("transport 'tls': priv_key_file '{}'", world.certificate.key),
        "it belongs to user 0, group 0, and has mode 0600",
        &format!("Asterisk runs as user asterisk (uid {}, gid ", ours.uid()),
        "the old certificate stays",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    // By the reload, and by the watch over files if that came first.
    let count = told().len();
    reload_with(0o644);
    assert_eq!(told().len(), count);
}

#[test]
fn a_key_of_somebody_else_is_told_with_owner_mode_and_user() {
    a_key_that_may_not_be_read("key-of-root", User::Asterisk);
}

#[test]
fn root_reads_it() {
    a_key_that_may_not_be_read("key-as-root", User::Root);
}
