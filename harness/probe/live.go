package probe

import (
	"io"
	"os"
)

// Live is a probe's whole life: it serves its controller over standard input
// and output, and ends the program when the input ends, whatever it is doing
// then. A probe does not outlive its controller.
func Live(role string) error {
	in, w := io.Pipe()
	go func() {
		if _, err := io.Copy(w, os.Stdin); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}()
	agent := Agent{Role: role}
	return agent.Serve(in, os.Stdout)
}
