//! Each reason code is produced by a test with an end that is not ours, and `table` says by which. Here it is seen that the table has
//! every code, once; that what it names is a test; and that this test asserts the code: in its own text, or in a table that it goes
//! through. That it does assert it is for who reads it.
#![cfg(feature = "pjsip")]

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use policy::reasons;
use table::{ARGUED, PRODUCED};

/// The text of an item at the left margin: `fn NAME`, `const NAME`. rustfmt ends one by a line that begins with its bracket.
fn item<'a>(text: &'a str, kind: &str, name: &str) -> Option<&'a str> {
    let begin = text
        .match_indices(&format!("{kind} {name}"))
        .find(|(at, found)| {
            let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
            let before = &text[line..*at];
            let after = text[at + found.len()..].chars().next();
            ["", "pub ", "pub(crate) "].contains(&before)
                && after.is_some_and(|it| !it.is_alphanumeric() && it != '_')
        })?;
    let rest = &text[begin.0..];
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        let is_first = end == 0;
        end += line.len();
        let is_last = match is_first {
            true => line.trim_end().ends_with(';'),
            false => line.starts_with(['}', ']']) || line.starts_with(");"),
        };
        if is_last {
            break;
        }
    }
    Some(&rest[..end])
}

/// The test's text, with the constants that it names.
fn whole(text: &str, test: &str) -> Option<String> {
    let mut whole = item(text, "fn", test)?.to_owned();
    let names: BTreeSet<&str> = whole
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    let constants: String = names
        .iter()
        .filter_map(|name| item(text, "const", name))
        .collect();
    whole += &constants;
    Some(whole)
}

/// Whether `test` is one: by its attribute, or in the list of those that are made for each user.
fn is_test(text: &str, test: &str) -> bool {
    let by_attribute = text.contains(&format!("#[test]\nfn {test}("))
        || text.contains(&format!("#[test]\npub fn {test}("));
    let listed = text
        .split("as_root_and_as_asterisk!(")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .any(|list| list.split([',', '\n']).any(|name| name.trim() == test));
    by_attribute || listed
}

fn names(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// As a test of crates/sip-tls has it: `Code::PeerGone`.
fn variant(code: &str) -> Option<String> {
    let all = sip_tls::Code::ALL.iter();
    let mut found = all.filter(|it| it.facts().name == code);
    found.next().map(|it| format!("Code::{it:?}"))
}

/// What is wrong with a row; `None`: nothing.
fn fault(code: &str, file: &str, test: &str, end: table::End) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        return Some(format!("there is no {file}"));
    };
    if !is_test(&text, test) {
        return Some(format!("{file} has no test {test}"));
    }
    if !end.marks().iter().any(|mark| text.contains(mark)) {
        return Some(format!("nothing in {file} is {end:?}'s"));
    }
    let whole = whole(&text, test)?;
    let is_named =
        names(&whole, code) || variant(code).is_some_and(|variant| names(&whole, &variant));
    (!is_named).then(|| format!("{test} of {file} does not name it"))
}

#[test]
fn each_reason_is_produced_by_a_test() {
    let mut left: BTreeSet<&str> = reasons::all().iter().map(|row| row.code).collect();
    let mut faults = Vec::new();
    for (code, file, test, end) in PRODUCED {
        if !left.remove(code) {
            faults.push(format!(
                "{code}: there is no such code, or it is there twice"
            ));
        }
        faults.extend(fault(code, file, test, *end).map(|fault| format!("{code}: {fault}")));
    }
    for (code, why) in ARGUED {
        assert!(!why.is_empty());
        if !left.remove(code) {
            faults.push(format!("{code}: there is no such code, or it is produced"));
        }
    }
    faults.extend(
        left.iter()
            .map(|code| format!("{code}: no test produces it")),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The check finds what it looks for.
#[test]
fn a_row_that_does_not_hold_is_found() {
    use table::End;
    let file = "tests/host/silent_calls.rs";
    let test = "an_offer_that_does_not_fit_the_endpoint";
    assert_eq!(fault("offer-dtls", file, test, End::Sipp), None);
    for (code, file, test, end) in [
        ("offer-dtls", "tests/host/none.rs", test, End::Sipp),
        ("offer-dtls", file, "assert_told", End::Sipp),
        ("offer-dtls", file, test, End::GnuTls),
        ("offer", file, test, End::Sipp),
        ("no-address", file, test, End::Sipp),
    ] {
        assert!(
            fault(code, file, test, end).is_some(),
            "{code} {file} {test} {end:?}"
        );
    }
    // A code in a table that the test goes through.
    let text = "const ROWS: [&str; 1] = [\n    \"in-it\",\n];\nconst OTHERS: &str = \"beside-it\";\n#[test]\nfn goes() {\n    for row in ROWS {}\n}\n";
    assert!(names(&whole(text, "goes").expect("a test"), "in-it"));
    assert!(!names(&whole(text, "goes").expect("a test"), "beside-it"));
}
