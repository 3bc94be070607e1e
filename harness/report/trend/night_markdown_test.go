package trend

import (
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
)

func TestWriteNightMarkdown(t *testing.T) {
	t.Parallel()
	for name, n := range reporttest.Nights(t) {
		reporttest.CheckGolden(t, "testdata/night-"+name+".md", reporttest.Draw(t, WriteNightMarkdown, n))
	}
}

// Names of strangers neither end a cell nor steer the terminal.
func TestNightMarkdownHostile(t *testing.T) {
	t.Parallel()
	text := reporttest.Draw(t, WriteNightMarkdown, reporttest.HostileNight(t))
	if strings.ContainsAny(text, "\x1b\x00") || strings.Contains(strings.ReplaceAll(text, `\<c>`, ""), "<c>") {
		t.Errorf("%q", text)
	}
}
