//! `require = res_ciphertrunk.so`: an Asterisk whose module is broken does not come up, rather than unprotected.

use std::fs;

use host_harness::asterisk::{Asterisk, MODULE, Setup, User};
use host_harness::host;
use host_harness::lab::{Lab, repository};

use crate::world::OURS;

as_root_and_as_asterisk!(
    a_module_of_another_build,
    not_a_module,
    no_module,
    without_require_it_comes_up
);

fn assert_stays_down(lab: &Lab, setup: &Setup) {
    let failed = Asterisk::try_start(lab, setup).expect_err("Asterisk must not come up");
    let status = failed.status.expect("it ended by itself");
    assert!(!status.success(), "{status}");
    assert!(
        failed.log.contains("res_ciphertrunk"),
        "the log does not name the module:\n{}",
        failed.log
    );
}

/// The module with another checksum of Asterisk's build options in it: one that was built for another Asterisk.
fn of_another_build(lab: &Lab) -> String {
    // What the module was compiled with: a run for another Asterisk says where that is.
    let headers = std::env::var_os("CIPHERTRUNK_HEADERS")
        .map_or_else(|| repository().join("asterisk-headers/fetched"), Into::into);
    let header = fs::read_to_string(headers.join("asterisk/asterisk/buildopts.h"))
        .expect("the headers of the module under test");
    let sum = header
        .lines()
        .find_map(|line| {
            line.strip_prefix("#define AST_BUILDOPT_SUM \"")?
                .split('"')
                .next()
        })
        .expect("AST_BUILDOPT_SUM");
    let mut module = fs::read(host::built(MODULE)).expect("the module is built");
    let at = module
        .windows(sum.len())
        .position(|window| window == sum.as_bytes())
        .expect("the module has the sum");
    module[at] = if sum.starts_with('0') { b'1' } else { b'0' };
    lab.write("another.so", module).display().to_string()
}

fn a_module_of_another_build(lab: &Lab, user: User) {
    assert_stays_down(
        lab,
        &Setup::ours("ours", OURS)
            .user(user)
            .module(&of_another_build(lab)),
    );
}

fn not_a_module(lab: &Lab, user: User) {
    let file = lab.write("text.so", "not a module\n").display().to_string();
    assert_stays_down(lab, &Setup::ours("ours", OURS).user(user).module(&file));
}

fn no_module(lab: &Lab, user: User) {
    let sample =
        fs::read_to_string(repository().join("conf/modules.conf.sample")).expect("the sample");
    assert_stays_down(
        lab,
        &Setup::stock("ours", OURS).user(user).modules_conf(&sample),
    );
}

/// The twin: the line is what keeps it down.
fn without_require_it_comes_up(lab: &Lab, user: User) {
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .module(&of_another_build(lab))
        .modules_conf("[modules]\nautoload = yes\nnoload = res_srtp.so\n");
    let ours = Asterisk::start(lab, &setup);
    assert!(!ours.maps().contains("res_ciphertrunk"));
}
