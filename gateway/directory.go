package gateway

import "fmt"

// Directory finds the adapter of a gateway.
type Directory map[Kind]Adapter

// NewDirectory returns a directory of the adapters.
func NewDirectory(adapters ...Adapter) Directory {
	d := Directory{}
	for _, a := range adapters {
		d[a.Kind()] = a
	}
	return d
}

// Capability returns the adapter of a gateway as one of the capability
// interfaces, for example Capability[Charges](d, KindStripe); false when the
// gateway cannot do that.
func Capability[C any](d Directory, k Kind) (C, bool) {
	c, ok := d[k].(C)
	return c, ok
}

// Unsupported is the outcome of asking a gateway for what it cannot do.
func Unsupported(k Kind, what string) Outcome {
	return Outcome{Status: StatusRejected, Failure: &Failure{
		Code: "unsupported", Message: fmt.Sprintf("%s cannot %s", k, what),
	}}
}
