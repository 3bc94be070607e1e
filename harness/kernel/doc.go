// Package kernel finds Linux kernels and packs what a guest needs of one.
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
// [ReadSpec] finds it; [Kernel.Initramfs] packs what a guest needs of it. Nothing is
// installed, and nothing out of a package is written to the disk: what is needed
// of it stays in memory. Packages, images and modules are input from outside,
// so each is bounded before it is read.
//
// Only bzImages for x86-64 are read. That a module is missing is an error
// before a guest starts, as far as that can be told: Linux lists what is built
// in (modules.builtin), and where there is no such list, only the guest will see.
//
// Package vm boots a kernel, and package matrix runs a scenario in many.
package kernel
