//! Rules about the text of one file.

/// Lines of a Rust file. 150 is usual; above 400 a file holds two things.
const RUST_LINES_MAX: usize = 400;

/// What may not stand in Rust, and what to do instead. Split, so that this file passes itself.
const FORBIDDEN: [(&str, &str); 7] = [
    (concat!("todo", "!("), "finish it, or leave it out"),
    (concat!("unimplemented", "!("), "finish it, or leave it out"),
    (concat!("#[igno", "re"), "a test runs or is deleted"),
    (concat!("#[allo", "w("), "#[expect(lint, reason = \"...\")]"),
    (concat!("#![allo", "w("), "#![expect(lint, reason = \"...\")]"),
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Use", "rs/")];

/// Findings of one file, each with `:line: ` in front.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let rust = path.ends_with(".rs");
    if rust && !text.starts_with("//!") {
        found.push(":1: begin with `//!` and say what the file is for".to_owned());
    }
    let lines = text.lines().count();
    if rust && lines > RUST_LINES_MAX {
        found.push(format!(": {lines} lines, at most {RUST_LINES_MAX}: split it by what it does"));
    }
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let forbidden = FORBIDDEN.iter().filter(|(word, _)| rust && line.contains(word));
        found.extend(forbidden.map(|(word, instead)| format!(":{number}: `{word}`: {instead}")));
        let machine = MACHINE_PATHS.iter().filter(|path| has_path(line, path));
        found.extend(machine.map(|path| format!(":{number}: `{path}`: a path of one machine")));
    }
    found
}

/// Whether a path beginning with `start` stands in `line` (and not inside a URL or longer path).
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && !".-_}>~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_sin_and_nothing_else() {
        let long = format!("//! x\n{}", "\n".repeat(RUST_LINES_MAX));
        let word = |word: &str| format!("//! x\n{word}");
        let table = [
            ("a good file", "a.rs", "//! x\nfn main() {}".to_owned(), 0),
            ("no purpose", "a.rs", "fn main() {}".to_owned(), 1),
            ("too long", "a.rs", long, 1),
            ("a word", "a.rs", word(FORBIDDEN[0].0), 1),
            ("the word in prose", "a.md", word(FORBIDDEN[5].0), 0),
            ("a machine's path", "a.md", format!("see {}x", MACHINE_PATHS[0]), 1),
            ("a URL", "a.md", format!("https://x.org{}x", MACHINE_PATHS[1]), 0),
        ];
        for (case, path, text, expected) in table {
            assert_eq!(check(path, &text).len(), expected, "{case}: {:?}", check(path, &text));
        }
    }
}
