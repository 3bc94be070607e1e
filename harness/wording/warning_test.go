package wording

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"snatlab/harness/result"
)

// sentences has a warning of every code with its sentence.
var sentences = []struct {
	warning result.Warning
	want    string
}{
	{result.Warning{Code: result.NoRaceOneClient},
		"not triggered: there is only one client, and it takes two to meet (clients: 2 or more)"},
	{result.Warning{Code: result.NoRaceSplitPorts},
		"not triggered: in plain each client has source ports of its own: no two ask NAT for the same one (leave client_ports out of the first arm)"},
	{result.Warning{Code: result.NoRaceDrawnPorts},
		"not triggered: the rule of plain draws source ports at random, which is a mitigation already (make an arm without it the first)"},
	{result.Warning{Code: result.NoRaceLeftOut},
		"not triggered: the rule of plain draws another port for the clients' ports 32768-34767, which are not in its range 49152-65535 (make an arm without to_ports the first)"},
	{result.Warning{Code: result.NoRaceOneCPU},
		"not triggered: the clients may run on one CPU only, where nothing happens at the same moment (give them two or more)"},
	{result.Warning{Code: result.NoRaceKernelPorts},
		"not triggered: the source ports were chosen by the kernel (pattern ephemeral), and since Linux 5.0 such ports rarely meet (the pattern lockstep shows whether the race can be hit at all)"},
	{result.Warning{Code: result.NoRaceClock},
		"not triggered: the clients kept step by the clock, which misses the race on a busy machine (sync: barrier does not)"},
	{result.Warning{Code: result.NoRaceMissedSlots, Share: 0.25},
		"not triggered: the clients missed 25.0 % of their slots in plain: they were out of step (leave the machine to them, or lower the rate)"},
	{result.Warning{Code: result.NoRaceFewRequests, Count: 16},
		"not triggered: 16 requests are few: a race that hits 0.1 % of them does not reach the floor of 20 (more requests, or more rounds)"},

	{result.Warning{Code: result.FewRounds, Count: 1},
		"1 round is few: the rate of one arm varies by a factor of 50 and more between trials of a machine that changes its speed"},
	{result.Warning{Code: result.FewRoundsToCompare, Count: 4, Least: 7},
		"4 rounds cannot show a difference of an arm that has no control, at p < 0.001: at least 7 are needed"},
	{result.Warning{Code: result.FewRoundsForInterval, Count: 8, Least: 12},
		"8 rounds are few for an arm that has no control, where each trial is one observation: 12 or more make the interval narrow enough to use"},
	{result.Warning{Code: result.FewRoundsToScatter, Count: 1, Least: 3},
		"1 round does not show how much trials differ from each other: the intervals rest on the counts (3 rounds or more)"},
	{result.Warning{Code: result.FewHits, Arm: "pool", Count: 412, Of: 1000},
		"pool: the run ended at its bound of rounds or time with 412 hits in its control; it was to go on for 1,000"},
	{result.Warning{Code: result.InstrumentFailed},
		"no verdict about an arm with a control: arm and control differ under the same rule; plain lost 1,300 of 6,000, its own control, which passes the same rule, 1,000 of 6,000: a ratio of 1.30 (99.9 % interval 1.13 to 1.50), and it must not lie entirely outside 0.9 to 1.1"},
	{result.Warning{Code: result.InstrumentDivided, Share: 1.3},
		"arm and control differ under the same rule, so the shares that remain are divided by that of the baseline: plain lost 1,300 of 6,000, its own control, which passes the same rule, 1,000 of 6,000: a ratio of 1.30 (99.9 % interval 1.13 to 1.50)"},
	{result.Warning{Code: result.BusyMachine},
		"the machine was busy: a load average of 2.50 on 2 CPUs before the run; clients that have to wait for a CPU do not meet, so an idle machine loses more and decides sooner, and latencies are too high"},
	{result.Warning{Code: result.NotWidened, Cause: "no such file or directory (does this kernel have nft_ct? CONFIG_NFT_CT)"},
		"the kernel cannot have the idle rules that widen the window of the race by default: no such file or directory (does this kernel have nft_ct? CONFIG_NFT_CT); fewer connections are lost, so the run takes longer to decide"},
	{result.Warning{Code: result.WidenedWindow},
		"5,000 idle rules between NAT and confirmation widen the window of the race: this is not the kernel's own window, and all failure rates depend on these rules"},
	{result.Warning{Code: result.NoSharedMemory, Cause: "no memfd"},
		"clients share no memory (no memfd): they keep step by the clock, which misses the race on a busy machine"},
	{result.Warning{Code: result.MachineChanged, Arm: "plain"},
		"plain: its trials lost from 0.20 % to 25.0 % of their requests: the machine changed its state during the run, and what remains under an arm without a control depends on when its trials ran"},
	{result.Warning{Code: result.BaselineRose, Arm: "plain", P: 0.004, Exact: true},
		"plain: the failure rate rose in the course of the run (Mann-Kendall, exact p = 0.004); interleaved arms drift together, which hides differences, and the share that remains depends on when trials ran"},
	{result.Warning{Code: result.BaselineFell, Arm: "plain", P: 0.004},
		"plain: the failure rate fell in the course of the run (Mann-Kendall, p = 0.004); interleaved arms drift together, which hides differences, and the share that remains depends on when trials ran"},
	{result.Warning{Code: result.PortsLeftOut, Arm: "plain"},
		"plain: to_ports 49152-65535 leaves out the clients' ports 32768-34767: NAT draws another port for those connections; clients whose ports lie in the range are not helped"},
	{result.Warning{Code: result.FewAddresses, Arm: "pool", Count: 1, Of: 8},
		"pool: all connections left from 198.19.0.1, one of its 8 addresses; the kernel picks one by a hash of the client's and the server's address, and the 2 clients got the same one, and meet there as with a single address (other addresses, or more clients, are distributed differently)"},
	{result.Warning{Code: result.DrawsLowPorts, Arm: "pool", Count: 562, Of: 1000},
		"pool: the rule draws source ports from 1024 up: 56.2 % of its connections came from outside 32768-60999, and a filter on the way to the server that lets only these ports in drops them (to_ports: 32768-60999 keeps to them)"},
	{result.Warning{Code: result.ExhaustedPorts, Arm: "pool", Count: 73},
		"pool: port exhaustion: NAT looked at 73 taken ports for each connection, on average, which makes connects slow"},
	{result.Warning{Code: result.ForeignTraffic, Arm: "pool", Count: 2, Of: 8, Failed: 4, Drops: 1},
		"pool: other traffic was in the conntrack table in 2 of 8 trials, and may account for 4 failed insertions and 1 drop"},
	{result.Warning{Code: result.UnexplainedFailures, Arm: "pool", Round: 3, Count: 4, Of: 32},
		"pool, round 3: 4 of 32 failures are unexplained"},
	{result.Warning{Code: result.ExcessInsertions, Arm: "pool", Round: 3, Count: 30, Of: 25},
		"pool, round 3: 30 failed insertions for 25 requests without an answer: other traffic is in the counters, and snat_race may be too high"},
	{result.Warning{Code: result.NoControl, Count: 1010, Of: 1000},
		"the trials have no control, which would show whether they could have lost a connection: the requests take 1,000 of the clients' 1,010 source ports (send fewer, or widen net.ipv4.ip_local_port_range of the clients)"},
	{result.Warning{Code: result.NoHits, Arm: "pool", Count: 1, Of: 8},
		"pool: 1 of 8 trials says nothing: neither the arm nor its control lost a connection to the race"},
	{result.Warning{Code: result.NoRaceControl, Count: 1, DelayHigh: 40_300},
		"not triggered: no trial's control, which is plain masquerade, was hit either: the clients' packets did not meet in NAT (the phase lock searched in 1 turn, with delays from 0 to 40.3 µs)"},
	{result.Warning{Code: result.Strangers, Arm: "pool", Round: 3, Count: 1},
		"pool, round 3: the server reset 1 connection from other addresses than the lab's"},
	{result.Warning{Code: result.FilteredPorts},
		"a filter before the server lets source ports 32768-65535 in alone, and dropped 700 of 6,000 requests of plain; these were not lost to the race"},
	{result.Warning{Code: result.LateAnswers, Arm: "pool", Round: 3, Count: 2},
		"pool, round 3: 2 answers came after the timeout of their request, or a second time; each request was counted once"},
	{result.Warning{Code: result.ForeignDatagrams, Arm: "pool", Round: 3, Count: 1},
		"pool, round 3: 1 datagram was neither a request of the lab nor its answer; none of them was answered or counted"},
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, tc := range sentences {
		t.Run(string(tc.warning.Code), func(t *testing.T) {
			r := &result.Result{
				Scenario:    result.ScenarioSummary{Clients: 2},
				Environment: result.Env{CPUsOnline: 2, Load: &[3]float64{2.5, 2, 2}, Widened: 5000, AcceptSourcePorts: &result.Ports{First: 32768, Last: 65535}},
				Arms: []result.Arm{
					{Name: "plain", FailureRate: result.Spread{Lowest: 0.002, Highest: 0.25}, Trials: []result.Trial{{Requests: 6000, Failed: 1300, Causes: map[string]int{result.SourceFiltered: 700}}}, ToPorts: &result.Ports{First: 49152, Last: 65535}, ClientPorts: &result.Ports{First: 32768, Last: 34767}},
					{Name: "pool", Sources: []result.Source{{Address: "198.19.0.1"}}},
				},
				Instrument: &result.Remaining{Failed: 1300, Requests: 6000, ControlFailed: 1000, ControlRequests: 6000, Estimate: new(1.3),
					DecisiveLow: 1.1301, DecisiveHigh: new(1.4967)},
				WarningValues: []result.Warning{tc.warning},
			}
			DescribeResult(r)
			if !slices.Equal(r.Warnings, []string{tc.want}) {
				t.Errorf("got  %s\nwant %s", r.Warnings, tc.want)
			}
			// A warning of another result may lack what its sentence is made of.
			DescribeResult(&result.Result{WarningValues: []result.Warning{tc.warning}})
		})
	}
}

// Where blocks of ports keep the clients of the first arm apart, the sentence names their key.
func TestWarningOfBlocks(t *testing.T) {
	t.Parallel()
	r := &result.Result{Arms: []result.Arm{{Name: "blocks", PortsPerClient: 16}}, WarningValues: []result.Warning{{Code: result.NoRaceSplitPorts}}}
	DescribeResult(r)
	want := "not triggered: in blocks each client has source ports of its own: no two get the same one from NAT (leave ports_per_client out of the first arm)"
	if !slices.Equal(r.Warnings, []string{want}) {
		t.Errorf("got  %s\nwant %s", r.Warnings, want)
	}
}

// Every code of package result has a sentence.
func TestWarningCodes(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../result/warning.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, s := range sentences {
			if s.warning.Code == result.WarningCode(text) {
				return true
			}
		}
		t.Errorf("%s has no sentence", text)
		return true
	})
	if n != len(sentences) {
		t.Errorf("%d codes, and %d sentences", n, len(sentences))
	}
}

// A warning of an earlier version, which has no code, keeps its sentence.
func TestWarningWithoutCode(t *testing.T) {
	t.Parallel()
	r := &result.Result{Warnings: []string{"the machine was odd"}, WarningValues: []result.Warning{{}, {Code: result.NoRaceOneCPU}}}
	DescribeResult(r)
	if len(r.Warnings) != 2 || r.Warnings[0] != "the machine was odd" {
		t.Errorf("got %q", r.Warnings)
	}
}
