package verdicttest

import (
	"math"
	"math/rand/v2"
)

// Machine is a model of how often a machine hits the race. Time is in seconds since the
// run began.
type Machine struct {
	Name  string
	About string

	// start returns a machine of the kind, at the beginning of a run.
	start func(*rand.Rand) runningMachine
}

// runningMachine returns the chance that a slot is hit at a time. startTrial is called
// before each trial, at a time that does not decrease.
type runningMachine interface {
	startTrial(at float64)
	chanceAt(at float64) float64
}

// Machines are the models, in the order of their tables. The rates and the dwell times of
// b, b' and b” are those of traces of three machines.
var Machines = []Machine{
	{"a", "each trial 20 %, sd 5 % (beta)", func(draw *rand.Rand) runningMachine {
		return &perTrial{draw: func() float64 { return drawBeta(draw, 12.6, 50.4) }}
	}},
	{"b", "fast 15-37 %, slow 0.1-0.7 %, in between 15 % of visits, for 5 s to 5 min each", func(draw *rand.Rand) runningMachine {
		return &visits{draw: draw, shortest: 5, longest: 300}
	}},
	{"b'", "as b, for 3 to 20 s each: changes within a run", func(draw *rand.Rand) runningMachine {
		return &visits{draw: draw, shortest: 3, longest: 20}
	}},
	{"b''", "slow for the whole run, 0.1-0.7 %", func(draw *rand.Rand) runningMachine {
		level := drawLogUniform(draw, 0.001, 0.007)
		return &perTrial{draw: func() float64 { return level * drawNoise(draw, 0.3) }}
	}},
	{"c", "from 28 % down to 14 % in 16 s, noise 5 %", func(draw *rand.Rand) runningMachine {
		return &drift{draw: draw}
	}},
	{"d", "0.05 %", func(*rand.Rand) runningMachine {
		return &perTrial{draw: func() float64 { return 0.0005 }}
	}},
	{"e", "each trial log-normal, median 5 %, sigma 1", func(draw *rand.Rand) runningMachine {
		return &perTrial{draw: func() float64 { return 0.05 * math.Exp(draw.NormFloat64()) }}
	}},
}

// perTrial has one chance in each trial.
type perTrial struct {
	draw   func() float64
	chance float64
}

func (m *perTrial) startTrial(float64)       { m.chance = min(0.95, m.draw()) }
func (m *perTrial) chanceAt(float64) float64 { return m.chance }

// visits changes between states, and stays in each for a while, which is drawn
// log-uniformly.
type visits struct {
	draw              *rand.Rand
	shortest, longest float64 // of a visit, in seconds
	level, sd         float64 // of the state: its chance, and the noise of a trial
	noise             float64 // of this trial, in standard deviations
	chance            float64
	until             float64
}

func (m *visits) startTrial(at float64) {
	m.noise = m.draw.NormFloat64()
	m.moveTo(at)
	m.addNoise()
}

func (m *visits) chanceAt(at float64) float64 {
	if at >= m.until {
		m.moveTo(at)
		m.addNoise()
	}
	return m.chance
}

func (m *visits) addNoise() {
	m.chance = min(0.95, m.level*math.Exp(m.sd*m.noise-m.sd*m.sd/2))
}

// moveTo makes the visits until a time. The first one began before the run: of a visit
// that lasts longer, a run sees the middle more often.
func (m *visits) moveTo(at float64) {
	for m.until <= at {
		length := drawLogUniform(m.draw, m.shortest, m.longest)
		if m.until == 0 {
			for m.draw.Float64() > length/m.longest {
				length = drawLogUniform(m.draw, m.shortest, m.longest)
			}
			length *= m.draw.Float64()
		}
		m.until += length
		switch kind := m.draw.Float64(); {
		case kind < 0.15:
			m.level, m.sd = drawLogUniform(m.draw, 0.007, 0.15), 0.3
		case kind < 0.575:
			m.level, m.sd = 0.15+0.22*m.draw.Float64(), 0.15
		default:
			m.level, m.sd = drawLogUniform(m.draw, 0.001, 0.007), 0.3
		}
	}
}

// drift becomes slower in the course of a run.
type drift struct {
	draw  *rand.Rand
	noise float64
}

func (m *drift) startTrial(float64) { m.noise = drawNoise(m.draw, 0.05) }
func (m *drift) chanceAt(at float64) float64 {
	return (0.28 - 0.14*min(1, at/16)) * m.noise
}

// drawNoise returns a log-normal factor with a mean of 1.
func drawNoise(draw *rand.Rand, sd float64) float64 {
	return math.Exp(sd*draw.NormFloat64() - sd*sd/2)
}

func drawLogUniform(draw *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, draw.Float64())
}

func drawBeta(draw *rand.Rand, a, b float64) float64 {
	x, y := drawGamma(draw, a), drawGamma(draw, b)
	return x / (x + y)
}

// drawGamma returns a value of the gamma distribution with that shape, from 1 on
// (Marsaglia and Tsang, ACM Transactions on Mathematical Software 26, 2000).
func drawGamma(draw *rand.Rand, shape float64) float64 {
	d := shape - 1./3
	for {
		x := draw.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-draw.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// drawBinomial returns how many of n happen, each with that chance, by adding up the
// distribution. n is some hundreds at most.
func drawBinomial(draw *rand.Rand, n int, chance float64) (k int) {
	if chance > 0.5 {
		return n - drawBinomial(draw, n, 1-chance)
	}
	u := draw.Float64()
	if u < 1-float64(n)*chance {
		return 0 // without a logarithm, which most cases of a rare race are spared
	}
	term, odds := math.Exp(float64(n)*math.Log1p(-chance)), chance/(1-chance)
	for u >= term && k < n {
		u -= term
		term *= float64(n-k) / float64(k+1) * odds
		k++
	}
	return k
}
