package vm

import (
	"context"
	"os"
	"sync"
	"time"
)

// What runs the guest's code.
const (
	Auto = "auto" // KVM where it works, else emulation
	KVM  = "kvm"
	TCG  = "tcg" // QEMU's emulation
)

// kvmPatience is how long a guest may take to greet under KVM, which takes 1 s.
// /dev/kvm can be there and hang.
const kvmPatience = 10 * time.Second

// bootFunc boots a guest, which may say nothing for so long before it greets; 0 is as
// long as later on.
type bootFunc func(accel string, patience time.Duration, greeted func()) (GuestOutput, error)

// accelChoice remembers whether KVM works.
type accelChoice struct {
	opens func() bool // whether this user may use it; nil: look
	mu    sync.Mutex
	known string // KVM or TCG; empty: it was not found out yet
}

// bootGuest runs a guest with what works. KVM is believed when a guest has greeted under
// it, and given up when one has greeted under emulation that did not before.
// Others wait until that is known.
func (v *accelChoice) bootGuest(ctx context.Context, try bootFunc) (GuestOutput, error) {
	v.mu.Lock()
	unlock := sync.OnceFunc(v.mu.Unlock)
	defer unlock()
	if v.known == "" && !v.canOpenKVM() {
		v.known = TCG
	}
	if known := v.known; known != "" {
		unlock()
		return try(known, 0, func() {})
	}
	learn := func(accel string) func() {
		return func() {
			v.known = accel
			unlock()
		}
	}
	o, err := try(KVM, kvmPatience, learn(KVM))
	if v.known != "" || ctx.Err() != nil {
		return o, err
	}
	return try(TCG, 0, learn(TCG))
}

// canOpenKVM tells whether this user may use KVM. Whether it works is another matter.
func (v *accelChoice) canOpenKVM() bool {
	if v.opens != nil {
		return v.opens()
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err == nil
}
