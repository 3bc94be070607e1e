package verdict

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// pooled names the arms that translate to several addresses and whose connections
// left from fewer of them than there are clients: clients that have one address in
// common meet there, however many others the arm has. The kernel picks the address
// by a hash of the client's and the server's (find_best_ips_proto in
// net/netfilter/nf_nat_core.c), so the next run with the same addresses picks the
// same ones.
func pooled(r *result.Result) (texts []string) {
	clients := r.Scenario.Clients
	for _, a := range r.Arms {
		used, pool := len(a.Sources), len(a.ToSource)
		if pool < 2 || used == 0 || used >= min(pool, clients) && used > 1 {
			continue
		}
		which := fmt.Sprintf("from %d of its %d addresses", used, pool)
		if used == 1 {
			which = fmt.Sprintf("from %s, one of its %d addresses", a.Sources[0].Address, pool)
		}
		who := fmt.Sprintf("%s share them, and meet there as with fewer addresses (other addresses, or more clients, spread otherwise)", format.Plural(clients, "client", "clients"))
		switch {
		case clients == 1:
			who = "the only client keeps the same one"
		case keepsApart(a):
			who = fmt.Sprintf("%s keep apart by their source ports alone", format.Plural(clients, "client", "clients"))
		case used == 1:
			who = fmt.Sprintf("the %d clients got the same one, and meet there as with a single address (other addresses, or more clients, spread otherwise)", clients)
		}
		texts = append(texts, fmt.Sprintf("%s: all connections left %s; the kernel picks one by a hash of the client's and the server's address, and %s",
			a.Name, which, who))
	}
	return texts
}
