// Package causes decides for each failed request of a trial why it failed, from what the
// clients saw and what the kernel counted. It also refuses trials that show nothing.
package causes

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Circumstances are the facts, apart from the trial's figures, that distinguish the
// causes.
type Circumstances struct {
	// Pools are the source ports that NAT could choose from. If there are several,
	// result.Trial.RangePackets holds the number of connections of each.
	Pools []Pool
	Max   uint64 // entries that the conntrack table holds; 0: no limit, or unknown
	// Evicts is set if a connection that finds no free port gets that of a closed
	// one (Linux 6.5).
	Evicts bool
	// Gone is the number of unanswered requests of the arm and of the control that have
	// no entry in the table; zero if it was not looked up.
	Gone struct{ Arm, Control int }
}

// Pool is a number of source ports that connections share.
type Pool struct {
	Ports  int // of all connections of the pool
	Choice int // of these, those that NAT has to choose from for one connection
}

// Find sets how many failed requests of a trial, and of its control, each cause
// explains. An error that the client saw itself needs no more evidence. Requests that
// got no answer are attributed to drops that the kernel counted, and to no more of them
// than it counted. The rest is unexplained.
//
// The kernel's counters do not know a port, so they cannot say whether a connection of
// the arm was dropped or one of the control. They are held against the unanswered
// requests of both, and each has its share of every cause, by the number of its own.
// Where the counters explain all of them by the race alone, nothing is guessed. Where
// they do not, the race has its share by the requests without an entry: those with one
// passed NAT.
func Find(t *result.Trial, c Circumstances) {
	t.Causes = seenCauses(t.Failures)
	addCause(t.Causes, result.SourceFiltered, countFiltered(t.Failures, t.Filtered))
	if t.Control != nil {
		t.Control.Causes = seenCauses(t.Control.Failures)
		addCause(t.Control.Causes, result.SourceFiltered, countFiltered(t.Control.Failures, t.Control.Filtered))
	}
	own, all := unfiltered(t)
	if c.isTableFull(t) {
		full, of := countUnmatched(t)
		addCause(t.Causes, result.TableFull, full)
		if t.Control != nil {
			addCause(t.Control.Causes, result.TableFull, of-full)
		}
		own, all = own-full, all-of
		c.Gone.Arm, c.Gone.Control = max(0, c.Gone.Arm-full), max(0, c.Gone.Control-(of-full)) // they have no entry either
	}
	explained := explainTimeouts(t, c, own, all)
	for i, n := range shareOut(explained, own, all, c) {
		addCause(t.Causes, explained[i].cause, n)
		if t.Control != nil {
			addCause(t.Control.Causes, explained[i].cause, explained[i].requests-n)
		}
	}
}

// countFiltered returns the unanswered requests that the filter before the server dropped.
// It counts arm and control apart, and each of its drops is one request: a datagram is sent
// once, and a SYN is not sent again within the timeout.
func countFiltered(failures map[string]int, dropped *uint64) int {
	return int(min(uint64(failures[result.Timeout]), counterOrZero(dropped)))
}

// unfiltered returns the unanswered requests of the arm, and those of the arm and its
// control, that the filter before the server did not drop.
func unfiltered(t *result.Trial) (own, all int) {
	own = t.Failures[result.Timeout] - countFiltered(t.Failures, t.Filtered)
	all = own
	if c := t.Control; c != nil {
		all += c.Failures[result.Timeout] - countFiltered(c.Failures, c.Filtered)
	}
	return own, all
}

// isTableFull reports whether the table had hardly any room left when a trial ended.
func (c Circumstances) isTableFull(t *result.Trial) bool {
	return c.Max > 0 && t.Conntrack.Entries >= c.Max-c.Max/10
}

// countUnmatched returns the unanswered requests of the arm, and those of the arm and its
// control, that were dropped before they came to their rule, as packets are that find the
// table full. The rules count arm and control apart. Where other traffic passes a rule,
// they show fewer, and the rest is shared out by number.
func countUnmatched(t *result.Trial) (own, all int) {
	drops := saturatingSub(otherDrops(t.Conntrack), saturatingSub(foreignCounts(t).Drop, foreignCounts(t).InsertFailed))
	left, both := unfiltered(t)
	own = int(min(uint64(left), saturatingSub(countSent(t.Requests, t.SourcePorts, t.Failures), t.RulePackets), drops))
	all = own
	if c := t.Control; c != nil {
		all += int(min(uint64(both-left), saturatingSub(countSent(c.Requests, c.SourcePorts, c.Failures), c.RulePackets), drops-uint64(own)))
	}
	return own, all
}

// seenCauses are the causes that clients saw themselves.
func seenCauses(failures map[string]int) map[string]int {
	found := map[string]int{result.Unexplained: failures[result.Other]}
	addCause(found, result.CauseRefused, failures[result.Refused])
	addCause(found, result.CauseReset, failures[result.Reset])
	addCause(found, result.ClientPorts, failures[result.EADDRNOTAVAIL]+failures[result.EADDRINUSE])
	return found
}

// addCause adds requests to a cause. Of a cause without any there is no entry.
func addCause(to map[string]int, cause string, requests int) {
	if requests > 0 {
		to[cause] += requests
	}
}

// explanation is how many unanswered requests a cause explains.
type explanation struct {
	cause    string
	requests int
}

// explainTimeouts explains so many unanswered requests, of which so many are the arm's own,
// by what the kernel counted. The first explanation is the exhaustion of ports, and the last is that there is none.
func explainTimeouts(t *result.Trial, c Circumstances, own, left int) (all []explanation) {
	take := func(cause string, counted uint64) {
		n := int(min(uint64(left), counted))
		left -= n
		all = append(all, explanation{cause, n})
	}
	other := foreignCounts(t)
	hits := CountInsertions(t.Conntrack)
	lab := saturatingSub(hits, other.InsertFailed)
	exhausted := min(lab, countExhausted(t, c), uint64(own))
	take(result.PortExhaustion, exhausted)
	take(result.SNATRace, lab-exhausted)
	take(result.ChainTooLong, counterOrZero(t.Conntrack.ChainTooLong))
	drops, foreignDrops := otherDrops(t.Conntrack), saturatingSub(other.Drop, other.InsertFailed)
	if c.isTableFull(t) {
		_, known := countUnmatched(t)
		take(result.TableFull, saturatingSub(saturatingSub(drops, foreignDrops), uint64(known)))
	}
	take(result.ListenOverflow, countOverflows(t.Server))
	take(result.ReceiveQueue, counterOrZero(t.Server.ReceiveDrops))
	take(result.TimeWait, counterOrZero(t.Server.PAWSTimewait))
	take(result.CauseForeign, min(other.InsertFailed, hits)+min(foreignDrops, drops))
	take(result.Unexplained, uint64(left))
	return all
}

// shareOut returns the arm's part of each explanation, if so many of all requests are
// its own: in proportion, rounded so that the parts add up to its own. Exhausted ports
// are the arm's alone: the rule of the control has the ports of a whole address.
func shareOut(explained []explanation, own, all int, c Circumstances) []int {
	parts := make([]int, len(explained))
	parts[0] = explained[0].requests
	own, all = own-parts[0], all-parts[0]
	first := 1
	if arm, both := c.Gone.Arm-parts[0], c.Gone.Arm-parts[0]+c.Gone.Control; arm >= 0 && both > 0 {
		race := explained[1].requests
		parts[1] = min(max((race*arm+both/2)/both, race-(all-own)), own)
		own, all, first = own-parts[1], all-race, 2
	}
	if own <= 0 {
		return parts
	}
	rest := own
	for i := first; i < len(explained); i++ {
		parts[i] = explained[i].requests * own / all
		rest -= parts[i]
	}
	// The parts that lost most by rounding down get one more, the race first.
	order := make([]int, len(parts)-first)
	for i := range order {
		order[i] = i + first
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return explained[b].requests*own%all - explained[a].requests*own%all
	})
	for _, i := range order[:rest] {
		parts[i]++
	}
	return parts
}

// IsGuess reports whether the causes of a trial and of its control were shared out by
// number although they are not the same one: both have unanswered requests, and the
// race explains a part of them.
func IsGuess(t *result.Trial, c Circumstances) bool {
	if t.Control == nil {
		return false
	}
	own, all := unfiltered(t)
	if c.isTableFull(t) {
		full, of := countUnmatched(t)
		own, all = own-full, all-of
	}
	race := t.Causes[result.SNATRace] + t.Control.Causes[result.SNATRace]
	return own > 0 && all > own && race > 0 && race < all
}

// ArmInsertions are the failed insertions, at most, that are the arm's and not its
// control's.
func ArmInsertions(t *result.Trial) uint64 {
	if t.Control == nil {
		return CountInsertions(t.Conntrack)
	}
	return uint64(t.Causes[result.SNATRace] + t.Causes[result.PortExhaustion])
}

// countOverflows returns the number of SYNs that the server dropped for a full queue. The last ACK
// of a handshake is dropped for the same reason, and counted with them, but its
// client has had an answer, and its reset ends the half-open connection.
func countOverflows(s result.Server) uint64 {
	return saturatingSub(max(counterOrZero(s.ListenOverflows), counterOrZero(s.ListenDrops)), counterOrZero(s.EmbryonicRsts))
}

// saturatingSub returns a - b, but not less than 0.
func saturatingSub(a, b uint64) uint64 { return a - min(a, b) }

// foreignCounts returns what other traffic may have added to the counters.
func foreignCounts(t *result.Trial) result.Foreign {
	if t.Foreign == nil {
		return result.Foreign{}
	}
	return *t.Foreign
}

// CountInsertions returns the number of entries that could not be inserted because
// their tuple was taken.
func CountInsertions(c result.Conntrack) uint64 {
	return saturatingSub(c.InsertFailed, counterOrZero(c.ChainTooLong))
}

// PortPools returns the source ports that an arm leaves NAT to choose from, for so many
// clients and one destination. A client has one of the addresses that the arm translates to,
// and one connection has the ports of one range.
func PortPools(arm scenario.Arm, clients int) (pools []Pool) {
	if n := arm.SNAT.PortsPerClient; n > 0 {
		return []Pool{{Ports: n * clients, Choice: n}}
	}
	addresses := max(1, len(arm.SNAT.ToSource))
	if all := arm.SNAT.ToPorts; len(all) > 1 {
		for _, r := range all {
			pools = append(pools, Pool{Ports: r.Len() * addresses, Choice: r.Len()})
		}
		return pools
	}
	ports := scenario.NATPorts
	if r := arm.UsedPorts(clients); r != (scenario.PortRange{}) {
		ports = r.Len()
	}
	return []Pool{{Ports: ports * addresses, Choice: ports}}
}

// countExhausted returns the number of connections, at most, that found no free
// port. These connections exceed the number of ports of their range. With blocks this holds
// as well: each client sends as many requests and has as many ports. For each of them NAT
// looked at as many ports as it tries, and found them taken. It tries all ports of a
// small range, or 128, and then half as many as before as long as they are 16 or more
// (nf_nat_l4proto_unique_tuple in net/netfilter/nf_nat_core.c). It uses the last one
// although it is taken, and the entry cannot be inserted.
//
// Where closed entries are evicted, a connection finds a port however few there are,
// unless connections that are open have nearly all of them. Other failures are then
// pairs of connections that were given the same port at the same moment.
func countExhausted(t *result.Trial, c Circumstances) (sum uint64) {
	found := t.Conntrack.Found
	for i, pool := range c.Pools {
		requests, open := t.Requests, t.MostOpen
		if len(c.Pools) > 1 {
			if len(t.RangePackets) != len(c.Pools) || t.RulePackets == 0 {
				return 0
			}
			// Connections of all ranges are open for equally long.
			requests = int(t.RangePackets[i])
			open = int(uint64(open) * t.RangePackets[i] / t.RulePackets)
		}
		beyond := uint64(max(0, requests-pool.Ports))
		if c.Evicts && open < pool.Ports-pool.Ports/10 {
			continue
		}
		if looks := countLooks(pool, c.Evicts); looks > 0 {
			beyond = min(beyond, found/looks)
			found -= beyond * looks
		}
		sum += beyond
	}
	return sum
}

// countLooks returns how many of the ports that NAT looks at for a connection are counted
// in found, if all of them are taken. Where closed entries are evicted, the last ones of
// each round are looked up in a way that counts nothing: those of a small range are never
// counted.
func countLooks(pool Pool, evicts bool) (looks uint64) {
	uncounted := 0
	if evicts {
		uncounted = 32 // NF_NAT_HARDER_THRESH
	}
	first := min(pool.Choice, 128)
	for round := first; round >= 8 || round == first; round /= 2 {
		looks += uint64(max(0, round-uncounted))
		if pool.Choice <= 128 {
			break
		}
	}
	return looks
}

// EvictsClosedEntries reports whether closed entries of a kernel are evicted for
// connections that find no free port. Vendors may have backported this to older
// releases. Their failures are then reported as races, which they are.
func EvictsClosedEntries(release string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return n == 2 && (major > 6 || major == 6 && minor >= 5)
}

// otherDrops returns the number of packets that conntrack dropped other than at
// insertion: there was no room for an entry. Chains that are too long count as
// failed insertions, but not as drops.
func otherDrops(c result.Conntrack) uint64 {
	return saturatingSub(c.Drop, CountInsertions(c))
}

// counterOrZero returns a counter, or 0 for one that the kernel does not have.
func counterOrZero(counter *uint64) uint64 {
	if counter == nil {
		return 0
	}
	return *counter
}

// Check returns an error for a trial that shows nothing: no request arrived, or
// the connections did not pass their rule, which is one for the arm and one for the
// control.
func Check(t *result.Trial, rule, controlRule string) error {
	if t.Failed == t.Requests {
		return fmt.Errorf("none of %s succeeded: %v", format.Plural(t.Requests, "request", "requests"), t.Failures)
	}
	drops := otherDrops(t.Conntrack)
	if sent := countSent(t.Requests, t.SourcePorts, t.Failures); t.RulePackets+drops < sent {
		return &MissedError{rule: fmt.Sprintf("the rule %q", rule), Matched: t.RulePackets, Sent: sent}
	}
	c := t.Control
	if c == nil {
		return nil
	}
	if c.Failed == c.Requests && c.Requests > 0 {
		return fmt.Errorf("none of %s of the control succeeded: %v", format.Plural(c.Requests, "request", "requests"), c.Failures)
	}
	if sent := countSent(c.Requests, c.SourcePorts, c.Failures); c.RulePackets+drops < sent {
		return &MissedError{rule: fmt.Sprintf("the rule of the control, %q,", controlRule), Matched: c.RulePackets, Sent: sent}
	}
	return nil
}

// countSent is the number of connections, at least, that a rule must have matched or
// that were dropped before it. Requests that failed in the client sent nothing.
// Packets that conntrack dropped other than at insertion did not come as far as the
// rule. And one from a port whose last connection got no answer is no new connection:
// its entry is there still.
func countSent(requests, ports int, failures map[string]int) uint64 {
	sent := requests - failures[result.EADDRNOTAVAIL] - failures[result.EADDRINUSE] - failures[result.Other]
	return uint64(min(sent, ports))
}

// MissedError is the error of a trial in which a rule did not see all connections.
type MissedError struct {
	rule          string
	Matched, Sent uint64
}

func (e *MissedError) Error() string {
	return fmt.Sprintf("%s matched %d of %s", e.rule, e.Matched, format.Plural(int(e.Sent), "connection", "connections"))
}
