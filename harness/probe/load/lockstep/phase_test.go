package lockstep

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// machine simulates clients that race. A client's packet arrives at its delay, plus its
// lateness, plus noise. Clients that arrive within the window of each other collide:
// all but the first lose.
type machine struct {
	unit, window float64 // ns
	late         []float64
	random       *rand.Rand
	turn         uint64
}

// playTurn lets the clients play a turn with their locks, and returns the share of slots
// that were hit.
func (m *machine) playTurn(locks []*PhaseLock, members []int) float64 {
	m.turn++
	views, aims := make([]View, len(members)), make([]Aim, len(members))
	for p, c := range members {
		aims[p] = locks[c].AimAt(p, len(members), m.turn)
		views[p] = View{Low: aims[p].Low, Span: aims[p].Span, Fired: ^uint64(0)}
	}
	for i := range TurnLength {
		arrivals, first := make([]float64, len(members)), math.Inf(1)
		for p, c := range members {
			arrivals[p] = float64(aims[p].DelayOf(m.turn, c, i)) + m.late[c] + m.random.NormFloat64()*m.window/3
			first = min(first, arrivals[p])
		}
		for p, a := range arrivals {
			if a > first && a-first < m.window {
				views[p].Lost |= 1 << i
			}
		}
	}
	hits := uint64(0)
	for _, v := range views {
		hits |= v.Lost
	}
	for p, c := range members {
		locks[c].SetUnit([]int64{int64(m.unit)})
		locks[c].Learn(p, m.turn, members, views)
	}
	return float64(bits.OnesCount64(hits)) / TurnLength
}

// The lock finds the phase within a few turns, wherever it is, and finds it again when it
// jumps. It depends on no length of time but that of connect().
func TestPhaseLock(t *testing.T) {
	t.Parallel()
	for _, clients := range []int{2, 3, 4} {
		for _, unit := range []float64{4e3, 8e3, 30e3, 1e6} {
			for seed := range uint64(20) {
				t.Run(fmt.Sprintf("%d clients, connect %v ns, seed %d", clients, unit, seed), func(t *testing.T) {
					t.Parallel()
					random := rand.New(rand.NewPCG(seed, uint64(clients)))
					m := &machine{unit: unit, window: unit / 6, late: make([]float64, clients), random: random}
					var locks []*PhaseLock
					var members []int
					for c := range clients {
						locks, members = append(locks, NewPhaseLock(c, clients, nil)), append(members, c)
					}
					for range 3 { // and two jumps
						for c := range m.late {
							m.late[c] = (random.Float64() - 0.5) * 1.5 * unit
						}
						for range 16 * (clients - 1) * (clients - 1) {
							m.playTurn(locks, members)
						}
						sum := 0.
						for range 20 {
							sum += m.playTurn(locks, members)
						}
						// Of many clients, one may stay behind for some time.
						if least := map[bool]float64{true: 0.4, false: 0.2}[clients == 2]; sum/20 < least {
							t.Errorf("late %.0f ns: %.0f %% of slots hit", m.late, 100*sum/20)
						}
					}
				})
			}
		}
	}
}
