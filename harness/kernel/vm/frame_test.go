package vm

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func encodeFrame(t testing.TB, k frameKind, payload string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeFrame(&b, k, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A frame is read as it was written.
func TestFrameRoundTrip(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	frames := []struct {
		k       frameKind
		payload string
	}{{frameHello, `{"protocol":1}`}, {frameAlive, ""}, {frameProgress, strings.Repeat("p", 100_000)}, {frameResult, "{}"}}
	for _, s := range frames {
		stream.Write(encodeFrame(t, s.k, s.payload))
	}
	for _, s := range frames {
		k, payload, err := readFrame(&stream)
		if k != s.k || string(payload) != s.payload || err != nil {
			t.Errorf("got %q, %d bytes, %v", k, len(payload), err)
		}
	}
	if _, _, err := readFrame(&stream); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// Data that is not a complete frame is an error.
func TestReadFrameErrors(t *testing.T) {
	t.Parallel()
	whole := encodeFrame(t, frameFailure, "no nf_nat")
	change := func(at int) string {
		b := bytes.Clone(whole)
		b[at] ^= 1
		return string(b)
	}
	for claim, c := range map[string]struct{ stream, want string }{
		"a kernel's message": {"[    1.234567] Kernel panic - not syncing", `"[    1.23" is not the start of a frame`},
		"another kind":       {change(4), "a frame of unknown kind 'g'"},
		"a length":           {change(5), "a frame of kind 'f' has 16777225 bytes; allowed: 65536"},
		"a letter":           {change(frameHeader + 3), "the checksum of a frame of kind 'f' is wrong"},
		"a checksum":         {change(len(whole) - 1), "the checksum of a frame of kind 'f' is wrong"},
		"half a frame":       {string(whole[:len(whole)-1]), io.ErrUnexpectedEOF.Error()},
		"half a header":      {string(whole[:3]), io.ErrUnexpectedEOF.Error()},
		"no more than one":   {"", io.EOF.Error()},
	} {
		if _, _, err := readFrame(strings.NewReader(c.stream)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", claim, err, c.want)
		}
	}
}

// A frame that readFrame would refuse is not written.
func TestWriteFrameTooLarge(t *testing.T) {
	t.Parallel()
	if err := writeFrame(io.Discard, frameFailure, make([]byte, 64<<10+1)); err == nil {
		t.Error("no error")
	}
}

// FuzzFrame checks that every frame that is read is one that a guest would write.
func FuzzFrame(f *testing.F) {
	f.Add(encodeFrame(f, frameHello, `{"protocol":1,"release":"6.1.0"}`))
	f.Add(append(encodeFrame(f, frameAlive, ""), encodeFrame(f, frameResult, "{}")...))
	f.Add([]byte("SNL\x01r\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		for {
			begin := len(stream) - r.Len()
			k, payload, err := readFrame(r)
			if err != nil {
				if r.Len() > 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Fatalf("%v with %d bytes left", err, r.Len())
				}
				return
			}
			if again := encodeFrame(t, k, string(payload)); !bytes.Equal(again, stream[begin:len(stream)-r.Len()]) {
				t.Fatalf("kind %q, %d bytes: the frame differs when written again", k, len(payload))
			}
		}
	})
}
