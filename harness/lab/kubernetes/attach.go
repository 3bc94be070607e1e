package kubernetes

import (
	"context"
	"errors"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"snatlab/harness/lab"
	"snatlab/harness/lab/kubernetes/api"
	"snatlab/harness/probe"
)

// attachFunc connects streams to the container of a Pod, until its process or ctx ends.
type attachFunc func(ctx context.Context, namespace, pod string, streams remotecommand.StreamOptions) error

// attachTo returns the function that attaches through the API server of a cluster: over a
// WebSocket, or over SPDY where the API server or a proxy before it has no WebSockets for
// that (Kubernetes before 1.29).
func attachTo(config *rest.Config, pods rest.Interface) attachFunc {
	return func(ctx context.Context, namespace, pod string, streams remotecommand.StreamOptions) error {
		url := pods.Post().Namespace(namespace).Resource("pods").Name(pod).SubResource("attach").VersionedParams(
			&corev1.PodAttachOptions{Container: containerName, Stdin: true, Stdout: true, Stderr: true}, api.Parameters).URL()
		socket, err := remotecommand.NewWebSocketExecutor(config, "GET", url.String())
		if err != nil {
			return err
		}
		spdy, err := remotecommand.NewSPDYExecutor(config, "POST", url)
		if err != nil {
			return err
		}
		fallback, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
			return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
		})
		if err != nil {
			return err
		}
		return fallback.StreamWithContext(ctx, streams)
	}
}

// hangUpTime bounds the wait for the end of a stream that was closed.
const hangUpTime = 5 * time.Second

// openStream attaches to a running Pod and greets its probe.
func (l *kubernetesLab) openStream(pod *corev1.Pod) probe.Stream {
	in, inW := io.Pipe()
	out, outW := io.Pipe()
	stderr := &lab.StderrTail{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := l.cluster.attach(ctx, pod.Namespace, pod.Name, remotecommand.StreamOptions{Stdin: in, Stdout: outW, Stderr: stderr})
		outW.CloseWithError(err)
		in.CloseWithError(errors.Join(io.ErrClosedPipe, err))
	}()
	go func() { _, _ = inW.Write(probe.Greeting()) }() // ends with the stream
	return probe.Stream{
		Name: describePart(pod, l.node.Name), In: out, Out: inW,
		Close: func() error {
			defer cancel()
			go io.Copy(io.Discard, out) // what is not read would hold the stream up
			err := inW.Close()
			select {
			case <-ended:
			case <-time.After(hangUpTime):
			}
			cancel()
			<-ended
			return errors.Join(err, out.Close())
		},
		ExitReason: func() string { return stderr.DescribeEnd(l.exitReason(pod)) },
	}
}
