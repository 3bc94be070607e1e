package vm

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// /dev/kvm can exist and hang. KVM is known to work when a guest has greeted under it,
// known to fail when a guest greets only under emulation, and tried again after a
// kernel that does not greet at all.
func TestAccelChoice(t *testing.T) {
	t.Parallel()
	silent := errors.New("the guest said nothing for 10s")
	for claim, c := range map[string]struct {
		greets map[string]bool // by accel
		want   []string        // tried in two boots
		known  string
	}{
		"it works":             {map[string]bool{KVM: true, TCG: true}, []string{KVM, KVM}, KVM},
		"it hangs":             {map[string]bool{TCG: true}, []string{KVM, TCG, TCG}, TCG},
		"the kernel is broken": {nil, []string{KVM, TCG, KVM, TCG}, ""},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			choice := &accelChoice{opens: func() bool { return true }}
			var tried []string
			for range 2 {
				o, err := choice.bootGuest(t.Context(), func(accel string, patience time.Duration, greeted func()) (GuestOutput, error) {
					tried = append(tried, accel)
					if !c.greets[accel] {
						return GuestOutput{Accel: accel}, silent
					}
					greeted()
					return GuestOutput{Accel: accel}, nil
				})
				if last := tried[len(tried)-1]; o.Accel != last || (err == nil) != c.greets[last] {
					t.Errorf("%s: %v", o.Accel, err)
				}
			}
			if !slices.Equal(tried, c.want) || choice.known != c.known {
				t.Errorf("tried %q, known %q", tried, choice.known)
			}
		})
	}
}

// Without KVM, guests are emulated.
func TestAccelWithoutKVM(t *testing.T) {
	t.Parallel()
	choice := &accelChoice{opens: func() bool { return false }}
	o, err := choice.bootGuest(t.Context(), func(accel string, _ time.Duration, _ func()) (GuestOutput, error) {
		return GuestOutput{Accel: accel}, nil
	})
	if o.Accel != TCG || err != nil {
		t.Errorf("%s, %v", o.Accel, err)
	}
}
