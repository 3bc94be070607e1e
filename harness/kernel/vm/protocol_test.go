package vm

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// testRelease is the release of the kernel in tests.
const testRelease = "6.1.0-56-cloud-amd64"

// recordedReports records reports of progress. The report "odd" is an error.
type recordedReports []string

func (l *recordedReports) record(progress []byte) error {
	*l = append(*l, string(progress))
	if string(progress) == "odd" {
		return errors.New("no report of ours")
	}
	return nil
}

// The greeting, the reports and the result of a guest are read; later output is not.
func TestReadOutcome(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	conn := &guestConn{w: &stream}
	conn.sendJSON(frameHello, hello{protocolVersion, testRelease})
	conn.sendProgress([]byte("making the router"))
	conn.sendProgress([]byte("round 1"))
	conn.sendFrame(frameAlive, nil)
	conn.sendProgress([]byte("round 2"))
	conn.sendFrame(frameResult, []byte("the result"))
	stream.WriteString("[   12.345678] reboot: Restarting system")
	var watch recordedReports
	greeted, heard := 0, 0
	a, err := readOutcome(&stream, testRelease, watch.record, func() { greeted++ }, func() { heard++ })
	if err != nil || a.failure != "" || string(a.result) != "the result" {
		t.Errorf("got %+v, %v", a, err)
	}
	want := []string{"making the router", "round 1", "round 2"}
	if !slices.Equal(watch, want) || greeted != 1 || heard != 6 {
		t.Errorf("reports %q, greeted %d times, heard %d times", watch, greeted, heard)
	}
}

// A guest that does not send its last frame has no result.
func TestReadOutcomeErrors(t *testing.T) {
	t.Parallel()
	hello := string(encodeFrame(t, frameHello, `{"protocol":1,"release":"`+testRelease+`"}`))
	for claim, c := range map[string]struct{ stream, want string }{
		"nothing":           {"", errNoHello.Error()},
		"a greeting":        {hello, errNoOutcome.Error()},
		"half a result":     {hello + string(encodeFrame(t, frameResult, "{}")[:20]), errNoOutcome.Error()},
		"no greeting":       {string(encodeFrame(t, frameResult, "{}")), "read from the guest: no greeting of this protocol version"},
		"another version":   {string(encodeFrame(t, frameHello, `{"protocol":2}`)), "read from the guest: no greeting of this protocol version"},
		"another kernel":    {string(encodeFrame(t, frameHello, `{"protocol":1,"release":"4.4"}`)), `the release of the booted kernel is "4.4", but that of its image is "` + testRelease + `"`},
		"noise":             {hello + "Segmentation fault (core dumped)", `read from the guest: "Segmentat" is not the start of a frame`},
		"a second greeting": {hello + hello, "read from the guest: unexpected frame of kind 'h'"},
		"a strange report":  {hello + string(encodeFrame(t, frameProgress, "odd")), "read from the guest: no report of ours"},
	} {
		a, err := readOutcome(strings.NewReader(c.stream), testRelease, new(recordedReports).record, func() {}, func() {})
		if err == nil || err.Error() != c.want || a.result != nil {
			t.Errorf("%s: got %v, want %s", claim, err, c.want)
		}
	}
}

// A guest sends why it has no result.
func TestReadOutcomeFailure(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	conn := &guestConn{w: &stream}
	conn.sendJSON(frameHello, hello{protocolVersion, testRelease})
	conn.sendFrame(frameFailure, []byte("load module nf_nat: invalid module format"))
	a, err := readOutcome(&stream, testRelease, new(recordedReports).record, func() {}, func() {})
	if err != nil || a.failure != "load module nf_nat: invalid module format" {
		t.Errorf("got %+v, %v", a, err)
	}
}
