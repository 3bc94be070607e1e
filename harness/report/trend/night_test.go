package trend

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func TestWriteNight(t *testing.T) {
	t.Parallel()
	for name, n := range reporttest.Nights(t) {
		reporttest.CheckGolden(t, "testdata/night-"+name+".txt", reporttest.Draw(t, reporttest.On80(WriteNight), n))
	}
}

// A night written as JSON is read back whole.
func TestNightJSON(t *testing.T) {
	t.Parallel()
	for name, n := range reporttest.Nights(t) {
		var back result.Night
		text := reporttest.Draw(t, resultfile.WriteJSON, n)
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatal(err)
		}
		if again := reporttest.Draw(t, resultfile.WriteJSON, &back); again != text {
			t.Errorf("%s changed:\n%s", name, again)
		}
	}
}

// A hostile name steers no terminal.
func TestHostileNight(t *testing.T) {
	t.Parallel()
	if text := reporttest.Draw(t, reporttest.On80(WriteNight), reporttest.HostileNight(t)); strings.ContainsAny(text, "\x1b\x00") || !utf8.ValidString(text) {
		t.Errorf("%q", text)
	}
}
