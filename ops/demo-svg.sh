#!/bin/sh
# Records `renewd demo` as a picture: sh ops/demo-svg.sh target/release/renewd > ops/demo.svg
# The text is what the program printed; steps that repeat or explain little are counted, not shown.
set -eu
program=$(realpath "$1")
link=$(mktemp -d)
trap 'rm -rf "$link"' EXIT
ln -s "$program" "$link/renewd"
PATH="$link:$PATH" renewd demo >"$link/said"
awk '
BEGIN { columns = 122; left = 16; line_height = 18 }
function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
    return text
}
function row(class, text) {
    # mawk counts octets: the rule around the kill is no text to cut.
    if (class != "cut" && length(text) > columns) text = substr(text, 1, columns - 1) "…"
    rows[++count] = sprintf("<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>", \
        class, left, 26 + count * line_height, escaped(text))
}
function hidden_so_far() {
    if (hidden) row("dim", sprintf("             and %d more events, not shown in this picture", hidden))
    hidden = 0
}
BEGIN { row("bold", "$ renewd demo") }
/ s  #/ {
    if (/wanted|terms accepted|to be served|daily check|key .*(requested|durable)|account requested|chosen|ready requested|no longer answered|put in place|listener needed|finalize requested|to be proven|in place|published/ || \
        (chapter == 4 && /issued|chain of|ready accepted|VALID|finalize accepted/)) { hidden++; next }
    row("event", $0); next
}
/^[0-9]\. / { chapter = $1 + 0 }
/folder / { next }
/log$/ && /│/ { next }
{ hidden_so_far() }
/━/ { row("cut", $0); next }
/^[0-9]\. |^renewd demo|^The end/ { row("bold", $0); next }
/^  ok / { row("ok", $0); next }
/^  renewd / { row("bold", "  $" substr($0, 2)); next }
/^$/ { row("dim", ""); next }
{ row("dim", $0) }
END {
    height = 46 + count * line_height
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1000\" height=\"%d\" viewBox=\"0 0 1000 %d\" role=\"img\" aria-label=\"A recorded run of renewd demo\">\n", height, height
    print "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;white-space:pre;fill:#c9d1d9}.bold{font-weight:bold;fill:#fff}.dim{fill:#8b949e}.ok{fill:#7ee787}.cut{fill:#ff7b72;font-weight:bold}</style>"
    printf "<rect width=\"1000\" height=\"%d\" rx=\"8\" fill=\"#0d1117\"/>\n", height
    for (i = 1; i <= count; i++) print rows[i]
    print "</svg>"
}' "$link/said"
