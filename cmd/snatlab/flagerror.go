package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explainFlagError rewords an error of cobra's flag parser.
func explainFlagError(c *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		valued  *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown):
		err = unknownFlag(c, unknown)
	case errors.As(err, &valued):
		err = fmt.Errorf("--%s: its value is missing", valued.GetSpecifiedName())
	case errors.As(err, &invalid):
		err = invalidValue(invalid)
	}
	return usageError{c, err}
}

// invalidValue returns the error about a value that does not have the type of its flag.
// The errors of Go's parsers name functions of Go, which do not help a user.
func invalidValue(err *pflag.InvalidValueError) error {
	name, value := err.GetFlag().Name, err.GetValue()
	switch kind := err.GetFlag().Value.Type(); {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("--%s: %s is out of range", name, value)
	case kind == "int":
		return fmt.Errorf("--%s: %q is not a whole number", name, value)
	case kind == "duration":
		return fmt.Errorf("--%s: %q is not a duration like 90s or 10m", name, value)
	case kind == "bool":
		return fmt.Errorf("--%s: %q is not allowed; allowed: true, false", name, value)
	case kind == "stringSlice":
		return fmt.Errorf("--%s: %q is not a list with commas between its entries", name, value)
	default:
		return fmt.Errorf("--%s: %q: %w", name, value, errors.Unwrap(err))
	}
}
