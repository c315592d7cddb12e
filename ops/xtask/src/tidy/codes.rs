//! Every error code that the program can show has a page, and every page a code.

use std::collections::BTreeSet;

/// One page per code.
const PAGES: &str = "ops/errors/";
/// Where codes are given to errors.
const SOURCES: [&str; 2] = ["engine/src/", "replay/src/"];

pub(super) fn check(files: &[(String, String)]) -> Vec<String> {
    let pages: BTreeSet<&str> = files
        .iter()
        .filter_map(|(path, _)| path.strip_prefix(PAGES)?.strip_suffix(".md"))
        .filter(|name| codes(name).any(|code| code == *name))
        .collect();
    if pages.is_empty() {
        return Vec::new(); // no folder yet
    }
    let sources = files.iter().filter(|(path, _)| {
        path.ends_with(".rs") && SOURCES.iter().any(|folder| path.starts_with(folder))
    });
    let used: BTreeSet<&str> = sources.flat_map(|(_, text)| codes(text)).collect();
    let missing = used.difference(&pages).map(|code| {
        format!("{PAGES}{code}.md: the code is used and has no page: what, why, what to do")
    });
    let unused = pages.difference(&used).map(|code| {
        format!("{PAGES}{code}.md: no code in {} says it: delete it", SOURCES.join(", "))
    });
    missing.chain(unused).collect()
}

/// Words of the form R and four digits.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| {
        word.strip_prefix('R').is_some_and(|digits| {
            digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_page_and_a_page_without_code_are_found() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let source = file("engine/src/error.rs", "code(R0102) RFC8555 R12345 \"R0201\"");
        assert!(check(std::slice::from_ref(&source)).is_empty());
        let all = [source, file("ops/errors/R0102.md", ""), file("ops/errors/R0999.md", "")];
        let found = check(&all);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("R0201") && found[1].contains("R0999"), "{found:?}");
    }
}
