//! Text from outside, made inert for terminals, HTML and SVG. It is stored raw in the log and goes
//! through here on every way out.

/// One field on a terminal, in characters: a CA's longest real sentence has about 400.
pub const FIELD_CHARACTERS_MAX: usize = 512;

/// Whether a terminal or a reader could be misled by this character: controls (C0, C1, DEL), line and
/// paragraph separators, bidirectional controls, zero-width and other invisible characters, tags.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with every misleading character written as `\u{…}`: one line, whatever came in.
pub fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        if is_dangerous(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`text`], and at most `max` characters of the raw text, with `…` where it was cut.
pub fn field(raw: &str, max: usize) -> String {
    let mut rest = raw.chars();
    let head: String = rest.by_ref().take(max).collect();
    let mut out = text(&head);
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// Text for the inside of an element or a quoted attribute of HTML and SVG.
pub fn markup(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in text(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_is_written_out() {
        assert_eq!(text("a\u{1b}[31mred\nb"), "a\\u{1b}[31mred\\u{a}b");
        assert_eq!(text("gro\u{202e}.elpmaxe\u{200b}"), "gro\\u{202e}.elpmaxe\\u{200b}");
        assert_eq!(text("\u{85}\u{7f}\u{2066}\u{feff}"), "\\u{85}\\u{7f}\\u{2066}\\u{feff}");
        assert_eq!(text("Grüße, 例え"), "Grüße, 例え");
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(
            markup("<script>alert('x')</script>&\"\u{1b}"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\\u{1b}"
        );
    }

    #[test]
    fn a_field_is_cut_before_it_is_written_out() {
        assert_eq!(field("abcdef", 3), "abc…");
        assert_eq!(field("abc", 3), "abc");
        assert_eq!(field("a\u{1b}c", 2), "a\\u{1b}…");
    }
}
