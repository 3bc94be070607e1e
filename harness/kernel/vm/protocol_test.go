package vm

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// testRelease is that of the kernel in tests.
const testRelease = "6.1.0-56-cloud-amd64"

// recordedReports are reports of progress, as they come. "odd" is none.
type recordedReports []string

func (l *recordedReports) record(progress []byte) error {
	*l = append(*l, string(progress))
	if string(progress) == "odd" {
		return errors.New("no report of ours")
	}
	return nil
}

func TestReadOutcome(t *testing.T) {
	var stream bytes.Buffer
	v := &guestConn{w: &stream}
	v.sendJSON(frameHello, hello{protocolVersion, testRelease})
	v.sendProgress([]byte("making the router"))
	v.sendProgress([]byte("round 1"))
	v.sendFrame(frameAlive, nil)
	v.sendProgress([]byte("round 2"))
	v.sendFrame(frameResult, []byte("the result"))
	stream.WriteString("[   12.345678] reboot: Restarting system")
	var watch recordedReports
	greeted, heard := 0, 0
	a, err := readOutcome(&stream, testRelease, watch.record, func() { greeted++ }, func() { heard++ })
	if err != nil || a.failure != "" || string(a.result) != "the result" {
		t.Errorf("got %+v, %v", a, err)
	}
	want := []string{"making the router", "round 1", "round 2"}
	if !slices.Equal(watch, want) || greeted != 1 || heard != 6 {
		t.Errorf("told %q, greeted %d times, heard %d times", watch, greeted, heard)
	}
}

func TestReadOutcomeErrors(t *testing.T) {
	hello := string(encodeFrame(t, frameHello, `{"protocol":1,"release":"`+testRelease+`"}`))
	for claim, c := range map[string]struct{ stream, want string }{
		"nothing":           {"", errNoHello.Error()},
		"a greeting":        {hello, errNoOutcome.Error()},
		"half a result":     {hello + string(encodeFrame(t, frameResult, "{}")[:20]), errNoOutcome.Error()},
		"no greeting":       {string(encodeFrame(t, frameResult, "{}")), "listen to the guest: no greeting of this version"},
		"another version":   {string(encodeFrame(t, frameHello, `{"protocol":2}`)), "listen to the guest: no greeting of this version"},
		"another kernel":    {string(encodeFrame(t, frameHello, `{"protocol":1,"release":"4.4"}`)), `the kernel calls itself "4.4", and its image "` + testRelease + `"`},
		"noise":             {hello + "Segmentation fault (core dumped)", `listen to the guest: "Segmentat" opens no frame`},
		"a second greeting": {hello + hello, "listen to the guest: a frame of kind 'h' out of turn"},
		"a strange word":    {hello + string(encodeFrame(t, frameProgress, "odd")), "listen to the guest: no report of ours"},
	} {
		a, err := readOutcome(strings.NewReader(c.stream), testRelease, new(recordedReports).record, func() {}, func() {})
		if err == nil || err.Error() != c.want || a.result != nil {
			t.Errorf("%s: got %v, want %s", claim, err, c.want)
		}
	}
}

func TestReadOutcomeFailure(t *testing.T) {
	var stream bytes.Buffer
	v := &guestConn{w: &stream}
	v.sendJSON(frameHello, hello{protocolVersion, testRelease})
	v.sendFrame(frameFailure, []byte("load module nf_nat: invalid module format"))
	a, err := readOutcome(&stream, testRelease, new(recordedReports).record, func() {}, func() {})
	if err != nil || a.failure != "load module nf_nat: invalid module format" {
		t.Errorf("got %+v, %v", a, err)
	}
}
