package probe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"snatlab/harness/printable"
)

// ErrLongLine ends a stream: the start of the next message cannot be found.
var ErrLongLine = errors.New("a line is too long")

// ReadLines returns the lines of a stream, each of at most most bytes. An error ends
// them and has no line: ErrLongLine, or an error of reading. The end of the stream is
// not an error.
func ReadLines(in io.Reader, most int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		scan := bufio.NewScanner(in)
		scan.Buffer(make([]byte, 0, min(most, 4096)), most)
		for scan.Scan() {
			if !yield(scan.Bytes(), nil) {
				return
			}
		}
		err := scan.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: more than %d bytes", ErrLongLine, most)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// ParseMessage reads one message, which must have exactly one part. It does not check
// the values in that part.
func ParseMessage(line []byte) (m Message, err error) {
	var head struct{ V *int }
	if err := json.Unmarshal(line, &head); err != nil || head.V == nil {
		return Message{}, fmt.Errorf("not a message: %.60q", line)
	}
	if *head.V != Version {
		return Message{}, fmt.Errorf("protocol version %d, this is %d: both sides must be the same snatlab", *head.V, Version)
	}
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&m); err != nil {
		return Message{}, fmt.Errorf("a message that this snatlab cannot read (%.120s): %.60q", err, line)
	}
	if n := m.countParts(); n != 1 {
		return Message{}, fmt.Errorf("a message with %d parts instead of one: %.60q", n, line)
	}
	return m, nil
}

// Greeting returns the line that greets a probe.
func Greeting() []byte {
	line, err := json.Marshal(Message{V: Version, Greet: &Greet{}})
	if err != nil {
		panic(err) // a constant
	}
	return append(line, '\n')
}

// countParts returns the number of parts that are set.
func (m Message) countParts() (n int) {
	for _, set := range []bool{
		m.Greet != nil, m.Share != nil, m.Run != nil, m.Listen != nil, m.Finish != nil, m.End != nil, m.Router != nil,
		m.Hello != nil, m.Shared != nil, m.Waiting != nil, m.Report != nil, m.Ready != nil, m.Served != nil, m.Routed != nil, m.Error != "",
	} {
		if set {
			n++
		}
	}
	return n
}

// maxWords bounds the text of a probe that is printed, in bytes.
const maxWords = 4 << 10

// printableWords returns a text of a probe without characters that control a terminal.
func printableWords(words string) string {
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "..."
	}
	return printable.Lines(words)
}
