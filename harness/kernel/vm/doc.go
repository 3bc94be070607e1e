// Package vm boots kernels in QEMU and returns what their guests send.
//
// A [Machine] boots a kernel. QEMU gets kernel and initramfs as files in memory:
// none is left, however this process ends, and QEMU ends with it. Init is this very
// program, which calls [RunInit] with the function that does the work.
//
// The guest sends frames with a length and a checksum through its second serial
// port: first a greeting, then reports of its progress, and last its result or why
// there is none. Neither is read here. The first port is the console, whose end
// explains what went wrong. A guest that sends no result is a [GuestError] of that
// kernel, and of no other.
package vm
