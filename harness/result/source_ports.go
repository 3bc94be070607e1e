package result

// SourcePorts are the source ports that connections reached the server from, after NAT.
//
// A connection kept its port if the server saw it come from a port that a client had
// connected from in that trial. The server does not see which client it was: of two
// clients that use the same port, at most one at a time keeps it. A port that NAT drew
// counts as kept if it happens to be one of the clients': where NAT draws n ports, and the
// clients used u, that is about n × u / 64,512 of them.
type SourcePorts struct {
	Connections int         `json:"connections"` // that the server accepted
	Kept        int         `json:"kept"`        // their port
	Ranges      []PortBlock `json:"ranges"`      // as [PortRanges], in that order
	Blocks      []PortBlock `json:"blocks"`      // of 1024 ports, in ascending order; those without a connection are left out
}

// PortBlock is a range of source ports, and the connections that came from it.
type PortBlock struct {
	Ports
	Connections int `json:"connections"`
	Kept        int `json:"kept"`
}

// Drawn returns the number of connections with a port that NAT drew.
func (b PortBlock) Drawn() int { return b.Connections - b.Kept }

// PortRanges are the ranges of source ports that are told apart: those that NAT keeps
// apart, those above them, those that Linux chooses from by default, and the rest.
var PortRanges = [...]Ports{{0, 1023}, {1024, 32767}, {32768, 60999}, {61000, 65535}}

// CommonPorts is the range of [PortRanges] that filters on the way to a server commonly
// let in: answers to it are taken for those of clients.
var CommonPorts = PortRanges[2]

// CountOutside returns the number of connections from outside a range of PortRanges, and
// those from below it.
func (p *SourcePorts) CountOutside(of Ports) (all, below int) {
	for _, r := range p.Ranges {
		switch {
		case r.Last < of.First:
			below += r.Connections
			all += r.Connections
		case r.First > of.Last:
			all += r.Connections
		}
	}
	return all, below
}
