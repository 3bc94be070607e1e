package kubernetes

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"snatlab/harness/lab"
	"snatlab/harness/undo"
)

// The parts of a lab. Pods carry them as a label.
const (
	partLabel  = "snatlab.part"
	partClient = "client"
	partServer = "server"
	partAgent  = "agent"
)

// The limits of a probe's Pod. It has no limit of CPU time: the kernel stops a container
// that reaches one for a part of each 100 ms, and a client that is stopped misses its
// slots.
const (
	memoryLimit = "256Mi"
	memoryAsked = "64Mi"
	cpuAsked    = "50m"
)

// containerName is the name of the only container of each Pod.
const containerName = "snatlab"

// nodeFolder is the folder on the node that holds the journals and the barrier. Two nodes
// may share a file system, and then share no folder.
func nodeFolder(node string) string { return undo.Dir + "/" + node }

// barrierMount is where clients have the folder of the barrier.
const (
	barrierMount = "/barrier"
	barrierFile  = barrierMount + "/memory"
)

// rootMount is where the agent has the node's file system.
const rootMount = "/host"

// newPod returns what the Pods of a lab have in common. A Pod is given to its node by the
// scheduler, which reports why it cannot be there.
func (l *kubernetesLab) newPod(part, name, node string, args ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "snatlab-" + l.config.Run + "-" + name, Namespace: l.namespace,
			Labels: map[string]string{
				runLabel: l.config.Run, partLabel: part,
				"app.kubernetes.io/managed-by": "snatlab", "sidecar.istio.io/inject": "false",
			},
			Annotations: map[string]string{nodeAnnotation: l.node.Name, "linkerd.io/inject": "disabled"},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			DNSPolicy: corev1.DNSDefault, TerminationGracePeriodSeconds: new(int64(1)),
			Affinity: onNode(node),
			Containers: []corev1.Container{{
				Name: containerName, Image: l.config.Image, ImagePullPolicy: corev1.PullPolicy(l.config.PullPolicy),
				Command: append([]string{"/snatlab", "probe", probeRoles[part]}, args...),
				Stdin:   true, StdinOnce: true, // the probe's input ends with its controller
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				Resources:                limits(), SecurityContext: confined(),
			}},
		},
	}
}

// onNode returns the affinity of a Pod that is on one node only.
func onNode(name string) *corev1.Affinity {
	term := corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
		{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
	}}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}},
	}}
}

func limits() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memoryLimit)},
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memoryAsked), corev1.ResourceCPU: resource.MustParse(cpuAsked)},
	}
}

// confined returns the security context of a container that can do nothing but send and
// answer.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		RunAsNonRoot: new(true), RunAsUser: new(int64(lab.ProbeUser)), RunAsGroup: new(int64(lab.ProbeUser)),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func (l *kubernetesLab) clientPod(i int) *corev1.Pod {
	pod := l.newPod(partClient, lab.ClientName(i), l.node.Name, "--attached")
	if l.BarrierFile != "" {
		addFolder(pod, "barrier", nodeFolder(l.node.Name)+"/barrier", barrierMount, corev1.HostPathDirectory, false)
	}
	return pod
}

func (l *kubernetesLab) serverPod(guests []netip.Prefix) *corev1.Pod {
	args := []string{"--attached"}
	for _, g := range guests {
		args = append(args, "--from", g.String())
	}
	return l.newPod(partServer, lab.ServerName, l.serverNode, args...)
}

// agentPod returns the Pod of an agent. It is in the node's network namespace, and sees
// the node's file system: it runs the node's own iptables programs there. It can write to
// the folder of the journals only, and to the lock of iptables-legacy.
func (l *kubernetesLab) agentPod(name string) *corev1.Pod {
	pod := l.newPod(partAgent, name, l.node.Name, "--root", rootMount)
	pod.Spec.HostNetwork = true
	pod.Spec.TerminationGracePeriodSeconds = new(int64(60)) // to restore the node
	addFolder(pod, "root", "/", rootMount, corev1.HostPathDirectory, true)
	addFolder(pod, "journal", nodeFolder(l.node.Name), rootMount+undo.Dir, corev1.HostPathDirectoryOrCreate, false)
	addFolder(pod, "xtables-lock", "/run/xtables.lock", rootMount+"/run/xtables.lock", corev1.HostPathFileOrCreate, false)
	s := pod.Spec.Containers[0].SecurityContext
	s.RunAsNonRoot, s.RunAsUser, s.RunAsGroup = new(false), new(int64(0)), new(int64(0))
	s.Capabilities.Add = []corev1.Capability{
		"NET_ADMIN",  // rules, conntrack entries and counters
		"NET_RAW",    // iptables-legacy opens a raw socket
		"SYS_CHROOT", // into the node's file system
	}
	return pod
}

// addFolder mounts a folder of the node.
func addFolder(pod *corev1.Pod, name, from, to string, kind corev1.HostPathType, readOnly bool) {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: from, Type: &kind}},
	})
	c := &pod.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: to, ReadOnly: readOnly})
}
