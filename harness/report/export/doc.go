// Package export writes results, matrices and nights for other programs: CSV for
// spreadsheets, Go's benchmark format for benchstat, JUnit's XML for CI systems, KTAP
// for kernel CI, and Prometheus' text format for node_exporter.
package export
