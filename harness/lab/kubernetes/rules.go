package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/lab/kubernetes/api"
	"snatlab/harness/probe"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// connectTime bounds the wait of a client for the answer to a connection that is to show
// the rules.
const connectTime = 900 * time.Millisecond

// findRules finds the rules that translate the clients' connections, by their effect.
func (l *kubernetesLab) findRules(ctx context.Context) (err error) {
	l.Say("looking for the rules that translate on node " + l.node.Name)
	at, err := l.Listen(ctx, 0, false)
	if err != nil {
		return err
	}
	_, addresses := l.Addresses()
	sent := make([][]scenario.PortRange, len(addresses))
	if sent[0], err = l.awaitService(ctx, at.Arm); err != nil {
		return errors.Join(err, l.Forget(undo.Context(ctx), at.Arm, sent))
	}
	opened, asked := 0, 0
	send := func(ctx context.Context, client, n int) error {
		report, err := l.Clients()[client].Run(ctx, probe.ClientLoad{Protocol: l.Protocol, Server: at.Arm, Requests: n, Timeout: connectTime, Concurrency: 1})
		if err == nil {
			sent[client] = append(sent[client], report.Ports...)
			opened, asked = opened+report.Succeeded, asked+n
		}
		return err
	}
	_, err = l.FindRules(ctx, addresses, l.backendAddress(), send)
	err = errors.Join(err, l.Forget(undo.Context(ctx), at.Arm, sent))
	if err != nil {
		if asked > 0 {
			err = fmt.Errorf("%w (%d of %d connections reached the server at %v)", err, opened, asked, at.Arm)
		}
		return fmt.Errorf("node %s: %w", l.node.Name, err)
	}
	if l.DrawsPorts() {
		l.Say("the node's own rules draw source ports at random already")
	}
	_, err = l.Finish(ctx)
	return err
}

// backendAddress returns the destination of the clients' connections when their source is
// translated: that of the server, also behind a Service.
func (l *kubernetesLab) backendAddress() netip.Addr {
	if l.config.Service {
		return l.backend
	}
	server, _ := l.Addresses()
	return server
}

// Intact returns an error if a Pod of the lab is being deleted or has ended. The end of
// its stream reports that as well, with less about why.
func (l *kubernetesLab) Intact(ctx context.Context) error {
	pods, err := l.cluster.listPods(ctx, l.namespace, l.config.Run)
	if err != nil {
		if isAway(err) { // the streams go on without the API server
			return nil
		}
		return fmt.Errorf("check whether the lab is as it was built: %w", err)
	}
	var errs []error
	for i := range pods {
		if trouble := api.DescribeTrouble(&pods[i]); trouble != nil {
			errs = append(errs, fmt.Errorf("pod %s: %w", pods[i].Name, trouble))
		}
	}
	if missing := 1 + l.countProbes() - len(pods); missing > 0 {
		errs = append(errs, fmt.Errorf("%d Pods of the lab are gone: somebody deleted them", missing))
	}
	return errors.Join(errs...)
}

// countProbes returns the number of Pods that are clients or the server.
func (l *kubernetesLab) countProbes() int {
	n := len(l.Clients())
	if l.serverNode != "" {
		n++
	}
	return n
}

var _ lab.Lab = (*kubernetesLab)(nil)
