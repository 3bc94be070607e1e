package docker

import (
	"context"
	"fmt"

	"snatlab/harness/lab"
)

// Keep leaves the networks, the rules and the containers. The probe image has no
// program but the probe, so the commands to look into a container are the host's.
func (l *dockerLab) Keep(ctx context.Context) (*lab.Kept, error) {
	k := &lab.Kept{Remove: "snatlab cleanup"}
	k.Look = append(k.Look, l.lookCommand(), l.host.command()+" ps --filter label="+runLabel+"="+l.config.Run)
	names := []string{lab.ServerName, lab.ClientName(0)}
	if l.config.Server.IsValid() {
		names = names[1:]
	}
	for _, part := range names {
		name := l.containerName(part)
		info, err := l.host.docker.ContainerInspect(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("inspect container %s: %w", name, err)
		}
		k.Look = append(k.Look,
			l.host.command()+" exec "+name+" /snatlab version",
			fmt.Sprintf("nsenter -t %d -n ss -tan", info.State.Pid))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := l.Journal.Keep(); err != nil {
		return nil, err
	}
	return k, l.HangUp()
}
