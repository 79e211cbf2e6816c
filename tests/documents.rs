//! What the console counts has a place in the documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the console's lines begin with: the second text of `all.both(`, the first of `all.console(`; of `Refused {code}` the words.
fn printed(source: &str) -> BTreeSet<String> {
    let of = |call: &str, at: usize| -> Vec<String> {
        let calls = source.split(call).skip(1);
        calls
            .filter_map(|call| call.split('"').nth(2 * at + 1)?.split('{').next())
            .map(|words| words.trim_end_matches([' ', ',']).to_owned())
            .collect()
    };
    let mut names = BTreeSet::from_iter(of("all.both(", 1));
    names.extend(of("all.console(", 0));
    names
}

/// Those that are not in the first column of a table, as code.
fn missing<'n>(names: &'n BTreeSet<String>, page: &str) -> Vec<&'n str> {
    let columns: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .collect();
    let is_there = |name: &str| {
        columns.iter().any(|column| {
            column.split('`').any(|code| {
                code.strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest == " CODE" || rest == ", CODE")
            })
        })
    };
    names
        .iter()
        .map(String::as_str)
        .filter(|name| !is_there(name))
        .collect()
}

#[test]
fn each_line_of_show_status_is_explained() {
    let names = printed(&read("src/observe/status.rs"));
    assert!(names.len() > 35, "{names:?}");
    let page = read("docs/troubleshooting.md");
    assert_eq!(missing(&names, &page), Vec::<&str>::new());
    // It is found where one is missing.
    let without = page.replace("`Replays dropped`", "`Replays`");
    assert_eq!(missing(&names, &without), ["Replays dropped"]);
}

/// The metrics that `text` names.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_of_a_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.match_indices("ciphertrunk_")
        .filter(|&(at, _)| !text[..at].ends_with(is_of_a_name))
        .map(|(at, _)| {
            let name = &text[at..];
            let end = name.find(|it| !is_of_a_name(it)).unwrap_or(name.len());
            &name[..end]
        })
        .collect()
}

#[test]
fn alerts_are_of_metrics_that_there_are() {
    let alerts = read("docs/prometheus-alerts.yml");
    let asked = metrics(&alerts);
    assert!(asked.len() > 7, "{asked:?}");
    let (made, told) = (read("src/observe/metrics.rs"), read("docs/metrics.md"));
    for page in [&made, &told] {
        let there = metrics(page);
        let unknown: Vec<_> = asked.difference(&there).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {there:?}");
    }
    let twin = alerts.replace("engine_owned", "engine_lost");
    assert!(!metrics(&twin).is_subset(&metrics(&told)));
}

/// Pages that name reason codes as `code-of-words`.
const PAGES: [&str; 4] = ["carriers", "migration", "operating", "troubleshooting"];

#[test]
fn reason_codes_in_the_pages_are_codes() {
    let reasons = read("docs/reasons.md");
    let codes: BTreeSet<_> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    // Of that form, and something else.
    let others = ["ca-certificates", "ciphertrunk-check"];
    let unknown = |text: &str| -> Vec<String> {
        let outside: String = text.split("```").step_by(2).collect();
        let marked = outside.split('`').skip(1).step_by(2);
        marked
            .filter(|word| {
                word.contains('-')
                    && !word.starts_with('-')
                    && word.bytes().all(|it| it == b'-' || it.is_ascii_lowercase())
            })
            .filter(|word| !codes.contains(word) && !others.contains(word))
            .map(str::to_owned)
            .collect()
    };
    for page in PAGES {
        let text = read(&format!("docs/{page}.md"));
        assert_eq!(unknown(&text), Vec::<String>::new(), "docs/{page}.md");
    }
    let twin = read("docs/carriers.md").replace("`cert-name`", "`cert-named`");
    assert!(unknown(&twin).contains(&"cert-named".to_owned()));
}
