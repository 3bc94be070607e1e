package printable

import "testing"

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, line, lines string }{
		{"keeps what is printed", "naïve 日本 → a/b", "naïve 日本 → a/b", "naïve 日本 → a/b"},
		{"replaces escape sequences", "a\x1b[2Jb\x9bc", "a?[2Jb\ufffdc", "a?[2Jb\ufffdc"},
		{"replaces C1 controls", "a\u009b2Jb", "a?2Jb", "a?2Jb"},
		{"replaces controls of direction", "a\u202eb\u2066c\u200fd", "a?b?c?d", "a?b?c?d"},
		{"joins lines", "a\nb\r\nc\td", "a b  c d", "a\nb \nc\td"},
		{"joins Unicode's lines", "a\u2028b\u2029c\u0085d", "a b c d", "a b c d"},
		{"replaces NUL and DEL", "a\x00b\x7fc", "a?b?c", "a?b?c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Line(c.text); got != c.line {
				t.Errorf("Line: %q, want %q", got, c.line)
			}
			if got := Lines(c.text); got != c.lines {
				t.Errorf("Lines: %q, want %q", got, c.lines)
			}
		})
	}
}
