//! How an Asterisk of the tests is to be, and the folder that makes it so.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use crate::lab::{self, Lab};
use crate::tool;

/// What the tests' Asterisks have of Debian's modules; autoloaded, as operators do.
const MODULES: &[&str] = &[
    "app_dial",
    "app_echo",
    "app_mixmonitor",
    "app_playtones",
    "app_verbose",
    "bridge_native_rtp",
    "bridge_simple",
    "chan_pjsip",
    "codec_a_mu",
    "codec_alaw",
    "codec_resample",
    "codec_ulaw",
    "format_pcm",
    "format_wav",
    "func_callerid",
    "res_clioriginate",
    "func_channel",
    "pbx_config",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_authenticator_digest",
    "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_anonymous",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_logger",
    "res_pjsip_nat",
    "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_outbound_registration",
    "res_pjsip_registrar",
    "res_pjsip_pubsub",
    "res_pjsip_rfc3326",
    "res_pjsip_sdp_rtp",
    "res_pjsip_session",
    "res_resolver_unbound",
    "res_rtp_asterisk",
    "res_sorcery_astdb",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_srtp",
    "res_timing_timerfd",
];

/// The module under test, as `make module` leaves it (see [`host::built`]).
pub const MODULE: &str = "build/res_ciphertrunk.so";
/// The same with the feature `test-hooks` (`make test`).
pub const TEST_MODULE: &str = "build/test/res_ciphertrunk.so";

/// Who Asterisk runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// `root`.
    Root,
    /// `asterisk`, as Debian's service does.
    Asterisk,
}

/// How an Asterisk is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its name, and its folder's in the lab.
    pub name: String,
    /// Its address on the lab's network.
    pub address: String,
    pub(crate) user: User,
    pub(crate) module: Option<PathBuf>,
    modules_conf: String,
    pjsip: String,
    dialplan: String,
    files: Vec<(String, String)>,
    more_modules: Vec<&'static str>,
    pub(crate) environment: Vec<String>,
}

impl Setup {
    /// Debian's Asterisk with `res_srtp.so`, and nothing of ours in its folders.
    pub fn stock(name: &str, address: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            user: User::Root,
            module: None,
            modules_conf: "[modules]\nautoload = yes\n".to_owned(),
            pjsip: String::new(),
            dialplan: String::new(),
            files: Vec::new(),
            more_modules: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Debian's Asterisk with the module under test, as `conf/modules.conf.sample` says.
    pub fn ours(name: &str, address: &str) -> Self {
        let sample = lab::repository().join("conf/modules.conf.sample");
        let sample = fs::read_to_string(&sample)
            .unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
        Self::stock(name, address)
            .module(MODULE)
            .modules_conf(&sample)
    }

    /// With this file of the repository as `res_ciphertrunk.so`.
    #[must_use]
    pub fn module(mut self, file: &str) -> Self {
        self.module = Some(tool::module(file));
        self
    }

    /// With this `modules.conf`.
    #[must_use]
    pub fn modules_conf(mut self, text: &str) -> Self {
        text.clone_into(&mut self.modules_conf);
        self
    }

    /// As another user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// Adds to `pjsip.conf`. `{address}` stands for its address.
    #[must_use]
    pub fn pjsip(mut self, text: &str) -> Self {
        self.pjsip += &text.replace("{address}", &self.address);
        self.pjsip.push('\n');
        self
    }

    /// Adds lines to the dialplan. `{folder}` stands for its folder.
    #[must_use]
    pub fn dialplan(mut self, text: &str) -> Self {
        self.dialplan += &text.replace("{folder}", &format!("{}/{}", lab::FOLDER, self.name));
        self.dialplan.push('\n');
        self
    }

    /// With more of Debian's modules than every test has.
    #[must_use]
    pub fn also_modules(mut self, modules: &[&'static str]) -> Self {
        self.more_modules.extend(modules);
        self
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Adds a configuration file.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }
}

/// The path of a file of an Asterisk's folder as programs in the lab see it.
pub(crate) fn inside(name: &str, file: &str) -> String {
    format!("{}/{name}/{file}", lab::FOLDER)
}

/// Makes the folder of an Asterisk: its configuration, its modules, and what it writes to.
pub(crate) fn make_folder(lab: &Lab, setup: &Setup, folder: &Path) {
    for sub in [
        "etc",
        "lib",
        "run",
        "log/cdr-custom",
        "log/cel-custom",
        "spool",
        "rec",
        "modules",
    ] {
        fs::create_dir_all(folder.join(sub)).expect("a folder can be made");
    }
    let name = &setup.name;
    let mut conf = String::from("[directories]\n");
    for (key, sub) in [
        ("astetcdir", "etc"),
        ("astmoddir", "modules"),
        ("astvarlibdir", "lib"),
        ("astdbdir", "lib"),
        ("astrundir", "run"),
        ("astlogdir", "log"),
        ("astspooldir", "spool"),
    ] {
        writeln!(conf, "{key} = {}", inside(name, sub)).expect("a String takes it");
    }
    let data = match &setup.module {
        Some(_) => make_data(lab, name, folder),
        None => lab.host().data.clone(),
    };
    writeln!(
        conf,
        "astdatadir = {data}\nastkeydir = {data}\nastagidir = {data}/agi-bin"
    )
    .expect("a String takes it");
    conf += "[options]\nverbose = 3\n";
    let etc = folder.join("etc");
    let put = |file: &str, content: &str| {
        fs::write(etc.join(file), content).expect("a file can be written")
    };
    put("asterisk.conf", &conf);
    put("modules.conf", &setup.modules_conf);
    put(
        "logger.conf",
        "[general]\n[logfiles]\nfull.log => notice,warning,error,verbose\n",
    );
    put(
        "rtp.conf",
        "[general]\nrtpstart = 20000\nrtpend = 29999\nicesupport = no\n",
    );
    // What Asterisk complains about when it is missing.
    for file in [
        "acl",
        "ccss",
        "cel",
        "features",
        "manager",
        "pjproject",
        "udptl",
    ] {
        put(&format!("{file}.conf"), "");
    }
    put("cdr.conf", "[general]\nenable = no\n");
    put(
        "indications.conf",
        "[general]\ncountry = eu\n[eu]\ndescription = Europe\nringcadence = 1000,4000\nring = 425/1000,0/4000\n",
    );
    put("pjsip.conf", &setup.pjsip);
    put("extensions.conf", &format!("[default]\n{}", setup.dialplan));
    for (file, content) in &setup.files {
        put(file, content);
    }
    for module in MODULES.iter().chain(&setup.more_modules) {
        if !lab.host().has_module(module) {
            continue;
        }
        let stock = format!("{}/{module}.so", lab.host().modules);
        symlink(stock, folder.join(format!("modules/{module}.so"))).expect("a link can be made");
    }
    if let Some(module) = &setup.module {
        // A link takes no room: there are hundreds of these folders, and the file with its symbols has 29 MB. Nobody writes into it.
        let to = folder.join("modules/res_ciphertrunk.so");
        let _ = fs::remove_file(&to);
        // The folder is given to Asterisk's user below.
        let linked = setup.user != User::Asterisk && fs::hard_link(module, &to).is_ok();
        if !linked {
            fs::copy(module, &to).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}: run `make module test-module`",
                    module.display()
                )
            });
        }
    }
    if setup.user == User::Asterisk {
        own_by_asterisk(lab, folder);
    }
}

/// A folder of data as the host's, by links, with the documents of our functions beside its own, as `make install` puts them.
/// Its path in the lab.
fn make_data(lab: &Lab, name: &str, folder: &Path) -> String {
    let host = &lab.host().data;
    let link_all = |of: &str, except: &str| {
        let to = folder.join("data").join(of);
        fs::create_dir_all(&to).expect("a folder can be made");
        let from = lab.host().root.join(host.trim_start_matches('/')).join(of);
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            let file = entry.file_name();
            if file != except {
                let target = Path::new(host).join(of).join(&file);
                symlink(target, to.join(&file)).expect("a link can be made");
            }
        }
    };
    link_all("", "documentation");
    link_all("documentation", "thirdparty");
    let ours = "res_ciphertrunk-en_US.xml";
    let to = folder.join("data/documentation/thirdparty");
    fs::create_dir_all(&to).expect("a folder can be made");
    fs::copy(lab::repository().join("docs/xml").join(ours), to.join(ours))
        .expect("the documents are there");
    inside(name, "data")
}

fn own_by_asterisk(lab: &Lab, folder: &Path) {
    let passwd =
        fs::read_to_string(lab.host().root.join("etc/passwd")).expect("the host has users");
    let ids = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("asterisk:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    let (uid, gid) = ids.expect("the host has the user asterisk");
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        chown(&path, Some(uid), Some(gid)).expect("root may give a folder away");
        for entry in fs::read_dir(&path)
            .expect("a folder")
            .filter_map(Result::ok)
        {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                chown(entry.path(), Some(uid), Some(gid)).expect("root may give a file away");
            }
        }
    }
}
