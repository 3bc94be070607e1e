package vm

import (
	"context"
	"os"
	"sync"
	"time"
)

// The ways to run a guest's code.
const (
	Auto = "auto" // KVM if it works, else emulation
	KVM  = "kvm"
	TCG  = "tcg" // QEMU's emulation
)

// kvmPatience is how long a guest under KVM may take to send its greeting, which
// normally takes 1 s. /dev/kvm can exist and hang.
const kvmPatience = 10 * time.Second

// bootFunc boots a guest. The guest may be silent for patience before its greeting; 0
// is the same limit as after it. bootFunc calls greeted when the greeting arrives.
type bootFunc func(accel string, patience time.Duration, greeted func()) (GuestOutput, error)

// accelChoice remembers whether KVM works.
type accelChoice struct {
	opens func() bool // reports whether /dev/kvm can be opened; nil: try it
	mu    sync.Mutex
	known string // KVM or TCG; empty: not known yet
}

// bootGuest boots a guest with KVM or emulation. KVM is known to work when a guest has
// greeted under it. It is known to fail when a guest did not greet under it, but did
// under emulation. Other guests wait until one of them is known.
func (c *accelChoice) bootGuest(ctx context.Context, boot bootFunc) (GuestOutput, error) {
	c.mu.Lock()
	unlock := sync.OnceFunc(c.mu.Unlock)
	defer unlock()
	if c.known == "" && !c.canOpenKVM() {
		c.known = TCG
	}
	if known := c.known; known != "" {
		unlock()
		return boot(known, 0, func() {})
	}
	learn := func(accel string) func() {
		return func() {
			c.known = accel
			unlock()
		}
	}
	o, err := boot(KVM, kvmPatience, learn(KVM))
	if c.known != "" || ctx.Err() != nil {
		return o, err
	}
	return boot(TCG, 0, learn(TCG))
}

// canOpenKVM reports whether this user may open /dev/kvm, which may still not work.
func (c *accelChoice) canOpenKVM() bool {
	if c.opens != nil {
		return c.opens()
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return err == nil
}
