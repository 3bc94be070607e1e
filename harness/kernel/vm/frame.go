package vm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A guest sends frames: four magic bytes, a kind, the length of the payload, the
// payload, and the SHA-256 of all of these. So no other output on the serial port, of
// a kernel or of a guest that dies in the middle of a frame, is mistaken for a result.
var frameMagic = [4]byte{'S', 'N', 'L', 1}

// frameKind is the kind of payload in a frame.
type frameKind byte

const (
	frameHello    frameKind = 'h' // JSON of hello; the first frame
	frameAlive    frameKind = 'a' // empty: the guest is alive
	frameProgress frameKind = 'p' // a report of progress
	frameResult   frameKind = 'r' // the result; the last frame
	frameFailure  frameKind = 'f' // why there is no result; the last frame
)

// maxPayload is the most bytes in a frame of each kind.
var maxPayload = map[frameKind]uint32{
	frameHello:    4 << 10,
	frameAlive:    0,
	frameProgress: 4 << 20, // a trial, with the counters of every CPU
	frameResult:   64 << 20,
	frameFailure:  64 << 10,
}

// frameHeader is the bytes of magic, kind and length.
const frameHeader = len(frameMagic) + 1 + 4

// writeFrame writes a frame in a single call.
func writeFrame(w io.Writer, k frameKind, payload []byte) error {
	if uint64(len(payload)) > uint64(maxPayload[k]) {
		return fmt.Errorf("%d bytes are too many for a frame of kind %q; allowed: %d", len(payload), k, maxPayload[k])
	}
	frame := append(frameMagic[:len(frameMagic):len(frameMagic)], byte(k))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(payload)))
	frame = append(frame, payload...)
	sum := sha256.Sum256(frame)
	_, err := w.Write(append(frame, sum[:]...))
	return err
}

// readFrame reads a frame. The end of the stream before a frame is io.EOF, within a
// frame io.ErrUnexpectedEOF.
func readFrame(r io.Reader) (frameKind, []byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	k, length := frameKind(head[len(frameMagic)]), binary.BigEndian.Uint32(head[len(frameMagic)+1:])
	most, known := maxPayload[k]
	switch {
	case [4]byte(head[:]) != frameMagic:
		return 0, nil, fmt.Errorf("%q is not the start of a frame", head[:])
	case !known:
		return 0, nil, fmt.Errorf("a frame of unknown kind %q", k)
	case length > most:
		return 0, nil, fmt.Errorf("a frame of kind %q has %d bytes; allowed: %d", k, length, most)
	}
	// The buffer grows with the bytes that arrive, not with the length in the header.
	var rest bytes.Buffer
	n, err := io.CopyN(&rest, r, int64(length)+sha256.Size)
	if errors.Is(err, io.EOF) && n < int64(length)+sha256.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, nil, err
	}
	payload, sum := rest.Bytes()[:length], rest.Bytes()[length:]
	check := sha256.New()
	check.Write(head[:])
	check.Write(payload)
	if !bytes.Equal(check.Sum(nil), sum) {
		return 0, nil, fmt.Errorf("the checksum of a frame of kind %q is wrong", k)
	}
	return k, payload, nil
}
