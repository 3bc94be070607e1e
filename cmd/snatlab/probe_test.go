package main

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A probe ends when its input ends, even in the middle of its work: it does not
// continue without its controller.
func TestProbeEnds(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	probe := exec.Command(binary, "probe", "client")
	in, err := probe.StdinPipe()
	must(t, err)
	out, err := probe.StdoutPipe()
	must(t, err)
	must(t, probe.Start())
	defer probe.Process.Kill()
	hello, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(hello, `{"v":7,"hello":{"role":"client",`) {
		t.Fatalf("%v: %s", err, hello)
	}
	// An hour of work.
	fmt.Fprintf(in, `{"v":7,"run":{"server":%q,"requests":3600,"timeout":500000000,"rate":1,"concurrency":1}}`+"\n", server.Addr())
	conn, err := server.Accept() // it has begun
	must(t, err)
	conn.Close()
	in.Close()
	ended := make(chan error, 1)
	go func() { ended <- probe.Wait() }()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the probe does not end")
	}
}
