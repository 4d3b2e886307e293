package simcloud

import (
	"math"
	"slices"
	"strings"
	"time"
)

// meterLag is how late the cloud has what a meter counts, so that the newest
// buckets still grow.
const meterLag = 45 * time.Minute

// tariff is the number in the name of a type, 0 for the type without one.
type tariff byte

const (
	basic   tariff = '0'
	peak    tariff = '1'
	offPeak tariff = '2'
)

// counter returns the name of what the cloud counts about a device, empty for
// nothing.
func (d *device) counter() string {
	switch d.Type {
	case "NLE":
		if strings.Contains(d.id, "#") {
			return "sum_energy_elec"
		}
	case "NLPC", "NLP", "NLPO", "NLF", "NLC":
		return "sum_energy_buy_from_grid"
	}
	return ""
}

// counted answers with what a meter counted, in buckets. It is false for types of
// another kind.
func (d *device) counted(q query) (rows any, is bool, failed *apiError) {
	name := d.counter()
	var tariffs []tariff
	for typ := range strings.SplitSeq(q.Get("type"), ",") {
		suffix, ok := strings.CutPrefix(strings.TrimSpace(typ), name)
		if name == "" || !ok {
			return nil, false, nil
		}
		switch suffix {
		case "":
			tariffs = append(tariffs, 0)
		case "$0", "$1", "$2":
			tariffs = append(tariffs, tariff(suffix[1]))
		default:
			return nil, true, &apiError{400, 21, "Filter " + typ + " does not exists"}
		}
	}
	scale := q.Get("scale")
	if scale == "max" || !slices.Contains(scales, scale) {
		return nil, true, &apiError{400, 21, "Invalid scale"}
	}
	from, to, failed := q.window(d)
	if failed != nil {
		return nil, true, failed
	}
	limit, failed := q.number("limit", maxRows)
	if failed != nil || limit < 1 {
		return nil, true, &apiError{400, 21, "Invalid limit"}
	}
	optimize, failed := q.flag("optimize", true)
	if failed != nil {
		return nil, true, failed
	}
	realTime, failed := q.flag("real_time", false)
	if failed != nil {
		return nil, true, failed
	}
	b := buckets{d: d, scale: scale, realTime: realTime}
	return shape(b.amounts(tariffs, from, to, q.at, int(min(limit, maxRows))), optimize), true, nil
}

// amounts are the buckets that begin between from and to, of those that the cloud
// has anything of at asOf.
func (b buckets) amounts(tariffs []tariff, from, to int64, asOf time.Time, limit int) (rows []row) {
	known := b.d.countedUntil(asOf)
	begin, end := b.bounds(max(from, b.d.start))
	if begin < from {
		begin, end = b.bounds(end)
	}
	for ; begin <= to && begin < known && len(rows) < limit; begin, end = b.bounds(end) {
		amounts := b.d.amounts(begin, min(end, known))
		if len(amounts) == 0 {
			continue
		}
		r := row{begin, make([]any, len(tariffs))}
		if !b.realTime {
			r.t = b.middle(begin, end)
		}
		for i, t := range tariffs {
			if n, has := amounts[t]; has {
				r.values[i] = math.Round(n)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// countedUntil is up to when the cloud has a device's amounts: a gateway that was
// offline uploads them afterwards.
func (d *device) countedUntil(asOf time.Time) int64 {
	if away, is := d.gateway().schedule.offline.at(asOf); is {
		asOf = away.from
	}
	return asOf.Add(-meterLag).Unix()
}

// amounts are the integrals of the power between two times, by tariff. While a
// device is out of reach nobody counts.
func (d *device) amounts(from, to int64) map[tariff]float64 {
	const step = 60
	sums := map[tariff]float64{}
	for t := from; t < to; t += step {
		if _, lost := d.lost.at(time.Unix(t, 0)); lost {
			continue
		}
		sums[d.tariff(t)] += d.flow(t) * float64(min(step, to-t)) / hour
	}
	return sums
}

// tariff is that of the home at t. Gas and water have one tariff.
func (d *device) tariff(t int64) tariff {
	h, _ := d.home.place.clock(t)
	switch {
	case d.home.has(OneTariff), d.Type == "NLE" && !d.onLine():
		return basic
	case h < 6.5 || h >= 22.5:
		return offPeak
	}
	return peak
}

// onLine reports whether a part of an Ecometer counts electricity.
func (d *device) onLine() bool {
	_, input, _ := strings.Cut(d.id, "#")
	return input < "6"
}

// flow is what a meter counts in an hour at t: Wh, of gas and water liters.
func (d *device) flow(t int64) float64 {
	p := d.home.place
	if d.Type != "NLE" {
		o := object{}
		d.controlState(o, t)
		watts, _ := number(o["power"])
		return watts
	}
	warm, living := clamp(17-p.outdoor(t), 0, 30), 0.1+p.presence(d.home.place.seed, t)
	lines := []float64{90 * warm, 350 * living, 120 * living, 60, 25}
	switch _, input, _ := strings.Cut(d.id, "#"); input {
	case "0", "1", "2", "3", "4":
		return lines[input[0]-'0']
	case "5":
		sum := 0.0
		for _, watts := range lines {
			sum += watts
		}
		return sum
	case "6":
		return 110 * warm
	default:
		return 12 * living
	}
}
