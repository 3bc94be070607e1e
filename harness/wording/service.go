package wording

import (
	"snatlab/harness/format"
	"snatlab/harness/result"
)

// DescribeService returns "a service with 3 backends".
func DescribeService(s *result.Service) string {
	return "a service with " + format.Plural(len(s.Backends), "backend", "backends")
}
