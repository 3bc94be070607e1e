package nftables

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// headerLength is the length of struct nfgenmsg, which precedes the attributes.
const headerLength = 4

// messageHeader returns a struct nfgenmsg.
func messageHeader(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}
