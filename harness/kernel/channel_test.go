package kernel

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// told is a Watcher that writes down what it is told.
type told []string

func (l *told) Say(phase string) { *l = append(*l, phase) }

func (l *told) Start(round, rounds int, arm string) {
	*l = append(*l, fmt.Sprintf("start %d/%d %s", round, rounds, arm))
}

func (l *told) Done(round, rounds int, arm string, t *result.Trial) {
	*l = append(*l, fmt.Sprintf("done %d/%d %s: %d of %d", round, rounds, arm, t.Failed, t.Requests))
}

func TestWhatAGuestSaysIsHeard(t *testing.T) {
	var stream bytes.Buffer
	v := &voice{w: &stream}
	v.json(wordHello, hello{channelVersion, aRelease})
	v.Say("making the router")
	v.Start(1, 8, "masquerade")
	v.frame(wordAlive, nil)
	v.Done(1, 8, "masquerade", &result.Trial{Failed: 3, Requests: 40})
	v.json(wordResult, &result.Result{Schema: result.Schema})
	stream.WriteString("[   12.345678] reboot: Restarting system")
	var watch told
	greeted, heard := 0, 0
	a, err := listen(&stream, aRelease, &watch, func() { greeted++ }, func() { heard++ })
	if err != nil || a.failure != "" || !strings.HasPrefix(string(a.result), `{"schema":"snatlab.result/v1"`) {
		t.Errorf("got %+v, %v", a, err)
	}
	want := []string{"making the router", "start 1/8 masquerade", "done 1/8 masquerade: 3 of 40"}
	if !slices.Equal(watch, want) || greeted != 1 || heard != 6 {
		t.Errorf("told %q, greeted %d times, heard %d times", watch, greeted, heard)
	}
}

func TestAGuestThatDoesNotSayItsLastWordGivesNoResult(t *testing.T) {
	hello := string(frameOf(t, wordHello, `{"protocol":1,"release":"`+aRelease+`"}`))
	for claim, c := range map[string]struct{ stream, want string }{
		"nothing":           {"", errMute.Error()},
		"a greeting":        {hello, errSilent.Error()},
		"half a result":     {hello + string(frameOf(t, wordResult, "{}")[:20]), errSilent.Error()},
		"no greeting":       {string(frameOf(t, wordResult, "{}")), "listen to the guest: no greeting of this version"},
		"another version":   {string(frameOf(t, wordHello, `{"protocol":2}`)), "listen to the guest: no greeting of this version"},
		"another kernel":    {string(frameOf(t, wordHello, `{"protocol":1,"release":"4.4"}`)), `the kernel calls itself "4.4", and its image "` + aRelease + `"`},
		"noise":             {hello + "Segmentation fault (core dumped)", `listen to the guest: "Segmentat" opens no frame`},
		"a second greeting": {hello + hello, "listen to the guest: a frame of kind 'h' out of turn"},
		"a strange word":    {hello + string(frameOf(t, wordProgress, "[]")), "listen to the guest: json: cannot unmarshal array into Go value of type kernel.progress"},
	} {
		a, err := listen(strings.NewReader(c.stream), aRelease, new(told), func() {}, func() {})
		if err == nil || err.Error() != c.want || a.result != nil {
			t.Errorf("%s: got %v, want %s", claim, err, c.want)
		}
	}
}

func TestAGuestSaysWhyThereIsNoResult(t *testing.T) {
	var stream bytes.Buffer
	v := &voice{w: &stream}
	v.json(wordHello, hello{channelVersion, aRelease})
	v.frame(wordFailure, []byte("load module nf_nat: invalid module format"))
	a, err := listen(&stream, aRelease, new(told), func() {}, func() {})
	if err != nil || a.failure != "load module nf_nat: invalid module format" {
		t.Errorf("got %+v, %v", a, err)
	}
}
