package graph

// text is the value of an optional column, empty where it is NULL.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// actions are what the domain allows, as the API's type.
func actions[To, From ~string](allowed []From) []To {
	out := make([]To, len(allowed))
	for i, a := range allowed {
		out[i] = To(a)
	}
	return out
}
