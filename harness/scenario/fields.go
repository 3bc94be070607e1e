package scenario

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
	"snatlab/harness/scenario/percent"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/scenario/sysctl"
)

// The tables of a scenario's fields: one for each mapping, in the order of the
// struct's fields. Keys, bounds and what each key is for are defined only here.
// Reading, the messages about allowed values, the canonical form, the JSON Schema and
// `snatlab explain` use these tables. The rules between fields are in check.go.

// allDrivers are the drivers that a scenario may name.
var allDrivers = []string{result.DriverDocker, result.DriverNetns, result.DriverKubernetes}

// namePattern matches the name of a scenario and of an arm. Both become parts of file
// names.
var namePattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`),
	Words: "at most 63 lower-case letters, digits, dots and dashes, the first a letter or a digit",
	Start: regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*`),
}

// networkPattern matches most of the names that Docker accepts for a network.
var networkPattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`),
	Words: "the name of a Docker network, like bridge",
	Start: regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*`),
}

func scenarioFields(s *Scenario) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "name", Value: strictyaml.String{Into: &s.Name, Pattern: namePattern}, Required: true,
			Doc: "The name of the experiment. Results are grouped by it."},
		{Key: "driver", Value: strictyaml.Choice{Into: &s.Driver, Of: allDrivers},
			Doc: "How the lab is built. netns: network namespaces, without root, and nothing on the host is changed. docker: containers on this machine's engine, Docker or Podman, behind the rules that it wrote; needs root. kubernetes: Pods on one node of a cluster, behind the rules of that node. --driver replaces it."},
		{Key: "nat", Value: strictyaml.Choice{Into: &s.NAT, Of: []string{result.NATIPTables, result.NATNFTables}},
			Doc:     "What writes the masquerade rule. With driver docker only iptables: the rule is the one that Docker wrote. Driver kubernetes finds the rules, whoever wrote them.",
			Default: result.NATIPTables + "; " + result.NATNFTables + " with driver " + result.DriverNetns},
		{Key: "clients", Value: strictyaml.Integer[int]{Into: &s.Clients, Bounds: strictyaml.SpanOf(1, MaxClients)},
			Doc: "The number of clients."},
		{Key: "network", Value: strictyaml.String{Into: &s.Network, Pattern: networkPattern},
			Doc:     "Driver docker only: an existing Docker network for the clients. The rule under test is then the one that its other containers use; allowed with lab.allow_shared_network.",
			Default: "a network of the lab"},
		{Key: "server", Value: strictyaml.Mapping{Fields: serverFields(&s.Server), OneOf: serverKeys},
			Doc:     "A server on another machine, or a filter before the lab's own.",
			Default: "a server in the lab; with driver " + result.DriverKubernetes + " on another node"},
		{Key: "dnat", Value: strictyaml.Mapping{Fields: dnatFields(&s.DNAT), Flow: true},
			Doc:     "The clients connect to a service address, which no machine has. The router translates it to one of several backends, as kube-proxy does it for a Service, and then translates their source as always. With driver kubernetes, it is the ClusterIP of a Service of the run, with one backend.",
			Default: "the clients connect to the server itself"},
		{Key: "kubernetes", Value: strictyaml.Mapping{Fields: kubernetesFields(&s.Kubernetes), Flow: true},
			Doc: "Driver kubernetes only: the Pods."},
		{Key: "lab", Value: strictyaml.Mapping{Fields: labFields(s), Flow: true},
			Doc: "Changes of the lab itself."},
		{Key: "load", Value: strictyaml.Mapping{Fields: loadFields(&s.Load)},
			Doc: "What every client sends in every trial."},
		{Key: "rounds", Value: strictyaml.Integer[int]{Into: &s.Rounds, Bounds: strictyaml.SpanOf(1, MaxRounds)},
			Doc:     "How often each arm is run, at least. With pattern lockstep the run goes on until a bound of until is reached; with ephemeral the number is exact. --rounds fixes it.",
			Default: fmt.Sprintf("%d, or %d where arms are compared by trials", DefaultRounds, UncontrolledRounds)},
		{Key: "until", Value: strictyaml.Mapping{Fields: untilFields(&s.Until), Flow: true},
			Doc: "Pattern lockstep only: what ends a run after its least number of rounds. It is the bound that is reached first."},
		{Key: "seed", Value: seedValue{&s.Seed},
			Doc:     "The number that the order of the arms is drawn from, which slots are the control's, and which port of the server it has. Set it to have the same draws again.",
			Default: "drawn for each run"},
		{Key: "arms", Value: strictyaml.Sequence[Arm]{Into: &s.Arms, Length: strictyaml.SpanOf(1, MaxArms), Entry: armValue}, Required: true,
			Doc: "The conditions under comparison. The first is the baseline."},
		{Key: "expect", Value: strictyaml.Sequence[Expect]{Into: &s.Expect, Length: strictyaml.SpanOf(0, 3*MaxArms), Entry: expectValue},
			Doc: "What the run is to show. Each entry names an arm and makes one claim. A claim that is refuted fails the run."},
	}
}

// serverKeys are the keys of a server, which exclude each other: nothing is changed on
// another machine.
var serverKeys = []string{"address", "accept_source_ports"}

func serverFields(s *ServerSettings) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "address", Value: network.Peer{Into: &s.Address},
			Doc:     "Drivers docker and kubernetes only: the address of snatlab serve on another machine. The clients connect to the ports after the given one.",
			Default: "a server of the lab's own"},
		{Key: "accept_source_ports", Value: portRangeValue{into: &s.AcceptSourcePorts, bounds: strictyaml.SpanOf(1, 65535)},
			Doc:     "Drivers docker and netns only: the lab's server drops requests from any other source port, as a filter on the way to it would. They are counted, and have the cause source_port_filtered. The range holds the clients' own ports, which the control keeps.",
			Default: "all ports"},
	}
}

func dnatFields(d *DNATSettings) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "backends", Value: strictyaml.OptionalInteger{Integer: strictyaml.Integer[int]{Into: &d.Backends, Bounds: strictyaml.SpanOf(1, MaxBackends)}}, Required: true,
			Doc: "The number of backends, each an address of the lab's server. Which of them a connection reaches is drawn, with equal chances. Only connections to the same backend can collide: one pair in so many."},
	}
}

// imagePattern matches the names of images in a registry.
var imagePattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,254}$`),
	Words: "the name of an image, like registry.example/snatlab:1.0",
	Start: regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*`),
}

// pullPolicies are the ways in which a node gets an image (imagePullPolicy).
var pullPolicies = []string{"IfNotPresent", "Always", "Never"}

func kubernetesFields(k *KubernetesSettings) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "image", Value: strictyaml.String{Into: &k.Image, Pattern: imagePattern},
			Doc:     "The image of the Pods, which must be of this version of snatlab: snatlab image writes it. --image replaces it.",
			Default: "that of the program that runs, as snatlab image names it"},
		{Key: "pull_policy", Value: strictyaml.Choice{Into: &k.PullPolicy, Of: pullPolicies},
			Doc:     "When nodes pull the image.",
			Default: pullPolicies[0]},
	}
}

func labFields(s *Scenario) []strictyaml.Field {
	l := &s.Lab
	return []strictyaml.Field{
		{Key: "family", Value: strictyaml.Choice{Into: &l.Family, Of: []string{result.IPv4, result.IPv6}},
			Doc:     "Drivers netns and docker only: the family of the lab's addresses, and of the rules that translate them. With ipv6 they are out of " + network.LabsIPv6.String() + ".",
			Default: result.IPv4},
		{Key: "postrouting_rules", Value: idleRulesValue(s),
			Doc:     "The number of idle nftables rules between NAT and the insertion of the conntrack entry. They compare and change nothing, and widen the window of the race. 0 is the kernel's own window.",
			Default: fmt.Sprintf("%d with pattern %s and without network, else 0", lockstepRules, result.Lockstep)},
		{Key: "allow_host_sysctls", Value: strictyaml.Boolean{Into: &l.AllowHostSysctls},
			Doc: "Driver docker only: allows arms to set sysctls of the router, which is the host."},
		{Key: "allow_shared_network", Value: strictyaml.Boolean{Into: &l.AllowSharedNetwork},
			Doc: "Driver docker only: allows the clients to be on a network that others use (network)."},
		{Key: "conntrack_max", Value: strictyaml.OptionalInteger{Integer: strictyaml.Integer[int]{Into: &l.ConntrackMax, Bounds: strictyaml.SpanOf(64, 262_144)}},
			Doc:     "Guests of snatlab matrix only: the most entries of the conntrack table, which is that of the whole machine. Connections beyond it are dropped, with the cause table_full.",
			Default: "the machine's own, with room for every trial"},
	}
}

// idleRulesValue is the number of idle rules. Where the default is 0, it is not written.
func idleRulesValue(s *Scenario) strictyaml.Value {
	rules := strictyaml.Integer[int]{Into: &s.Lab.PostroutingRules, Bounds: strictyaml.SpanOf(0, MaxPostroutingRules)}
	if s.DefaultRules() == 0 {
		return strictyaml.OptionalInteger{Integer: rules}
	}
	return rules
}

func loadFields(l *LoadSettings) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "protocol", Value: strictyaml.Choice{Into: &l.Protocol, Of: []string{result.TCP, result.UDP}},
			Doc: "The protocol of the requests. tcp: a request is a handshake. udp: a request is a datagram, which the server returns; it is sent once."},
		{Key: "pattern", Value: strictyaml.Choice{Into: &l.Pattern, Of: []string{result.Lockstep, result.Ephemeral, result.DNS}},
			Doc: "How clients choose source port and moment. lockstep: all clients connect from the same source port at the same moment, which shows whether the race can be hit. ephemeral: the kernel chooses the ports, which shows whether everyday traffic hits it. dns: lockstep, where a request is the look-up of a name, with a query for A and one for AAAA over UDP from one socket."},
		{Key: "requests", Value: strictyaml.Integer[int]{Into: &l.Requests, Bounds: strictyaml.SpanOf(1, maxRequests)},
			Doc: fmt.Sprintf("Requests of each client in each trial. All clients together send at most %d, and with lockstep no more than fit into the clients' source ports.", MaxTrial)},
		{Key: "rate", Value: rateValue{&l.Rate, strictyaml.SpanOf(1, 100_000)},
			Doc: "With lockstep slots per second, with ephemeral requests per second and client. max is no limit."},
		{Key: "timeout", Value: strictyaml.Duration{Into: &l.Timeout, Min: 10 * time.Millisecond, Max: 900 * time.Millisecond,
			Why: "below the 1 s after which the kernel sends a SYN again"},
			Doc: "The time after which a request has failed. It is below the second after which TCP sends a SYN again, so that one lost SYN is one failed request. A datagram is never sent again."},
		{Key: "sync", Value: strictyaml.Choice{Into: &l.Sync, Of: []string{result.SyncBarrier, result.SyncClock}},
			Doc:     "Pattern lockstep only: how clients fire together. barrier: they meet in shared memory. clock: they fire by CLOCK_MONOTONIC.",
			Default: DefaultSync},
		{Key: "threads", Value: strictyaml.OptionalInteger{Integer: strictyaml.Integer[int]{Into: &l.Threads, Bounds: strictyaml.SpanOf(1, 2)}},
			Doc:     "Pattern dns only: threads of a client that send the two queries of a look-up. 1: one after the other, by one system call. 2: at the same moment on two CPUs, so that they clash with each other, and half as many clients look up at once.",
			Default: "1"},
		{Key: "concurrency", Value: strictyaml.Integer[int]{Into: &l.Concurrency, Bounds: strictyaml.SpanOf(1, 4096)},
			Doc:     "Pattern ephemeral only: open requests of a client at a time.",
			Default: strconv.Itoa(DefaultConcurrency)},
		{Key: "hold", Value: strictyaml.Duration{Into: &l.Hold, Min: time.Millisecond, Max: time.Minute,
			Why: "connections that are open still at the end of a trial are reset"},
			Doc:     "Protocol tcp only: how long a connection stays open after its handshake. While it is open, NAT cannot give its port to another connection to the same destination.",
			Default: "it is closed at once"},
		{Key: "close", Value: strictyaml.Choice{Into: &l.Close, Of: []string{result.CloseReset, result.CloseFIN, result.CloseFINServer}},
			Doc:     "Protocol tcp only: who closes a connection, and how. reset: the client, by RST, so that no socket is left. fin: the client closes first, by FIN, and has the connection in TIME_WAIT afterwards. fin-server: the server closes first, and has it in TIME_WAIT. In both cases NAT has it in TIME_WAIT as well, for 120 s. fin and fin-server belong to pattern ephemeral.",
			Default: result.CloseReset},
	}
}

func untilFields(u *Until) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "hits", Value: strictyaml.Integer[int]{Into: &u.Hits, Bounds: strictyaml.SpanOf(1, maxHits)},
			Doc:     "Requests that the control lost in the trials of each arm. They decide how much a run can say: 764 are needed to say that 99 % of the failures are gone.",
			Default: strconv.Itoa(DefaultHits)},
		{Key: "rounds_max", Value: strictyaml.Integer[int]{Into: &u.RoundsMax, Bounds: strictyaml.SpanOf(1, MaxRounds)},
			Doc:     "The most rounds of a run. If it is equal to rounds, their number is exact.",
			Default: fmt.Sprintf("%d, or rounds if that is more", DefaultRoundsMax)},
		{Key: "time_max", Value: strictyaml.Duration{Into: &u.TimeMax, Min: time.Second, Max: 24 * time.Hour,
			Why: "the least number of rounds is made whatever it takes"},
			Doc:     "No round is begun that would end later than this after the first one began.",
			Default: "5m"},
	}
}

func armValue(a *Arm) strictyaml.Value {
	return strictyaml.Mapping{Fields: armFields(a), Apart: apartInArm}
}

func expectValue(e *Expect) strictyaml.Value {
	return strictyaml.Mapping{Fields: expectFields(e), Flow: true, OneOf: claimKeys}
}

// apartInArm are the keys of an arm that exclude each other.
var apartInArm = [][2]string{{"masquerade", "snat"}, {"client_ports", "client_port_range"}}

// claimKeys are the keys of the claims that an expectation may make.
var claimKeys = []string{"race", "reduction", "p50", "p99", "unexplained", "filtered", result.PortExhaustion, result.TableFull}

func armFields(a *Arm) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "name", Value: strictyaml.String{Into: &a.Name, Pattern: namePattern}, Required: true,
			Doc: "The name of the arm. An arm with nothing else leaves the masquerade rule as the driver made it."},
		{Key: "masquerade", Value: strictyaml.Mapping{Fields: masqueradeFields(&a.Masquerade), Flow: true},
			Doc: "Options of the masquerade rule."},
		{Key: "snat", Value: strictyaml.Mapping{Fields: snatFields(&a.SNAT), Flow: true},
			Doc: "Translates to given addresses, instead of the masquerade rule. It stops the race only between clients that get different addresses."},
		{Key: "client_ports", Value: strictyaml.Choice{Into: &a.ClientPorts, Of: []string{result.SplitPorts}},
			Doc:     "Pattern lockstep only: each client has source ports of its own, which stops the race.",
			Default: "all clients use the same ports"},
		{Key: "client_port_range", Value: portRangeValue{into: &a.ClientPortRange, bounds: strictyaml.SpanOf(1024, 65535)},
			Doc:     "Pattern ephemeral only: " + localPortRange + " of the clients. A narrow range makes the race more likely.",
			Default: "that of the kernel, " + DefaultPorts.String()},
		{Key: "resolver", Value: strictyaml.Choice{Into: &a.Resolver, Of: resolvers},
			Doc:     "Pattern dns only: how the clients send the two queries of a look-up, by the options of resolv.conf(5). single-request: AAAA when A was answered. single-request-reopen: likewise, from a new socket. use-vc: both over one TCP connection. Not of the first arm, which is what others are compared with.",
			Default: "both at once, from one socket"},
		{Key: "notrack", Value: strictyaml.Boolean{Into: &a.NoTrack},
			Doc: "Pattern dns and driver netns only: the router does not track the packets of the arm, as the rules of a DNS cache on each node have it (NOTRACK in the table raw). They are not translated either, so it is possible only where the server has a route to the clients. Without other options of a rule."},
		{Key: "sysctls", Value: strictyaml.Mapping{Fields: sysctlsFields(&a.Sysctls)},
			Doc: "Sysctls that are set during the trials of the arm. Such an arm is compared by trials if the baseline does not set the same ones."},
	}
}

func masqueradeFields(m *MasqueradeOptions) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "plain", Value: strictyaml.Boolean{Into: &m.Plain},
			Doc: "Connections pass a rule that draws no source ports. It is for nodes whose own rule has --random-fully already: there the arm without options is that rule as it is, and this one takes the option away."},
		{Key: "random", Value: strictyaml.Boolean{Into: &m.Random},
			Doc: "NAT draws the source port. Since Linux 5.0 it is the same as random_fully."},
		{Key: "random_fully", Value: strictyaml.Boolean{Into: &m.RandomFully},
			Doc: "NAT draws the source port fully at random, which stops the race."},
		{Key: "removes", Value: percent.Share{Into: (*float64)(&m.Removes)},
			Doc:     "With random_fully, two clients and pattern lockstep: the rule draws the ports of a part of the connections only, so that this share of the collisions is gone. It is for tests of snatlab.",
			Default: "the rule draws every port"},
		{Key: "to_ports", Value: natPorts(&m.ToPorts),
			Doc:     "NAT uses a range of ports. A client's own port is kept if it is in the range, so this does not stop the race.",
			Default: "all ports"},
	}
}

func snatFields(s *SNATOptions) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "to_source", Value: strictyaml.Sequence[netip.Addr]{Into: &s.ToSource, Length: strictyaml.SpanOf(1, 64), Entry: func(a *netip.Addr) strictyaml.Value { return network.Source{Into: a} }}, Required: true,
			Doc: "Consecutive addresses out of " + network.LabsIPv4.String() + ", or with family ipv6 out of " + network.LabsIPv6.String() + ". The router gets them for the trial."},
		{Key: "random", Value: strictyaml.Boolean{Into: &s.Random},
			Doc: "NAT draws the source port as well. Since Linux 5.0 it is the same as random_fully."},
		{Key: "random_fully", Value: strictyaml.Boolean{Into: &s.RandomFully},
			Doc: "NAT draws the source port fully at random as well, which stops the race."},
		{Key: "persistent", Value: strictyaml.Boolean{Into: &s.Persistent},
			Doc: "With several addresses, a client gets the same one for every destination."},
		{Key: "to_ports", Value: portRangesValue{&s.ToPorts},
			Doc:     "NAT uses a range of ports of each address, or one of several, as [A-B, C-D]: of each connection it is drawn which, by their lengths. A client's own port is kept if it is in the range.",
			Default: "all ports"},
		{Key: "ports_per_client", Value: strictyaml.Integer[int]{Into: &s.PortsPerClient, Bounds: strictyaml.SpanOf(1, NATPorts)},
			Doc:     "Each client has a block of so many ports of each address, by a rule of its own, as carriers share an address among customers. The blocks follow each other from the first port of to_ports on. It stops the race between clients.",
			Default: "clients share the ports"},
	}
}

func sysctlsFields(s *Sysctls) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "router", Value: sysctl.List{Into: &s.Router},
			Doc: "Sysctls of the router. With driver docker that is the host, and lab.allow_host_sysctls is needed."},
		{Key: "server", Value: sysctl.List{Into: &s.Server},
			Doc: "Sysctls of the server's network namespace."},
		{Key: "clients", Value: sysctl.List{Into: &s.Clients},
			Doc: "Sysctls of the network namespace of each client."},
	}
}

// A bound of 10, which is 1000 %, allows eleven times the baseline's latency.
func expectFields(e *Expect) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "arm", Value: strictyaml.String{Into: &e.Arm, Pattern: strictyaml.Pattern{Words: "the name of an arm"}}, Required: true,
			Doc: "The arm that the claim is about."},
		{Key: "race", Value: strictyaml.Choice{Into: &e.Race, Of: []string{result.Reproduced, result.Absent}},
			Doc: "absent: at most 1 % of what the arm's control lost to the race remains. reproduced: more than that remains."},
		{Key: "reduction", Value: percent.Bound{Into: &e.Reduction, Sign: ">=", Most: 1},
			Doc: "At least this share of the failures is gone, compared with the arm's control."},
		{Key: "p50", Value: percent.Bound{Into: &e.P50, Sign: "<=", Most: 10},
			Doc: "The median latency is higher than the baseline's by at most this share."},
		{Key: "p99", Value: percent.Bound{Into: &e.P99, Sign: "<=", Most: 10},
			Doc: "The 99th percentile of the latency is higher than the baseline's by at most this share."},
		{Key: "unexplained", Value: percent.Bound{Into: &e.Unexplained, Sign: "<=", Most: 1},
			Doc: "At most this share of the arm's requests failed for an unknown reason."},
		{Key: "filtered", Value: percent.Bound{Into: &e.Filtered, Sign: ">=", Most: 1},
			Doc: "At least this share of the arm's requests was dropped for its source port, by the filter of server.accept_source_ports."},
		{Key: result.PortExhaustion, Value: percent.Bound{Into: &e.PortExhaustion, Sign: ">=", Most: 1},
			Doc: "At least this share of the arm's requests found no free source port."},
		{Key: result.TableFull, Value: percent.Bound{Into: &e.TableFull, Sign: ">=", Most: 1},
			Doc: "At least this share of the arm's requests was dropped because the conntrack table was full."},
	}
}

// SetRounds fixes the number of rounds, for a flag of the command line. The bounds are
// those of the file. On an error the scenario is unchanged.
func (s *Scenario) SetRounds(n int) error {
	changed := *s
	if err := changed.setField("rounds", strconv.Itoa(n)); err != nil {
		return err
	}
	if changed.Until != (Until{}) {
		changed.Until.RoundsMax = n
	}
	if problem := changed.describePortShortage(); problem != "" {
		return fmt.Errorf("rounds: server.%s", problem)
	}
	*s = changed
	return nil
}

// setField sets the field of a key from text, within the bounds of the file.
func (s *Scenario) setField(key, text string) error {
	fields := scenarioFields(s)
	i := slices.IndexFunc(fields, func(f strictyaml.Field) bool { return f.Key == key })
	return fields[i].ReadText(text)
}
