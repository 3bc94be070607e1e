package api

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// DescribeTrouble returns an error for a Pod that will not run.
func DescribeTrouble(p *corev1.Pod) error {
	if p.DeletionTimestamp != nil {
		return errors.New("it is being deleted: somebody deleted it, or its namespace")
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return fmt.Errorf("no node can have it: %s", c.Message)
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			switch w.Reason {
			case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName":
				return fmt.Errorf("the node cannot get the image %s: %s: %s (`snatlab image` writes the image; import it on the node, or push it to a registry and name it: kubernetes.image or --image)", c.Image, w.Reason, w.Message)
			case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
				return fmt.Errorf("%s: %s", w.Reason, w.Message)
			}
		}
	}
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return fmt.Errorf("it ended at once: %s", DescribeEnd(p))
	}
	return nil
}

// DescribeEnd returns how a Pod ended.
func DescribeEnd(p *corev1.Pod) string {
	if p.Status.Reason != "" { // Evicted, OutOfcpu, ...
		return fmt.Sprintf("%s: %s", p.Status.Reason, p.Status.Message)
	}
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			how := fmt.Sprintf("exit code %d", t.ExitCode)
			if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
				how += " (" + t.Reason + ")"
			}
			if t.Message != "" {
				how += ": " + t.Message
			}
			return how
		}
	}
	return string(p.Status.Phase)
}
