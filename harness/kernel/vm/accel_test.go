package vm

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// KVM can be there and hang: it is believed when a guest has greeted under it,
// given up when one greets that did not before, and asked again after a kernel
// that greets nowhere.
func TestAccelChoice(t *testing.T) {
	fault := errors.New("the guest said nothing for 10s")
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
			v := &accelChoice{opens: func() bool { return true }}
			var tried []string
			for range 2 {
				o, err := v.bootGuest(t.Context(), func(accel string, patience time.Duration, greeted func()) (GuestOutput, error) {
					tried = append(tried, accel)
					if !c.greets[accel] {
						return GuestOutput{Accel: accel}, fault
					}
					greeted()
					return GuestOutput{Accel: accel}, nil
				})
				if last := tried[len(tried)-1]; o.Accel != last || (err == nil) != c.greets[last] {
					t.Errorf("%s: %v", o.Accel, err)
				}
			}
			if !slices.Equal(tried, c.want) || v.known != c.known {
				t.Errorf("tried %q, known %q", tried, v.known)
			}
		})
	}
}

func TestAccelWithoutKVM(t *testing.T) {
	v := &accelChoice{opens: func() bool { return false }}
	o, err := v.bootGuest(t.Context(), func(accel string, _ time.Duration, _ func()) (GuestOutput, error) {
		return GuestOutput{Accel: accel}, nil
	})
	if o.Accel != TCG || err != nil {
		t.Errorf("%s, %v", o.Accel, err)
	}
}
