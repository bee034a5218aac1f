package main

import (
	"math"
	"slices"
	"time"
)

// report is of the measured time alone; the *_with_warmup counts divide what processes used in the whole run.
type report struct {
	Requests           int      `json:"requests"`
	RequestsWithWarmup int      `json:"requests_with_warmup"`
	Errors             int      `json:"errors"`
	FirstError         *string  `json:"first_error"`
	Seconds            float64  `json:"seconds"`
	RequestsPerSecond  float64  `json:"requests_per_second"`
	P50                float64  `json:"p50_ms"`
	P90                float64  `json:"p90_ms"`
	P99                float64  `json:"p99_ms"`
	Max                float64  `json:"max_ms"`
	Deltas             int      `json:"deltas,omitempty"`
	DeltasWithWarmup   int      `json:"deltas_with_warmup,omitempty"`
	DeltasPerSecond    float64  `json:"deltas_per_second,omitempty"`
	FirstDeltaP50      *float64 `json:"first_delta_p50_ms,omitempty"`
	FirstDeltaP99      *float64 `json:"first_delta_p99_ms,omitempty"`
}

func reportOf(opts *options, workers []*worker) report {
	var total report
	var latencies, firstDeltas []time.Duration
	for _, w := range workers {
		latencies = append(latencies, w.latencies...)
		firstDeltas = append(firstDeltas, w.firstDeltas...)
		total.RequestsWithWarmup += w.all
		total.Deltas += w.deltas
		total.DeltasWithWarmup += w.allDeltas
		total.Errors += w.errors
		if w.firstError != nil && total.FirstError == nil {
			first := w.firstError.Error()
			total.FirstError = &first
		}
	}
	slices.Sort(latencies)
	total.Requests = len(latencies)
	total.Seconds = opts.until.Sub(opts.warmUntil).Seconds()
	total.RequestsPerSecond = rounded(float64(total.Requests) / total.Seconds)
	total.DeltasPerSecond = rounded(float64(total.Deltas) / total.Seconds)
	total.P50, total.P90, total.P99 = quantile(latencies, 0.5), quantile(latencies, 0.9), quantile(latencies, 0.99)
	total.Max = quantile(latencies, 1)
	if len(firstDeltas) > 0 {
		slices.Sort(firstDeltas)
		p50, p99 := quantile(firstDeltas, 0.5), quantile(firstDeltas, 0.99)
		total.FirstDeltaP50, total.FirstDeltaP99 = &p50, &p99
	}
	return total
}

func quantile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return rounded(sorted[int(float64(len(sorted)-1)*share)].Seconds() * 1000)
}

func rounded(value float64) float64 { return math.Round(value*1000) / 1000 }
