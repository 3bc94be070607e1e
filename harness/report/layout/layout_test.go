package layout

import (
	"fmt"
	"strings"
	"testing"
)

func TestASCII(t *testing.T) {
	t.Parallel()
	on := Screen{ASCII: true}
	for text, want := range map[string]string{
		"14 µs ±3 ≤1 ≥2 a…b": "14 us +/-3 <=1 >=2 a...b", "¹ ² ¹²": "[1] [2] [12]", "▁▂█┊": "_.#|", "naïve 語": "na?ve ?", "a\x1b[2J\nb": "a?[2J b",
	} {
		if got := on.Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 3, "µ±█": 3, "語語": 4, "e\u0301": 1} {
		if got := Width(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		on   Screen
		text string
		most int
		want string
	}{
		{Screen{}, "short", 5, "short"},
		{Screen{}, "an-arm-with-a-long-name", 9, "an-a…name"},
		{Screen{ASCII: true}, "an-arm-with-a-long-name", 9, "an-...ame"},
	} {
		if got := tc.on.Shorten(tc.text, tc.most); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.want)
		}
	}
}

// A line is divided between words; a number keeps its unit, and only a word that is wider
// than a line is broken.
func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"lost 27.1 % of all", 10, "lost|27.1 % of|all"},
		{"at most 0.19 %", 12, "at most|0.19 %"},
		{"a word-that-is-too-long here", 8, "a|word-tha|t-is-too|-long|here"},
	} {
		if got := strings.Join(wrap(tc.text, tc.width), "|"); got != tc.want {
			t.Errorf("%q in %d: got %s, want %s", tc.text, tc.width, got, tc.want)
		}
	}
}

// On a narrow screen a text is below its lead.
func TestWriteHanging(t *testing.T) {
	t.Parallel()
	for width, want := range map[int]string{
		40: "expected  PASS\n  masquerade: race reproduced (1 of 2\n  lost)\n",
		80: "expected  PASS  masquerade: race reproduced (1 of 2 lost)\n",
	} {
		p := NewPage(Screen{Width: width})
		p.WriteHanging("expected  PASS  ", "masquerade: race reproduced (1 of 2 lost)")
		if p.String() != want {
			t.Errorf("%d columns: got\n%s", width, p.String())
		}
	}
}

// A table is divided into parts that fit, and no line is wider than the screen. Each cell
// is printed once, but those of the columns that are kept.
func TestWriteTable(t *testing.T) {
	t.Parallel()
	table := Table{Head: []string{"figure", "plain", "random", "fully"}, Rows: [][]string{{"failed", "1,234", "56", "0"}, {"a long label", "12 %", "", "-"}}, Keep: 2}
	for width, want := range map[int]string{
		80: "figure         plain   random   fully\nfailed         1,234       56       0\na long label    12 %                -\n\n",
		30: "figure         plain   random\nfailed         1,234       56\na long label    12 %\n\nfigure         plain   fully\nfailed         1,234       0\na long label    12 %       -\n\n",
		23: "figure         plain\nfailed         1,234\na long label    12 %\n\nfigure         random\nfailed             56\na long label\n\nfigure         fully\nfailed             0\na long label       -\n\n",
		20: "failed\n  plain 1,234\n  random 56\n  fully 0\na long label\n  plain 12 %\n  fully -\n\n",
	} {
		p := NewPage(Screen{Width: width})
		p.WriteTable(table)
		if p.String() != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, p.String(), want)
		}
	}
}

// Whatever a table holds, it fits.
func TestTableFits(t *testing.T) {
	t.Parallel()
	table := Table{Head: []string{"", strings.Repeat("name", 9)}, Rows: [][]string{{strings.Repeat("label ", 9), strings.Repeat("9", 60)}, {"語語語語語語語語語語語語", "x", "too many"}, {}}}
	for width := range 60 {
		p := NewPage(Screen{Width: width + 1})
		p.WriteTable(table)
		p.WriteLine(fmt.Sprint(table))
		p.WriteField("a label that is long", fmt.Sprint(table))
		for line := range strings.Lines(p.String()) {
			if n := Width(strings.TrimSuffix(line, "\n")); n > max(width+1, LeastWidth) {
				t.Errorf("%d columns of %d: %s", n, width+1, line)
			}
		}
	}
}
