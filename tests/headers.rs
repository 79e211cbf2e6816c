//! `make module ASTERISK_SRC=`: which trees are taken, and what is said of the others. The trees are the few files that
//! `asterisk-headers/fetch.sh` looks at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PJ: &str = "third-party/pjproject/source";

/// The headers of Asterisk and pjproject that the module includes first.
fn included() -> Vec<String> {
    let text = ["wrapper.h", "shim.h"].map(|name| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("include")
            .join(name);
        fs::read_to_string(file).expect("it is there")
    });
    let mut names = text
        .concat()
        .lines()
        .filter_map(|line| line.strip_prefix("#include "))
        .map(|name| name.trim_matches(['"', '<', '>']).to_owned())
        .filter(|name| name.starts_with("asterisk") || name.starts_with("pj"))
        .collect::<Vec<_>>();
    assert!(names.contains(&"asterisk/cli.h".to_owned()) && names.contains(&"pjsip.h".to_owned()));
    names.push("asterisk.h".to_owned());
    names
}

/// A tree that is whole: built, with a bundled pjproject that has TLS.
fn whole(name: &str) -> PathBuf {
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&tree);
    let put = |file: &str, text: &str| {
        let file = tree.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder can be made");
        fs::write(file, text).expect("a file can be written");
    };
    put(".version", "18.21.0\n");
    for header in included() {
        match header.strip_prefix("pj") {
            None => put(&format!("include/{header}"), ""),
            Some(_) => put(&format!("{PJ}/pjlib/include/{header}"), ""),
        }
    }
    put("main/loader.c", "");
    put(
        "makeopts",
        "PJPROJECT_BUNDLED=yes\nPJPROJECT_INCLUDE=-DPJ_AUTOCONF=1 -DPJMEDIA_HAS_SRTP=0 -I/nowhere\n",
    );
    put("include/asterisk/buildopts.h", "");
    put(
        "include/asterisk/autoconfig.h",
        "#define HAVE_PJPROJECT 1\n",
    );
    for library in ["pjlib", "pjlib-util", "pjsip", "pjmedia", "pjnath"] {
        put(&format!("{PJ}/{library}/include/{library}.h"), "");
    }
    put(&format!("{PJ}/pjlib/include/pj/compat/os_auto.h"), "");
    put(
        &format!("{PJ}/pjlib/include/pj/config.h"),
        "#define PJ_HAS_SSL_SOCK 1\n#define PJ_VERSION_NUM_MAJOR 2\n#define PJ_VERSION_NUM_MINOR 13\n#define PJ_VERSION_NUM_REV 1\n",
    );
    tree
}

/// What the script makes of a tree, and what it says.
fn fetch(tree: &Path) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("asterisk-headers/fetch.sh");
    let out = tree.with_extension("headers");
    let _ = fs::remove_dir_all(&out);
    let output = Command::new(script)
        .arg("--tree")
        .args([tree, &out])
        .output()
        .expect("the script runs");
    if output.status.success() {
        return Ok(out);
    }
    // Nothing half-made is left.
    assert!(!out.exists() && !tree.with_extension("headers.new").exists());
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_built_tree_is_taken() {
    let out = fetch(&whole("taken")).expect("it is whole");
    let read = |file: &str| fs::read_to_string(out.join(file)).expect("it was made");
    assert!(read("MANIFEST").contains("version 18.21.0\npjproject bundled 2.13.1\n"));
    assert_eq!(read("DEFINES"), "PJMEDIA_HAS_SRTP=0\nPJ_AUTOCONF=1\n");
    assert!(out.join("pjproject/pj/config.h").exists() && out.join("asterisk/asterisk.h").exists());
}

#[test]
fn a_pjproject_of_the_systems_is_taken() {
    let tree = whole("systems");
    let include = tree.join(PJ).join("pjlib/include");
    let makeopts = format!(
        "PJPROJECT_INCLUDE=-I{} -DPJ_AUTOCONF=1\n",
        include.display()
    );
    fs::write(tree.join("makeopts"), makeopts).expect("a file can be written");
    let out = fetch(&tree).expect("it is whole");
    assert!(out.join("pjproject/pjsip.h").exists());
}

#[test]
fn others_are_refused_in_one_line_with_the_command() {
    let remove = |file: &'static str| move |tree: &Path| fs::remove_file(tree.join(file));
    let write = |file: &'static str, text: &'static str| {
        move |tree: &Path| fs::write(tree.join(file), text)
    };
    type Spoil = Box<dyn Fn(&Path) -> std::io::Result<()>>;
    let cases: [(&str, Spoil, &str, &str); 9] = [
        (
            "none",
            Box::new(remove("include/asterisk.h")),
            "is not an Asterisk source tree",
            "make module ASTERISK_SRC=",
        ),
        (
            "unpacked",
            Box::new(remove("makeopts")),
            "not configured",
            "./configure",
        ),
        (
            "configured",
            Box::new(remove("include/asterisk/buildopts.h")),
            "configured and not built",
            "make -C",
        ),
        (
            "no_version",
            Box::new(remove(".version")),
            "does not tell its version",
            "make -C",
        ),
        (
            "cleaned",
            Box::new(remove(
                "third-party/pjproject/source/pjlib/include/pj/compat/os_auto.h",
            )),
            "has lost its bundled pjproject",
            "make -C",
        ),
        (
            "no_pjproject",
            Box::new(|tree| {
                fs::write(tree.join("makeopts"), "")?;
                fs::write(tree.join("include/asterisk/autoconfig.h"), "")
            }),
            "without pjproject",
            "--with-pjproject-bundled",
        ),
        (
            "no_header",
            Box::new(remove("include/asterisk/cli.h")),
            "asterisk/cli.h",
            "make -C",
        ),
        (
            "no_header_of_pjproject",
            Box::new(remove(
                "third-party/pjproject/source/pjlib/include/pjsip_ua.h",
            )),
            "pjsip_ua.h",
            "make -C",
        ),
        (
            "no_tls",
            Box::new(write(
                "third-party/pjproject/source/pjlib/include/pj/config.h",
                "#define PJ_HAS_SSL_SOCK 0\n",
            )),
            "without TLS",
            "./configure --with-ssl",
        ),
    ];
    for (name, spoil, found, command) in cases {
        let tree = whole(name);
        spoil(&tree).expect("it was there");
        let said = fetch(&tree).expect_err(name);
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(
            said.contains(found) && said.contains(command),
            "{name}: {said}"
        );
    }
}
