package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// runLabel is the label of everything that a run makes. Its value is the run's id.
const runLabel = "snatlab.run"

// The limits of a probe's container. A probe uses less than 20 MB; the sockets of
// a trial count as well.
const (
	memoryLimit = 256 << 20
	pidLimit    = 64 // threads count
	shmSize     = 1 << 20
)

// probeUser is the user and the group of a probe's container.
var probeUser = fmt.Sprintf("%d:%[1]d", lab.ProbeUser)

// serverShares returns the CPU weight of the server's container; 0 is the engine's default,
// 1024. With TCP the kernel does the handshakes, and accepting should take little CPU time from
// the clients: the niceness of a process counts within its cgroup only. The weight is not the
// least one, because beside busy containers the server must still answer orders within seconds.
// With UDP the server itself answers the datagrams, so it has the default.
func (l *dockerLab) serverShares() int64 {
	if l.Protocol == result.UDP {
		return 0
	}
	return 64
}

// containerSpec holds the properties in which the containers of a lab differ.
type containerSpec struct {
	name    string
	role    string
	network labNetwork
	ipc     string // sharedIPC, joinedIPC and the name of the container that has it, or "private"
}

// Modes of an IPC namespace.
const (
	sharedIPC = "shareable"
	joinedIPC = "container:"
)

func (l *dockerLab) containerName(name string) string { return "snatlab-" + l.config.Run + "-" + name }

// containerPlace is the network and the namespace of a running container.
type containerPlace struct {
	address  netip.Addr // on its network
	inside   *machine.Namespace
	network  string // name
	endpoint string // id: a new one for each connection to a network
}

// startContainer makes a container, attaches to it, and starts it.
func (l *dockerLab) startContainer(ctx context.Context, spec containerSpec) (p lab.StartedProbe, err error) {
	name := l.containerName(spec.name)
	if err := l.first.await(ctx, spec, l.first.made); err != nil {
		return p, err
	}
	id, err := l.createContainer(ctx, spec)
	if err != nil {
		return p, fmt.Errorf("create container %s: %w", name, err)
	}
	l.first.reach(spec, l.first.made)
	// Podman prepares a container for the attachment: it joins the first client's namespace.
	if err := l.first.await(ctx, spec, l.first.running); err != nil {
		return p, err
	}
	stream, err := l.attachStreams(ctx, id, lab.DescribeProbe(spec.name))
	if err != nil {
		return p, fmt.Errorf("attach to container %s: %w", name, err)
	}
	var at containerPlace
	if err = l.host.docker.ContainerStart(ctx, id, container.StartOptions{}); err == nil {
		l.first.reach(spec, l.first.running)
		at, err = l.findPlace(ctx, id, spec.network)
		l.starting.Lock()
		l.places[id] = at
		l.starting.Unlock()
	}
	if err != nil {
		return p, errors.Join(fmt.Errorf("start container %s: %w", name, err), stream.Close())
	}
	return lab.StartedProbe{Stream: stream, Address: at.address, Space: at.inside.Do}, nil
}

// reach says that the first client has come so far.
func (firstClient) reach(spec containerSpec, stage chan struct{}) {
	if spec.ipc == sharedIPC {
		close(stage)
	}
}

// await waits until the first client has come so far, if the container needs it.
func (firstClient) await(ctx context.Context, spec containerSpec, stage <-chan struct{}) error {
	if !strings.HasPrefix(spec.ipc, joinedIPC) {
		return nil
	}
	select {
	case <-stage:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attachStreams connects to the streams of a container that is not started yet: its
// first output would be lost otherwise.
func (l *dockerLab) attachStreams(ctx context.Context, id, name string) (probe.Stream, error) {
	attached, err := l.host.docker.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return probe.Stream{}, err
	}
	out, outW := io.Pipe()
	stderr := &lab.StderrTail{}
	go func() { // ends with the connection, which the stream's Close closes
		_, err := stdcopy.StdCopy(outW, stderr, attached.Reader)
		outW.CloseWithError(err)
	}()
	return probe.Stream{
		Name: name, In: out, Out: attached.Conn,
		Close:      func() error { return errors.Join(out.Close(), attached.Conn.Close()) },
		ExitReason: func() string { return l.exitReason(id, stderr) },
		IsStarved:  func() bool { return l.isStarved(id) },
	}, nil
}

// findPlace returns the place of a running container.
func (l *dockerLab) findPlace(ctx context.Context, id string, n labNetwork) (containerPlace, error) {
	info, err := l.host.docker.ContainerInspect(ctx, id)
	if err != nil {
		return containerPlace{}, err
	}
	endpoint, ok := info.NetworkSettings.Networks[n.name]
	text := ""
	if ok {
		text = endpoint.IPAddress
		if n.subnet.Addr().Is6() {
			text = endpoint.GlobalIPv6Address
		}
	}
	if text == "" {
		return containerPlace{}, fmt.Errorf("it has no address on network %s (exit code %d)", n.name, info.State.ExitCode)
	}
	address, err := netip.ParseAddr(text)
	return containerPlace{address, machine.OpenNamespace(info.State.Pid), n.name, endpoint.EndpointID}, err
}

// createContainer makes a container that can do nothing but send and answer: no
// capability, no new privileges, no file to write to, not root.
func (l *dockerLab) createContainer(ctx context.Context, spec containerSpec) (id string, err error) {
	config := &container.Config{
		Image: l.image, Cmd: []string{"probe", spec.role}, User: probeUser,
		OpenStdin: true, StdinOnce: !l.config.Keep, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Labels: map[string]string{runLabel: l.config.Run},
	}
	pids := int64(pidLimit)
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode(spec.network.name), IpcMode: container.IpcMode(spec.ipc),
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, ReadonlyRootfs: true,
		LogConfig: container.LogConfig{Type: "none"},
		Resources: container.Resources{Memory: memoryLimit, MemorySwap: memoryLimit, PidsLimit: &pids},
	}
	if !strings.HasPrefix(spec.ipc, joinedIPC) {
		host.ShmSize = shmSize
	}
	if spec.role == probe.RoleServer {
		host.Sysctls = map[string]string{"net.core.somaxconn": lab.AcceptQueue}
		host.CPUShares = l.serverShares()
	}
	name := l.containerName(spec.name)
	l.starting.Lock()
	defer l.starting.Unlock()
	_, err = l.Journal.Do(ctx, l.host.containerStep(l.config.Run, name), func(ctx context.Context) error {
		made, err := l.host.docker.ContainerCreate(ctx, config, host, nil, nil, name)
		id = made.ID
		return err
	})
	return id, err
}

// isStarved reports whether a container waits for a CPU.
func (l *dockerLab) isStarved(id string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	info, err := l.host.docker.ContainerInspect(ctx, id)
	return err == nil && info.State.Running && machine.IsStarved(info.State.Pid)
}

// exitReason returns how a container ended, and its last output.
func (l *dockerLab) exitReason(id string, stderr *lab.StderrTail) string {
	// The stream can end a moment before the container does.
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ended, failed := l.host.docker.ContainerWait(patience, id, container.WaitConditionNotRunning)
	select {
	case <-ended:
	case <-failed:
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	how := "somebody removed its container"
	// An engine that stops its containers, because it is about to stop, still
	// answers on its open connections. So does an engine that was restarted.
	gone := l.host.checkSameEngine(ctx, l.watch)
	info, err := container.InspectResponse{}, gone
	if gone == nil {
		info, err = l.host.docker.ContainerInspect(ctx, id)
	}
	switch {
	case cerrdefs.IsNotFound(err), err == nil && info.State.Status == container.StateRemoving:
	case err != nil:
		why := rootCause(err)
		if errors.Is(err, context.DeadlineExceeded) {
			why = fmt.Errorf("no answer within %v", lookTime)
		}
		how = fmt.Sprintf("the %s engine at %s went away as well (%v): was it stopped, or restarted?", l.host.engineName(), l.host.docker.DaemonHost(), why)
	default:
		how = "still running"
		if s := info.State; !s.Running {
			how = fmt.Sprintf("exit code %d", s.ExitCode)
			if s.OOMKilled {
				how += " (killed: out of memory)"
			}
			if s.Error != "" {
				how += " (" + s.Error + ")"
			}
		}
	}
	return stderr.DescribeEnd(how)
}

// engineObject is a journalled step: a container, a network or an image.
type engineObject struct {
	Host string `json:"host"` // of the engine
	Run  string `json:"run"`
	Name string `json:"name"`
}

// The kinds of the steps of this package.
const (
	KindContainer = "docker.container"
	KindNetwork   = "docker.network"
)

func (h *Host) containerStep(run, name string) undo.Step {
	return undo.NewStep(KindContainer, "container "+name, h.command()+" rm -f "+name, engineObject{h.docker.DaemonHost(), run, name})
}

func (h *Host) networkStep(run, name string) undo.Step {
	return undo.NewStep(KindNetwork, "network "+name, h.command()+" network rm "+name, engineObject{h.docker.DaemonHost(), run, name})
}

// Undoers returns what undoes the steps of this package. It leaves a container or
// network alone that is gone, or that does not have our label. A step that no run
// writes is an error.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindContainer: withEngine(removeContainer),
		KindNetwork:   withEngine(removeNetwork),
		KindImage:     withEngine(removeImage),
	}
}

// withEngine returns an undoer that connects to the engine of a step.
func withEngine(remove func(context.Context, *client.Client, engineObject) error) undo.Undoer {
	return undo.NewUndoer(func(ctx context.Context, o engineObject) error {
		if err := o.checkHost(); err != nil {
			return err
		}
		docker, err := connectEngine(o.Host)
		if err != nil {
			return err
		}
		defer docker.Close()
		return remove(ctx, docker, o)
	})
}

func removeContainer(ctx context.Context, docker *client.Client, o engineObject) error {
	if err := o.checkName(containerPart); err != nil {
		return err
	}
	info, err := docker.ContainerInspect(ctx, o.Name)
	if cerrdefs.IsNotFound(err) || err == nil && !hasLabel(info, o.Run) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspect container: %w", err)
	}
	err = docker.ContainerRemove(ctx, info.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) && awaitRemoval(ctx, docker, info.ID) == nil { // another program is removing it
		return nil
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// removalTime bounds the wait for a container that another program is removing.
const removalTime = 20 * time.Second

// awaitRemoval waits until a container is gone, and returns an error if it stays.
func awaitRemoval(ctx context.Context, docker *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, removalTime)
	defer cancel()
	gone, failed := docker.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		return err
	}
}
