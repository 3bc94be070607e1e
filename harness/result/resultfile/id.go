package resultfile

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// NewRunID returns the ID of a run, which is also the name of its folder: the time, so
// that runs sort, and random digits, so that no two are the same.
func NewRunID(now time.Time) string {
	b := make([]byte, 3)
	rand.Read(b)
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b)
}
