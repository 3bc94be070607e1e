// Package vm boots kernels in QEMU and returns what their guests send.
//
// A [Machine] boots a kernel. QEMU reads kernel and initramfs from files in memory:
// no file remains, however this process ends, and QEMU ends with it. Init is this
// program itself, which calls [RunInit] with the function that does the work.
//
// The guest sends frames with a length and a checksum through its second serial
// port: first a greeting, then reports of its progress, and last its result or the
// reason for its failure. This package does not interpret reports and results. The
// first port is the console, whose last lines explain a failure. A guest that sends no
// result is a [GuestError].
package vm
