package language

import (
	"strconv"
	"strings"
)

// wishesMax bounds how many languages of a header are looked at; browsers send
// a few.
const wishesMax = 20

// accepted is the best of our languages for an Accept-Language header. What
// cannot be read of it is left out.
func accepted(header string) *Language {
	best, weight := english, 0.0
	n := 0
	for wish := range strings.SplitSeq(header, ",") {
		if n++; n > wishesMax {
			break
		}
		tag, parameters, _ := strings.Cut(wish, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil || q > 1 {
				continue
			}
		}
		if l := named(strings.TrimSpace(tag)); l != nil && q > weight {
			best, weight = l, q
		}
	}
	return best
}

// named is the language of ours that a name for one means, or nil.
func named(tag string) *Language {
	for tag != "" {
		for _, l := range all {
			if strings.EqualFold(l.Tag, tag) {
				return l
			}
		}
		tag = tag[:max(strings.LastIndexByte(tag, '-'), 0)]
	}
	return nil
}
