package main

import (
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
)

// snapshot exposes the fields of a part's Stats struct: a signed integer is a
// gauge, an unsigned one a counter, a duration a counter of seconds. Parts so
// count with plain atomics and know nothing of Prometheus.
type snapshot struct {
	take   func() reflect.Value
	fields []field
}

type field struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

var _ prometheus.Collector = (*snapshot)(nil)

// newSnapshot returns the collector of amphi_<part>_<field> for every field of
// what stats returns.
func newSnapshot[S any](part string, stats func() S) *snapshot {
	s := &snapshot{take: func() reflect.Value { return reflect.ValueOf(stats()) }}
	t := reflect.TypeFor[S]()
	for i := range t.NumField() {
		f := t.Field(i)
		name, kind := "amphi_"+part+"_"+snake(f.Name), prometheus.GaugeValue
		switch {
		case f.Type == reflect.TypeFor[time.Duration]():
			name, kind = name+"_seconds_total", prometheus.CounterValue
		case f.Type.Kind() == reflect.Uint64:
			name, kind = name+"_total", prometheus.CounterValue
		}
		s.fields = append(s.fields, field{prometheus.NewDesc(name, f.Name+" of part "+part+".", nil, nil), kind})
	}
	return s
}

// Describe implements prometheus.Collector.
func (s *snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range s.fields {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (s *snapshot) Collect(ch chan<- prometheus.Metric) {
	v := s.take()
	for i, f := range s.fields {
		var n float64
		switch x := v.Field(i); {
		case x.Type() == reflect.TypeFor[time.Duration]():
			n = time.Duration(x.Int()).Seconds()
		case x.CanInt():
			n = float64(x.Int())
		case x.CanUint():
			n = float64(x.Uint())
		case x.CanFloat():
			n = x.Float()
		}
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, n)
	}
}

// snake turns PacketsIn into packets_in, and PLIsOut into plis_out.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		begins := i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1])
		// The last capital of an acronym begins the next word: HLSOut.
		begins = begins || i > 0 && i+1 < len(runes) && unicode.IsUpper(r) && unicode.IsUpper(runes[i-1]) &&
			unicode.IsLower(runes[i+1]) && runes[i+1] != 's'
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
