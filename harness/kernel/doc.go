// Package kernel reads Linux kernels and writes the initramfs of a guest.
//
// A kernel is given by a SPEC:
//
//	running                   the kernel of this machine, as it is under /boot
//	6.1.0-13-amd64            a release under /boot, its modules under /lib/modules
//	./vmlinuz                 a bzImage; its modules under --modules, or /lib/modules
//	./linux                   a build tree, after make bzImage modules
//	linux-image-6.1.0.deb     a package of Debian, Ubuntu or Fedora: .deb or .rpm
//	binary.deb,modules.deb    several, where kernel and modules are apart
//
// [ReadSpec] reads it; [Kernel.WriteInitramfs] writes the initramfs of a guest. Nothing is
// installed, and no file of a package is written to the disk: they stay in memory.
// Packages, images and modules are input from outside, so each is bounded before it
// is read.
//
// Only bzImages for x86-64 are read. A missing module is an error before the guest
// starts if the kernel has a list of its built-in modules (modules.builtin). Without
// the list, only the guest finds out.
//
// Package vm boots a kernel, and package matrix runs a scenario in many.
package kernel
