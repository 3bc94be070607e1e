package probe

import (
	"bytes"
	"encoding/binary"
)

// DatagramSize is the size of a request over UDP, in bytes: datagramMark and the number
// of the request in network byte order. The server returns it as it is.
const DatagramSize = 12

// datagramMark tells a request from other datagrams.
var datagramMark = []byte("snatlab\n")

// WriteDatagram writes the request with a number.
func WriteDatagram(into *[DatagramSize]byte, request uint32) {
	binary.BigEndian.PutUint32(into[copy(into[:], datagramMark):], request)
}

// IsDatagram reports whether a datagram is a request, or its answer.
func IsDatagram(datagram []byte) bool {
	return len(datagram) == DatagramSize && bytes.HasPrefix(datagram, datagramMark)
}
