package billing

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"purser/ent/numbercounter"
)

// numberSeries counts the numbers of each series that documents bear.
type numberSeries struct{ taken, borne map[string]int64 }

// loadNumbers reads how many numbers each series has given away: a row for a
// month or a year.
func (v *verifier) loadNumbers(ctx context.Context) error {
	v.series = numberSeries{taken: map[string]int64{}, borne: map[string]int64{}}
	rows, err := v.NumberCounter.Query().All(ctx)
	if err != nil {
		return fmt.Errorf("read number series: %w", err)
	}
	for _, r := range rows {
		v.series.taken[r.Name] = r.Value
	}
	return nil
}

// number checks that a document's number was given away by its series. No two
// documents can bear the same: the database holds that.
func (v *verifier) number(table, id, kind string, number *string) error {
	if number == nil {
		return nil
	}
	cut := strings.LastIndexByte(*number, '-')
	period, ok := strings.CutPrefix((*number)[:max(cut, 0)], numberPrefix[kind])
	n, err := strconv.ParseInt((*number)[cut+1:], 10, 64)
	series := kind + ":" + period
	if !ok || err != nil || *number != formatNumber(kind, period, n) || n < 1 || n > v.series.taken[series] {
		return v.fault(table, id, "number", fmt.Sprintf("one of the %d of the series %s", v.series.taken[series], series), *number)
	}
	v.series.borne[series]++
	return nil
}

// numbers checks that no number of a series is missing.
func (v *verifier) numbers(context.Context) error {
	for name, taken := range v.series.taken {
		if borne := v.series.borne[name]; borne != taken {
			return v.fault(numbercounter.Table, name, "documents that bear its numbers", taken, borne)
		}
	}
	return nil
}
